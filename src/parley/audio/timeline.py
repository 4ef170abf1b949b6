"""The last seconds of a stream, addressed by the samples' time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000
_SPAN = 4 * RATE
"""Samples that a timeline remembers."""
_JITTER = RATE // 25
"""Arrival times within 40 ms of what the samples say are the samples' own."""


class Timeline:
    """The last four seconds of a stream; what was not written is silence."""

    def __init__(self) -> None:
        self._ring = np.zeros(_SPAN, np.int16)
        self.end = 0
        """One past the newest sample, counted at 16 kHz on the clock."""

    def write(self, samples: NDArray[np.int16], start: int) -> None:
        """Write at ``start``; close to the end it is taken to follow on, so that jitter tears nothing."""
        if abs(start - self.end) <= _JITTER:
            start = self.end
        elif start > self.end:
            gap = min(start - self.end, _SPAN)
            self._put(np.zeros(gap, np.int16), start - gap)
        self._put(samples[-_SPAN:], start + max(0, samples.size - _SPAN))
        self.end = start + samples.size

    def read(self, start: int, count: int) -> NDArray[np.int16]:
        """``count`` samples from ``start`` on."""
        values = np.zeros(count, np.int16)
        low, high = max(start, self.end - _SPAN), min(start + count, self.end)
        if high > low:
            place = low % _SPAN
            first = min(high - low, _SPAN - place)
            values[low - start : low - start + first] = self._ring[place : place + first]
            values[low - start + first : high - start] = self._ring[: high - low - first]
        return values

    def _put(self, samples: NDArray[np.int16], start: int) -> None:
        place = start % _SPAN
        first = min(samples.size, _SPAN - place)
        self._ring[place : place + first] = samples[:first]
        self._ring[: samples.size - first] = samples[first:]
