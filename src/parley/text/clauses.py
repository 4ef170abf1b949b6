"""Reply deltas in, speakable clauses out: the first one early, the others whole.

Pieces keep every character, so their concatenation is the reply's text. A language
model's delta may end anywhere, even inside a number: a clause is cut only where what follows is known.
"""

from __future__ import annotations

import re

_ENDERS = ".!?…。！？"
_CLOSERS = "\"'”’)]»"
_BREAKS = ",;:—–、，；："
_BOUNDARY = re.compile(rf"(?:[{re.escape(_ENDERS)}]+[{re.escape(_CLOSERS)}]*(?=\s)|[。！？]|\n)\s*")
_SOFT_BOUNDARY = re.compile(rf"(?:[{re.escape(_BREAKS)}](?=\s)|[、，；：]|\s[—–](?=\s))\s*")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|no|fig|approx|z\.b|d\.h|bzw|ca|nr|usw)|\b[a-z])\.$",
    re.IGNORECASE,
)
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d+\.$")


class Clauses:
    """One reply's text on its way to the voice.

    The first clause may end at a comma once it has ``first_clause`` characters; later ones are sentences,
    which sound better whole. What grows beyond ``longest`` is cut at a comma, or else between words.
    """

    def __init__(self, *, first_clause: int = 12, longest: int = 240) -> None:
        self._first_clause = first_clause
        self._longest = longest
        self._held = ""
        self._begun = False

    def add(self, delta: str) -> list[str]:
        """Take the next delta; return the clauses that are complete, each with the space behind it."""
        self._held += delta
        clauses = []
        while (end := self._cut()) is not None:
            clauses.append(self._held[:end])
            self._held = self._held[end:]
            self._begun = True
        return clauses

    def finish(self) -> list[str]:
        """The text is complete: return what is left, unless it is only white space."""
        rest, self._held = self._held, ""
        return [rest] if rest.strip() else []

    def _cut(self) -> int | None:
        held = self._held
        end = self._sentence_end(held)
        if end is None and not self._begun:
            end = _after(_SOFT_BOUNDARY, held, self._first_clause)
        if end is None and len(held) > self._longest:
            end = _last(_SOFT_BOUNDARY, held, self._longest) or _last(re.compile(r"\s+"), held, self._longest)
            end = end or self._longest
        return end

    def _sentence_end(self, held: str) -> int | None:
        for match in _BOUNDARY.finditer(held):
            before = held[: match.start() + 1]
            if not before.strip() or _ABBREVIATION.search(before) or _LIST_NUMBER.search(before):
                continue
            return match.end()
        return None


def _after(pattern: re.Pattern[str], text: str, least: int) -> int | None:
    """Where the first match ends that leaves at least ``least`` characters of words before it."""
    for match in pattern.finditer(text):
        if len(text[: match.start()].strip()) >= least:
            return match.end()
    return None


def _last(pattern: re.Pattern[str], text: str, most: int) -> int | None:
    ends = [match.end() for match in pattern.finditer(text) if match.end() <= most and text[: match.start()].strip()]
    return ends[-1] if ends else None
