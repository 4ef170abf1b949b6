"""What a recogniser has to do at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Workload:
    """Of one recogniser, or of several together."""

    turns: int = 0
    """That are being heard, or wait for it."""
    waiting: float = 0.0
    """Seconds of sound that no decoder has heard, of all turns."""
    lag: float = 0.0
    """The same of the turn that is farthest behind."""
    decoders: int = 0
    """Processes that run."""
    busy: int = 0
    """Of them, those that are decoding."""
    deaths: int = 0
    """Processes that died or hung over a turn, since the start."""

    def __add__(self, other: Workload) -> Workload:
        return Workload(
            self.turns + other.turns,
            self.waiting + other.waiting,
            max(self.lag, other.lag),
            self.decoders + other.decoders,
            self.busy + other.busy,
            self.deaths + other.deaths,
        )


@runtime_checkable
class Working(Protocol):
    """A recogniser that says what it has to do; not every one does."""

    @property
    def workload(self) -> Workload:
        """At this moment."""
