"""When an engine that only knows whole recordings decodes a turn, and for which reason. Pure.

What counts is the transcript at the end of the turn, so that is never waited for longer than need be: decoding for
good begins when the voice stops, and what came of it is final unless the voice goes on. Partial transcripts get what
is left: each may cost a share of the time since the one before, and all of them together half of the decoders.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from parley.asr.decoder import RATE

_FIRST = RATE // 2
"""Samples below which there is hardly a word: a turn begins with some silence from before its onset."""
_ALL_PARTIALS = 0.5
"""Of the decoders' time: a turn that has ended mostly finds one free."""


class Occasion(Enum):
    """What to do with a turn now."""

    WAIT = auto()
    """Nothing, until more of it is heard."""
    PARTIAL = auto()
    """Decode what there is while its speaker goes on."""
    PAUSE = auto()
    """They are silent, or it has ended: decode as for the last time."""
    KNOWN = auto()
    """It has ended, and all that was said in it is decoded already."""


@dataclass(slots=True)
class Hearing:
    """A turn's audio, as far as it was heard and decoded. Amounts are samples."""

    heard: int = 0
    decoded: int = -1
    """How much of it the newest transcript is of; -1: there is none."""
    silent_from: int | None = None
    """Where its speaker fell silent; None while they speak."""
    ended: bool = False
    cost: float = 0.0
    """Seconds that the newest decoding took."""

    def take(self, samples: int, *, speaking: bool) -> None:
        """So much more was heard, at whose end they speak or are silent."""
        self.heard += samples
        if speaking:
            self.silent_from = None
        elif self.silent_from is None:
            self.silent_from = self.heard

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        if self.silent_from is None:
            self.silent_from = self.heard

    @property
    def known(self) -> bool:
        """Its speaker is silent, and what they said is decoded."""
        return self.silent_from is not None and self.decoded >= self.silent_from


@dataclass(frozen=True, slots=True)
class PartialBudget:
    """How much partial transcripts may cost."""

    interval: float
    """Seconds of audio between two of them at the least."""
    share: float
    """Of the time since the one before that decoding one may take: the core seconds per second of one who speaks."""
    decoders: int = 1

    def gap(self, cost: float, speakers: int) -> int:
        """Samples between two of them, where decoding takes ``cost`` seconds and so many speak at once."""
        together = cost * speakers / (_ALL_PARTIALS * self.decoders)
        return int(max(self.interval, cost / self.share, together) * RATE)


def occasion(hearing: Hearing, budget: PartialBudget, speakers: int = 1) -> Occasion:
    """What to do with a turn now, while ``speakers`` turns are open in all."""
    if hearing.known:
        return Occasion.KNOWN if hearing.ended else Occasion.WAIT
    if hearing.silent_from is not None:
        return Occasion.PAUSE
    gap = max(_FIRST, budget.gap(0.0, 1)) if hearing.decoded < 0 else budget.gap(hearing.cost, speakers)
    return Occasion.PARTIAL if hearing.heard - max(0, hearing.decoded) >= gap else Occasion.WAIT
