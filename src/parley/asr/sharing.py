"""Who is heard next when more people speak than there are decoders, and how much of it at once. Pure.

A decoder hears one turn at a time, in slices. A turn keeps its decoder while nobody else needs it, so that who
speaks alone is heard as if there were nobody else. When somebody does:

1. Turns that have ended go first: whoever can be done soonest after their end (end + audio left, so that
   a long one waits for short ones, but never for ever).
2. The others are heard in stretches, in turn: a decoder goes on to whoever has waited longest once its turn has had
   its stretch, or has been heard as far as it has been spoken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

RATE = 16_000


@dataclass(frozen=True, slots=True)
class Pace:
    """Amounts of audio, in samples."""

    grain: int = RATE // 10
    """Less than this is not worth a decoder's while."""
    slice: int = 3 * RATE // 10
    """Heard at once: nobody can come in between."""
    ripe: int = RATE
    """A turn that has so much waiting may ask for another one's decoder."""
    stretch: int = 3 * RATE
    """How long a turn may keep a decoder that others ask for; going over costs the last word, heard again."""
    longest: int = 30 * RATE
    """How much is heard without leaving the turn once; no more than this is ever heard again (0: no bound)."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Hear so much more of a turn; ``last``: that is all there is, tell what was understood."""

    turn: int
    samples: int
    last: bool


@dataclass(frozen=True, slots=True)
class Leave:
    """Fix what was understood of a turn, and let go of it."""

    turn: int


@dataclass(slots=True)
class _Claim:
    turn: int
    asked: int
    """When it last got in line."""
    waiting: int = 0
    deadline: float | None = None
    """Set when it has ended."""
    place: int | None = None
    home: int | None = None
    """The only decoder that can go on with it."""
    used: int = 0
    """Samples heard since it got its decoder."""


class Sharing:
    """Turns, the audio of each that waits, and which decoder (a place, from 0) hears which."""

    def __init__(self, places: int, pace: Pace = Pace()) -> None:
        self._places, self._pace = places, pace
        self._claims: dict[int, _Claim] = {}
        self._line = 0

    def open(self, turn: int) -> None:
        """Somebody begins to speak."""
        self._claims[turn] = _Claim(turn, self._in_line())

    def heard(self, turn: int, samples: int) -> None:
        """So much more waits to be decoded."""
        self._claims[turn].waiting += samples

    def ended(self, turn: int, now: float) -> None:
        """Nothing more will come."""
        claim = self._claims[turn]
        claim.deadline = now + claim.waiting / RATE

    def close(self, turn: int) -> None:
        """It is understood, or nobody wants it any more."""
        self._claims.pop(turn, None)

    def left(self, turn: int, samples: int, home: int | None = None) -> None:
        """Its decoder has let go of it, or died: ``samples`` are to be heard again, by any or only by ``home``."""
        if (claim := self._claims.get(turn)) is not None:
            claim.waiting += samples
            claim.place, claim.home, claim.used, claim.asked = None, home, 0, self._in_line()

    def waiting(self, turn: int) -> int:
        """Samples of a turn that no decoder has heard."""
        return self._claims[turn].waiting

    @property
    def wanting(self) -> int:
        """Turns with something to hear."""
        return sum(self._has_work(claim) for claim in self._claims.values())

    def next(self, place: int) -> Listen | Leave | None:
        """What the decoder at ``place`` does now; None: wait for more audio."""
        holder = next((claim for claim in self._claims.values() if claim.place == place), None)
        best = self._best(place)
        if holder is None:
            if best is None:
                return None
            best.place = place
            return self._listen(best)
        if holder.used >= (self._pace.longest or math.inf) and holder.deadline is None:
            return Leave(holder.turn)
        if best is not None and (best.home == place or not self._free()) and self._yields(holder, best):
            return Leave(holder.turn)
        return self._listen(holder) if self._has_work(holder) else None

    def _listen(self, claim: _Claim) -> Listen:
        samples = min(claim.waiting, self._pace.slice)
        claim.waiting -= samples
        claim.used += samples
        return Listen(claim.turn, samples, claim.deadline is not None and not claim.waiting)

    def _best(self, place: int) -> _Claim | None:
        """Who goes first among those without a decoder."""
        claims = [
            claim
            for claim in self._claims.values()
            if claim.place is None and claim.home in (None, place) and self._has_work(claim)
        ]
        return min(claims, key=_order, default=None)

    def _yields(self, holder: _Claim, other: _Claim) -> bool:
        if other.deadline is not None:
            return holder.deadline is None or other.deadline < holder.deadline
        if holder.deadline is not None or other.waiting < self._pace.ripe:
            return False
        return holder.used >= self._pace.stretch or holder.waiting < self._pace.grain

    def _has_work(self, claim: _Claim) -> bool:
        return claim.deadline is not None or claim.waiting >= self._pace.grain

    def _free(self) -> int:
        return self._places - sum(claim.place is not None for claim in self._claims.values())

    def _in_line(self) -> int:
        self._line += 1
        return self._line


def _order(claim: _Claim) -> tuple[bool, float]:
    return (False, claim.deadline) if claim.deadline is not None else (True, claim.asked)
