"""An energy gate: is anything louder than the background? Costs microseconds, so silence is nearly free.

Levels are taken per tick of 8 ms, of pre-emphasised samples: that takes out the rumble of a room,
which no short tick can measure steadily, and lifts the soft hiss of an "s" or "f". The gate learns
how loud the background is and how much it varies, from ticks that the detector behind it called no
speech. A tick that stands out opens the gate at once; it closes after a hold. A background that
varies a lot (music, a crowd) keeps the gate open, since a level cannot tell speech from it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TICK_SAMPLES = 128
"""Samples per decision: 8 ms at 16 kHz."""
_TICK = TICK_SAMPLES / 16_000
_SILENCE = 1e-12
_RATE = 1 / 100
"""Weight of a new tick: the background is learnt over about 0.8 s."""
_LEARNT_TICKS = 60
_DOUBT_TICKS = 15
"""A tick counts as background only this much later, if no speech was found meanwhile."""
_DEVIATIONS = 3.5
_EMPHASIS = np.float32(0.86)


class Background:
    """Running mean and spread of a level in dB, and the level from which a tick stands out."""

    def __init__(self, margin_db: float) -> None:
        self._margin_db = margin_db
        self._mean = -120.0
        self._variance = 0.0
        self._ticks = 0
        self.threshold = 0.0
        """As a power, ready for comparison; 0 until enough is known."""

    def learn(self, power: float) -> None:
        """Take the power of a tick that held no speech."""
        level = 10 * math.log10(power + _SILENCE)
        self._ticks += 1
        rate = max(_RATE, 1 / self._ticks)
        difference = level - self._mean
        self._mean += rate * difference
        self._variance = (1 - rate) * (self._variance + rate * difference * difference) if self._ticks > 1 else 0.0
        if self._ticks >= _LEARNT_TICKS:
            margin = min(self._margin_db, max(3.0, _DEVIATIONS * math.sqrt(self._variance)))
            self.threshold = 10 ** ((self._mean + margin) / 10)


class EnergyGate:
    """Decides tick by tick whether the detector behind it needs to look.

    ``margin_db`` bounds from above what counts as standing out; ``minimum_dbfs`` is the level below
    which nothing does; ``hold`` is in seconds.
    """

    def __init__(self, margin_db: float, minimum_dbfs: float, hold: float) -> None:
        self._margin_db = margin_db
        self._minimum = 10 ** (minimum_dbfs / 10)
        self._hold_ticks = max(1, round(hold / _TICK))
        self.reset()

    def reset(self) -> None:
        """Forget the background; the gate starts open, since nothing is known yet."""
        self._background = Background(self._margin_db)
        self._doubtful: deque[float] = deque()
        self._left = self._hold_ticks
        self.open = True

    def levels(self, samples: NDArray[np.float32]) -> list[float]:
        """Powers of whole ticks (samples scaled to 1), the one sample before them included."""
        sharp = (samples[1:] - _EMPHASIS * samples[:-1]).reshape(-1, TICK_SAMPLES)
        powers: list[float] = (np.einsum("ij,ij->i", sharp, sharp) / TICK_SAMPLES).tolist()
        return powers

    def update(self, power: float) -> bool:
        """Take one tick's power; True when the detector has to look at this tick."""
        self._doubtful.append(power)
        if len(self._doubtful) > _DOUBT_TICKS:
            self._background.learn(self._doubtful.popleft())
        if power > self._minimum and power > self._background.threshold:
            self.open = True
            self._left = self._hold_ticks
        elif self._left:
            self._left -= 1
        else:
            self.open = False
        return self.open

    def speech(self) -> None:
        """The detector heard speech: stay open, however quiet it is, and learn nothing from it."""
        self._left = self._hold_ticks
        self._doubtful.clear()
