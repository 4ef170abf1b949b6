"""An energy gate: is anything louder than the background? Costs microseconds, so silence is nearly free.

Levels are taken per tick of 8 ms, twice, of samples that are pre-emphasised a little (the body of
a voice) and a lot (the hiss of an "s" or "f"): without that the rumble of a room, which no short
tick can measure steadily, would hide both. For each the gate learns how loud the background is and
how much it varies, from ticks that the detector behind it called no speech. A tick that stands out
opens the gate at once, for a look; speech keeps it open. A background that varies a lot (music, a
crowd) keeps it open too, since a level cannot tell speech from it.
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
"""Ticks of pink noise stand out by so many three times in two seconds, and the network looks. With 4.5 they do so more
seldom, but people who cut in over a loud echo are noticed later (`parley bench echo`)."""
_BODY, _HISS = 0.7, 0.9
"""How much of the sample before is taken from each."""
_LEAST_MARGIN_DB = 2.0
_LOOK = 0.2


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
            margin = min(self._margin_db, max(_LEAST_MARGIN_DB, _DEVIATIONS * math.sqrt(self._variance)))
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
        self._look_ticks = max(1, round(min(hold, _LOOK) / _TICK))
        self._body, self._hiss = Background(self._margin_db), Background(self._margin_db)
        self._doubtful: deque[tuple[float, float]] = deque()
        self._left = self._hold_ticks
        self.open = True  # nothing is known yet

    def levels(self, samples: NDArray[np.float32]) -> list[tuple[float, float]]:
        """Powers of whole ticks (samples scaled to 1, the one sample before them included): body and hiss."""
        return [
            _powers(samples[start : start + TICK_SAMPLES + 1]) for start in range(0, samples.size - 1, TICK_SAMPLES)
        ]

    def update(self, level: tuple[float, float]) -> bool:
        """Take one tick's powers; True when the detector has to look at this tick."""
        body, hiss = level
        if body:  # digital silence (muted, gated, frames that did not come) is no room whose noise could be learnt
            self._doubtful.append(level)
        if len(self._doubtful) > _DOUBT_TICKS:
            old_body, old_hiss = self._doubtful.popleft()
            self._body.learn(old_body)
            self._hiss.learn(old_hiss)
        if body > self._minimum and (body > self._body.threshold or hiss > self._hiss.threshold):
            self.open = True
            self._left = max(self._left, self._look_ticks)
        elif self._left:
            self._left -= 1
        else:
            self.open = False
        return self.open

    def speech(self) -> None:
        """The detector heard speech: stay open, however quiet it is, and learn nothing from it."""
        self._left = self._hold_ticks
        self._doubtful.clear()


def _powers(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Of one tick with the sample before it. A sum of (x[n] - f x[n-1])^2 for each emphasis f, out of three that both
    share: two products of vectors in place of a dozen calls for arrays as short as these."""
    now, before = samples[1:], samples[:-1]
    square, lagged = float(now.dot(now)), float(now.dot(before))
    first, last = float(samples[0]), float(samples[-1])
    earlier = square + first * first - last * last
    body = square - 2 * _BODY * lagged + _BODY * _BODY * earlier
    hiss = square - 2 * _HISS * lagged + _HISS * _HISS * earlier
    return max(0.0, body) / TICK_SAMPLES, max(0.0, hiss) / TICK_SAMPLES
