"""Keeps peaks below a ceiling by turning the gain down around them, a few milliseconds ahead.

Bending a wave (a knee, a clip) puts energy where the voice has none, up to half the sampling rate. A gain that moves
slowly puts it within some hundred Hz of what was there, under what masks it.

A peak that is 5 ms ahead holds the gain down; two running means make a smooth way to it and back; what is let go
rises at a bounded rate, so that the gain does not follow every period of a voice. All of it is counted in whole
numbers, so that the outcome does not depend on how the samples were cut into pieces, to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from parley.audio.levels import gain_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

CEILING_DB = -1.0
"""dBFS that no sample passes."""
LOOK_AHEAD = 0.005
"""Seconds of sound that are held back."""
RELEASE = 6.0
"""The most by which the gain rises in a second: from -6 dB to none takes a twelfth of one."""
_ONE = 1 << 30
"""A gain of one, in whole numbers."""


class Limiter:
    """One stream of mono float samples. ``process`` gives back less than it took by at most ``delay`` samples."""

    def __init__(self, sample_rate: int, *, ceiling_db: float = CEILING_DB) -> None:
        half = max(1, round(LOOK_AHEAD * sample_rate / 2))
        self.delay = 2 * half
        """Samples that are held back until what follows them is known."""
        self._half = half
        self._ceiling = np.float32(gain_of(ceiling_db))
        self._rise = max(1, round(_ONE * RELEASE / sample_rate))
        self.reset()

    def reset(self) -> None:
        """Begin another stream."""
        self._held = np.zeros(self.delay, np.float32)
        self._skip = self.delay
        """Of what is held, the silence in front of the stream, which nobody is given."""
        self._gain = _ONE
        self._path = np.full(self.delay, _ONE, np.int64)
        """The gains that the next mean begins with."""

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take float samples of any level; return those that are decided, in order."""
        if not samples.size:
            return samples
        sound = np.concatenate((self._held, samples))
        count = samples.size
        self._held = sound[count:]
        out = sound[:count]
        if self._at_rest() and max(float(sound.max()), -float(sound.min())) <= self._ceiling:
            gained = out
        else:
            gained = out * (self._gains(sound) * (1 / _ONE)).astype(np.float32)
        skipped = min(self._skip, count)
        self._skip -= skipped
        return gained[skipped:]

    def flush(self) -> NDArray[np.float32]:
        """Return what is held back; the stream is over."""
        rest = self.process(np.zeros(self.delay, np.float32))
        self.reset()
        return rest

    def _at_rest(self) -> bool:
        return self._gain == _ONE and int(self._path.min()) == _ONE

    def _gains(self, sound: NDArray[np.float32]) -> NDArray[np.float64]:
        """The gain of each sample of ``sound`` but the last ``delay``, in units of ``_ONE``."""
        count = sound.size - self.delay
        bound = _lowest_ahead(self._bounds(sound), self.delay)
        steps = np.arange(1, count + 1, dtype=np.int64) * self._rise
        low = np.minimum.accumulate(np.concatenate(([self._gain], bound - steps)))[1:] + steps
        self._gain = int(low[-1])
        path = np.concatenate((self._path, low))
        self._path = path[count:]
        return _running_mean(_running_mean(path, self._half), self._half).astype(np.float64)

    def _bounds(self, sound: NDArray[np.float32]) -> NDArray[np.int64]:
        """The highest gain that each sample by itself may have."""
        magnitude = np.abs(sound).astype(np.float64)
        return np.floor(_ONE * (self._ceiling / np.maximum(magnitude, self._ceiling))).astype(np.int64)


def _lowest_ahead(values: NDArray[np.int64], ahead: int) -> NDArray[np.int64]:
    """The least of each value and the ``ahead`` behind it, where all of those are there."""
    width, lowest = 1, values
    while 2 * width <= ahead + 1:
        lowest = np.minimum(lowest[: lowest.size - width], lowest[width:])
        width *= 2
    rest = ahead + 1 - width
    return np.minimum(lowest[: lowest.size - rest], lowest[rest:]) if rest else lowest


def _running_mean(values: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """The mean, rounded down, of each value and the ``width`` before it, where all of those are there."""
    sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(values)))
    return (sums[width + 1 :] - sums[: -width - 1]) // (width + 1)
