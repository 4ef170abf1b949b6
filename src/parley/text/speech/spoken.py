"""A piece of text as it is spoken, and where each of its words stands in the written text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

Span = tuple[int, int]
"""First character and one past the last."""


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A stretch of the written text that is spoken otherwise, or not at all."""

    start: int
    end: int
    say: str = ""
    tail: bool = False
    """True for what belongs to the word before it, such as the address behind a link's words."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of spoken text and the written one that it comes from."""

    at: int
    """Where it begins in the spoken text."""
    written: Span
    same: bool
    """True where both are the same characters."""


class Spoken:
    """What is said for a piece of text."""

    def __init__(self, text: str, parts: Iterable[_Part], tails: dict[int, int]) -> None:
        self.text = text
        self._parts = tuple(parts)
        self._starts = [part.at for part in self._parts]
        self._tails = tails

    @property
    def says_something(self) -> bool:
        """False for dots, emoji and the like: no voice can do anything with them."""
        return any(character.isalnum() for character in self.text)

    def written(self, start: int, end: int) -> Span:
        """The span of the written text that the span ``start`` to ``end`` of :attr:`text` speaks."""
        first, last = self._part(start), self._part(max(start, end - 1))
        begin = first.written[0] + (start - first.at if first.same else 0)
        stop = last.written[0] + (end - last.at) if last.same else last.written[1]
        return begin, self._tails.get(stop, stop)

    def goes_on(self, end: int) -> bool:
        """Whether more words behind ``end`` speak the same written ones: "two" of "2026" does, "six" does not."""
        number = bisect_right(self._starts, max(0, end - 1)) - 1
        if number < 0 or self._parts[number].same:
            return False
        until = self._starts[number + 1] if number + 1 < len(self._starts) else len(self.text)
        return any(character.isalnum() for character in self.text[end:until])

    def _part(self, at: int) -> _Part:
        return self._parts[max(0, bisect_right(self._starts, at) - 1)]


def as_written(text: str) -> Spoken:
    """A piece that is spoken as it stands."""
    return Spoken(text, [_Part(0, (0, len(text)), same=True)], {})


def nothing(text: str) -> Spoken:
    """A piece that is not spoken at all."""
    return Spoken("", [_Part(0, (0, len(text)), same=False)], {})


def built(text: str, claims: Iterable[Claim]) -> Spoken:
    """``text`` with ``claims`` (in order, none over another) put in place."""
    said: list[str] = []
    parts: list[_Part] = []
    tails: dict[int, int] = {}
    length = at = 0
    for claim in claims:
        if at < claim.start:
            parts.append(_Part(length, (at, claim.start), same=True))
            said.append(text[at : claim.start])
            length += claim.start - at
        say = _apart(said, claim.say, text[claim.end : claim.end + 1])
        if say:
            parts.append(_Part(length, (claim.start, claim.end), same=False))
            said.append(say)
            length += len(say)
        if claim.tail:
            tails[claim.start] = claim.end
        at = claim.end
    if at < len(text) or not parts:
        parts.append(_Part(length, (at, len(text)), same=True))
        said.append(text[at:])
    return Spoken("".join(said), parts, tails)


def _apart(before: list[str], say: str, after: str) -> str:
    """``say`` with a space where it would run into its neighbours."""
    if not say:
        return ""
    last = next((part[-1] for part in reversed(before) if part), "")
    if say[0].isalnum() and last.isalnum():
        say = f" {say}"
    return f"{say} " if say[-1].isalnum() and after.isalnum() else say
