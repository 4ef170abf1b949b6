"""Words that a voice is told how to say: ``word = respelling``, or ``word = /IPA/``, or both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from parley.errors import ConfigError, InvalidRequest
from parley.text.speech.spoken import Claim

MOST_WORDS = 2_000
LONGEST_ENTRY = 200
"""Characters of a word, or of what is said for it."""

_SEPARATOR = re.compile(r"[\n;]")
_SAID = re.compile(r"(?P<spelled>[^/]*?)\s*(?:/(?P<ipa>[^/]+)/)?")


@dataclass(frozen=True, slots=True)
class Said:
    """How one word is to be said."""

    spelled: str = ""
    """As the language would write it; empty where only the sounds are given."""
    ipa: str = ""
    """For voices that take phonemes."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Words and how they are said. A word in lower case stands for all its spellings."""

    words: Mapping[str, Said] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None

    def over(self, other: Lexicon) -> Lexicon:
        """These words, and those of ``other`` that are not among them."""
        return (
            _lexicon({**other.words, **self.words}) if other.words and self.words else (self if self.words else other)
        )

    def claims(self, text: str, phonemes: str) -> Iterator[Claim]:
        """Where words of the lexicon stand in ``text``; ``phonemes`` is the voice's bracket for IPA, if it has one."""
        if self.pattern is None:
            return
        for match in self.pattern.finditer(text):
            said = self.words.get(match.group()) or self.words.get(match.group().lower())
            if said is None:
                continue
            if said.ipa and phonemes:
                yield Claim(match.start(), match.end(), phonemes.format(said.ipa))
            elif said.spelled:
                yield Claim(match.start(), match.end(), said.spelled)


EMPTY = Lexicon()


@lru_cache(maxsize=64)
def parse_lexicon(text: str) -> Lexicon:
    """Read entries that stand on lines of their own, or between semicolons.

    Raises InvalidRequest that names the entry and what is allowed.
    """
    entries: dict[str, str] = {}
    for entry in _SEPARATOR.split(text):
        word, mark, how = (part.strip() for part in entry.partition("="))
        if mark and word and how:
            entries[word] = how
        elif entry.strip() and not entry.strip().startswith("#"):
            raise InvalidRequest(f"The lexicon's entry {entry.strip()[:60]!r} is not 'word = how it is said'.")
    return lexicon_of(entries)


def check_lexicon(text: str, setting: str) -> None:
    """Raise ConfigError for a lexicon in the settings that can not be read; ``setting`` is its name there."""
    try:
        parse_lexicon(text)
    except InvalidRequest as error:
        raise ConfigError(f"The setting {setting} can not be read: {error.message}") from None


def lexicon_of(entries: Mapping[str, str]) -> Lexicon:
    """A lexicon from words and what is said for them. Raises InvalidRequest like :func:`parse_lexicon`."""
    if len(entries) > MOST_WORDS:
        raise InvalidRequest(f"The lexicon has {len(entries)} words; at most {MOST_WORDS} are taken.")
    words = {}
    for word, how in entries.items():
        match = _SAID.fullmatch(how.strip())
        if len(word) > LONGEST_ENTRY or len(how) > LONGEST_ENTRY or match is None or not word.strip():
            raise InvalidRequest(
                f"The lexicon's entry for {word[:60]!r} must be a respelling, sounds between slashes (/ˈnɪndʒə/), "
                f"or both, of at most {LONGEST_ENTRY} characters."
            )
        words[word] = Said(match["spelled"].strip(), (match["ipa"] or "").strip())
    return _lexicon(words)


def _lexicon(words: Mapping[str, Said]) -> Lexicon:
    if not words:
        return EMPTY
    exact = [word for word in words if word != word.lower()]
    loose = [word for word in words if word == word.lower()]
    parts = []
    for names, flag in ((exact, ""), (loose, "i")):
        if names:
            joined = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
            parts.append(f"(?{flag}:{joined})" if flag else f"(?:{joined})")
    return Lexicon(dict(words), re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)"))
