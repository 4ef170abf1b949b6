"""Who is heard next when more people speak than there are decoders, and how much of it at once. Pure.

A decoder hears one turn at a time, in slices. A turn keeps its decoder while nobody else needs it, so that who
speaks alone is heard as if there were nobody else. When somebody does:

1. Turns whose speaker has fallen silent, or that have ended, go first: they may be over, and somebody waits for the
   answer. Whoever can be done soonest after their last word is first among them (its time + audio left, so that a
   long one waits for short ones, but never for ever).
2. Who has just begun to speak goes before those who have been heard for a while: most turns are short, and one that
   was heard while it was spoken is understood as soon as it ends. Its decoder waits for its next words meanwhile.
3. The others are heard in stretches, in turn: a decoder goes on to whoever has waited longest once its turn has had
   its stretch, or has been heard as far as it has been spoken. Silence is heard when nobody else speaks.
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
    silence: bool = True
    """Whether silence is heard at all: some engines know all words before it already."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Hear so much more of a turn; ``last``: that is all there is, tell what was understood."""

    turn: int
    samples: int
    last: bool
    pause: bool = False
    """Its speaker is silent since: tell all that was understood."""


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
    """Set when it has ended, and while somebody waits for what was said before a silence."""
    ended: bool = False
    silent: bool = False
    """Its speaker is, and somebody waits, or waited, for what they said before."""
    unheard: int = 0
    """Samples of what was said before the silence that no decoder has heard."""
    told: bool = False
    """What was said before the silence has been heard, and told."""
    place: int | None = None
    home: int | None = None
    """The only decoder that can go on with it."""
    used: int = 0
    """Samples heard since it got its decoder."""
    heard: int = 0
    """Samples heard at all; what was heard twice counts twice, or who has just been left would be new again."""


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

    def silent(self, turn: int, now: float) -> None:
        """Its speaker has fallen silent: what was heard so far may be all.

        Of a turn that is far behind nobody expects that soon: it has no claim to go before others.
        """
        claim = self._claims[turn]
        if claim.waiting <= self._pace.stretch:
            claim.silent, claim.unheard, claim.deadline = True, claim.waiting, now + claim.waiting / RATE

    def goes_on(self, turn: int) -> None:
        """Its speaker speaks again."""
        claim = self._claims[turn]
        claim.silent, claim.told, claim.unheard, claim.deadline = False, False, 0, None

    def ended(self, turn: int, now: float) -> None:
        """Nothing more will come."""
        claim = self._claims[turn]
        claim.ended, claim.deadline = True, now + claim.waiting / RATE

    def close(self, turn: int) -> None:
        """It is understood, or nobody wants it any more."""
        self._claims.pop(turn, None)

    def left(self, turn: int, samples: int, home: int | None = None) -> None:
        """Its decoder has let go of it, or died: ``samples`` are to be heard again, by any or only by ``home``."""
        if (claim := self._claims.get(turn)) is not None:
            claim.waiting += samples
            claim.unheard = min(claim.waiting, claim.unheard + samples) if self._owed(claim) else 0
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
        if holder.used >= (self._pace.longest or math.inf) and not self._owed(holder) and not holder.ended:
            return Leave(holder.turn)
        if best is not None and (best.home == place or not self._free()) and self._yields(holder, best):
            return Leave(holder.turn)
        return self._listen(holder) if self._has_work(holder) else None

    def _listen(self, claim: _Claim) -> Listen:
        if self._skips(claim):
            claim.waiting = 0
        owed = self._owed(claim)
        samples = min(claim.unheard if owed else claim.waiting, self._pace.slice)
        claim.waiting -= samples
        claim.used += samples
        claim.heard += samples
        if not owed:
            return Listen(claim.turn, samples, claim.ended and not claim.waiting)
        claim.unheard -= samples
        if not claim.unheard:
            claim.told, claim.deadline = True, None
        return Listen(claim.turn, samples, last=False, pause=claim.told)

    def _owed(self, claim: _Claim) -> bool:
        """Somebody waits for what was said before a silence, which is not over, nor is the turn."""
        return claim.silent and not claim.told and not claim.ended

    def _skips(self, claim: _Claim) -> bool:
        """What waits is silence, and nobody needs to hear it."""
        return claim.told and not self._pace.silence

    def _best(self, place: int) -> _Claim | None:
        """Who goes first among those without a decoder."""
        claims = [
            claim
            for claim in self._claims.values()
            if claim.place is None and claim.home in (None, place) and self._has_work(claim)
        ]
        return min(claims, key=self._order, default=None)

    def _yields(self, holder: _Claim, other: _Claim) -> bool:
        if other.deadline is not None:
            return holder.deadline is None or other.deadline < holder.deadline
        if holder.deadline is not None or other.silent:
            return False
        if self._new(other) != self._new(holder):
            return self._new(other) and other.waiting >= self._pace.slice
        if other.waiting < self._pace.ripe:
            return False
        return holder.silent or holder.used >= self._pace.stretch or holder.waiting < self._pace.grain

    def _new(self, claim: _Claim) -> bool:
        """It has just begun, and goes on: this may be all that is ever said."""
        return claim.heard < self._pace.stretch and not claim.silent

    def _order(self, claim: _Claim) -> tuple[int, float]:
        if claim.deadline is not None:
            return 0, claim.deadline
        return (3 if claim.silent else 1 if self._new(claim) else 2), claim.asked

    def _has_work(self, claim: _Claim) -> bool:
        if claim.deadline is not None:
            return True
        return claim.waiting >= self._pace.grain and not self._skips(claim)

    def _free(self) -> int:
        return self._places - sum(claim.place is not None for claim in self._claims.values())

    def _in_line(self) -> int:
        self._line += 1
        return self._line
