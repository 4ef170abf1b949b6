"""What a worker measures about itself: short memories of recent latencies and speeds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from parley.loop_watch import Lags

WINDOW = 300.0
"""Seconds over which medians are taken."""


class RecentValues:
    """The values of the last minutes, bounded in number."""

    def __init__(self, window: float = WINDOW, most: int = 512) -> None:
        self._window = window
        self._values: deque[tuple[float, float]] = deque(maxlen=most)

    def add(self, now: float, value: float) -> None:
        self._values.append((now, value))

    def median(self, now: float) -> float:
        """0 when there is none."""
        while self._values and self._values[0][0] < now - self._window:
            self._values.popleft()
        return median(value for _, value in self._values) if self._values else 0.0


@dataclass(slots=True)
class WorkerStats:
    """Counted since the start, or over the last minutes."""

    first_audio: RecentValues = field(default_factory=RecentValues)
    """Seconds from the first text of an utterance to its first frame."""
    real_time_factor: RecentValues = field(default_factory=RecentValues)
    """Synthesis time over audio time, per utterance."""
    utterances: int = 0
    completed: int = 0
    stopped: int = 0
    failed: int = 0
    refused: int = 0
    frames: int = 0
    queue_depth: int = 0
    """Utterances that wait for an engine now."""
    lags: Lags = field(default_factory=Lags)
    """How late the event loop was."""
