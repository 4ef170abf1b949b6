"""Text in, deltas of any size; pieces that can be spoken out: sentences, or the first clause of a reply.

The only splitter of the house. Pieces keep every character, so that their concatenation is the text, and they do not
depend on how the text came: where what follows decides ("5 p.m. on", "Inc. The"), the piece waits for it, for at most
``LOOKAHEAD`` characters.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from parley.text.abbreviations import Stops, stops

if TYPE_CHECKING:
    from collections.abc import Iterator

Span = tuple[int, int]
"""First character and one past the last."""

LONGEST = 300
"""Characters after which a sentence without an end is cut at the best place."""
LOOKAHEAD = 48
"""Characters behind a possible end that may be waited for."""
_UNSPACED_LONGEST = 90
"""The same as ``LONGEST`` where a character is a syllable or a word, or where nothing stands between words."""

_CLOSERS = "\"'”’)]»›」』】》〉）］*_"
_ALONE = "。！？｡।॥؟۔։።፧፨။។៕།᠃᠉꓿"
"""Ends that need no space behind them."""
_END = re.compile(
    rf"(?P<line>\n)|(?P<alone>[{_ALONE}][{_ALONE}.!?…]*[{re.escape(_CLOSERS)}]*)"
    rf"|(?P<stop>[.!?…‽]+[{re.escape(_CLOSERS)}]*)(?=\s)"
    r"|(?P<soft>[,;:—–،؛](?=\s)|[、，；：၊]|(?<=\s)[-—–](?=\s))"
)
_BEFORE = re.compile(r"(?:[^\W\d_]+[.'’-])*[^\W_]+$")
_ROMAN = re.compile(r"x{0,3}(?:ix|iv|v?i{0,3})")
_QUOTES = re.compile(r"[\"'”’)»›」』）]")
_LIST_NUMBER = re.compile(r"\s*[(*_#>\s]*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})$")
_NEXT_WORD = re.compile(r"[^\w¿¡]*([¿¡]|[\w'’-]+)(\W?)")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_GAP = re.compile(r"[\s\u200b]")
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


class Sentences:
    """One text on its way to the voice.

    With ``first_clause`` the first piece may end at a comma once it has as many characters; later ones are sentences,
    which sound better whole. What grows beyond ``longest`` is cut at a comma, or else between words; the first piece
    beyond ``first_longest`` (0: no bound of its own), and that without waiting for what follows.
    """

    def __init__(
        self, language: str = "", *, longest: int = LONGEST, first_clause: int = 0, first_longest: int = 0
    ) -> None:
        self._first_longest = first_longest
        self._stops = stops(language)
        self._longest = longest
        self._first_clause = first_clause
        self._held = ""

    def add(self, delta: str) -> list[str]:
        """Take the next delta; return the pieces that are complete, each with the space behind it."""
        self._held += delta
        return list(self._complete(ended=False))

    def finish(self) -> list[str]:
        """The text is complete: return what is left, unless it is only white space."""
        pieces = list(self._complete(ended=True))
        rest, self._held = self._held, ""
        return [*pieces, rest] if rest.strip() else pieces

    def _complete(self, *, ended: bool) -> Iterator[str]:
        while (end := self._end(ended)) is not None:
            piece, self._held = self._held[:end], self._held[end:]
            self._first_clause = self._first_longest = 0
            yield piece

    def _end(self, ended: bool) -> int | None:
        """Where the piece ends; None while that is not known."""
        held = self._held
        longest = self._first_longest or _longest(held, self._longest)
        ahead = 0 if ended or self._first_longest else LOOKAHEAD
        for match in _END.finditer(held):
            if match.end() > longest:
                break
            verdict = self._verdict(match, ended)
            if verdict is None:
                return None
            if verdict:
                return match.end() + (match.lastgroup != "line" and held[match.end() : match.end() + 1].isspace())
        if len(held) <= longest + ahead:
            return None
        return _cut(held, longest)

    def _verdict(self, match: re.Match[str], ended: bool) -> bool | None:
        """Whether the piece ends here; None where that is not known yet."""
        held, start = self._held, match.start()
        kind = match.lastgroup
        if not held[:start].strip():
            return False
        if kind == "line":
            return True
        if kind == "soft":
            return self._ends_clause(match, ended)
        if _inside_link(held, start):
            return False
        if kind == "alone":
            return True if match.end() < len(held) or ended else None
        return self._ends_sentence(match, ended)

    def _ends_clause(self, match: re.Match[str], ended: bool) -> bool | None:
        held, start = self._held, match.start()
        if not self._first_clause or len(held[:start].strip()) < self._first_clause or _inside_link(held, start):
            return False
        if not held[:start].rstrip()[-1].isdecimal():
            return True
        following = held[match.end() :].lstrip()
        if not following:
            return False if ended else None
        return not following[0].isdecimal()  # "on Sept. 3, 2026", "1, 2, 3", "7 - 2"

    def _ends_sentence(self, match: re.Match[str], ended: bool) -> bool | None:
        held, after = self._held, match.end()
        marks = match.group()
        if held[after] == "\n":
            return True
        if "!" in marks or "?" in marks or "…" in marks or marks.count(".") > 1:
            return True if not _QUOTES.search(marks) else _starts_a_sentence(held, after, None, ended)
        word = _BEFORE.search(held, max(0, match.start() - 40), match.start())
        before = word.group().replace("’", "'").lower() if word else ""
        if _LIST_NUMBER.fullmatch(held, 0, match.start()) or before in self._stops.never:
            return False
        if before in self._stops.may or _is_initials(before):
            return _starts_a_sentence(held, after, self._stops, ended)
        if self._stops.ordinals and ((before.isdecimal() and len(before) <= 2) or _ROMAN.fullmatch(before)):
            return _starts_a_sentence(held, after, self._stops, ended)
        if _QUOTES.search(marks):
            return _starts_a_sentence(held, after, None, ended)
        return True


def sentences(text: str, language: str = "", *, longest: int = LONGEST) -> list[Span]:
    """Spans of the sentences of a text that is complete, without the white space around them."""
    splitter = Sentences(language, longest=longest)
    spans, at = [], 0
    for piece in (*splitter.add(text), *splitter.finish()):
        inner = piece.strip()
        if inner:
            start = at + len(piece) - len(piece.lstrip())
            spans.append((start, start + len(inner)))
        at += len(piece)
    return spans


def ends_sentence(text: str) -> bool:
    """Whether a piece is a sentence, or a line, to its end: a voice rests behind it."""
    bare = text.rstrip().rstrip(_CLOSERS)
    return bool(bare) and (bare[-1] in ".!?…‽" or bare[-1] in _ALONE or text.rstrip(" \t").endswith("\n"))


def _starts_a_sentence(held: str, at: int, known: Stops | None, ended: bool) -> bool | None:
    """Whether what follows begins a sentence: with a capital, and with one of the words that do so, where they are
    known."""
    match = _NEXT_WORD.match(held, at)
    short = len(held) - at < LOOKAHEAD and not ended
    if match is None:
        return None if short else not ended  # behind the last word nothing begins
    word = match.group(1)
    if word in "¿¡":
        return True
    if word[0].islower() or word[0].isdecimal():
        return known is None and not word[0].islower()
    if known is None or not known.openers:
        return True
    if not match.group(2) and short:
        return None
    return word.replace("’", "'").lower() in known.openers


def _is_initials(word: str) -> bool:
    """A single letter, or several with stops between them: "J", "u.s", "p.m"."""
    return bool(word) and all(len(part) == 1 and part.isalpha() for part in word.split("."))


def _inside_link(text: str, at: int) -> bool:
    """Whether a link of Markdown, or a stretch of code in a line, is open at ``at``."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    if line.count("`") % 2:
        return True
    label = line.rfind("[")
    if label > line.rfind("]"):
        return True
    target = line.rfind("](")
    return target >= 0 and ")" not in line[target:]


def _longest(held: str, most: int) -> int:
    """How long a piece may be: shorter where characters are syllables, or words stand together."""
    short = min(most, _UNSPACED_LONGEST)
    if len(held) <= short:
        return most
    return short if 2 * len(_UNSPACED.findall(held, 0, short)) > short else most


def _cut(text: str, most: int) -> int:
    """The best place to cut ``text`` before ``most``: behind a comma, or between words, or between characters."""
    soft = [m.end() for m in _END.finditer(text, 0, most) if m.lastgroup == "soft" and text[: m.start()].strip()]
    if soft:
        return soft[-1] + text[soft[-1]].isspace()
    gaps = [m.end() for m in _GAP.finditer(text, 0, most) if text[: m.start()].strip()]
    if gaps:
        return gaps[-1]
    while most > 1 and not _may_cut(text, most):
        most -= 1
    return most


def _may_cut(text: str, at: int) -> bool:
    """Whether a character ends before ``at``, with all that stands above and below it."""
    following = text[at]
    joined = following in _JOINERS or text[at - 1] == "\u200d"
    return not joined and not unicodedata.category(following).startswith("M") and not _vowel_before(text[at - 1])


def _vowel_before(character: str) -> bool:
    """Thai and Lao vowels that are written before the consonant they belong to."""
    return "\u0e40" <= character <= "\u0e44" or "\u0ec0" <= character <= "\u0ec4"
