"""Sample formats and levels: s16 and float, decibels relative to full scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL_SCALE = 32_768.0
"""The s16 value that stands for 1.0."""
_S16, _INT16 = np.dtype("<i2"), np.dtype(np.int16)  # made once: their names would be read again for each frame
_SCALE = np.float32(1 / FULL_SCALE)
SILENCE_DB = -120.0
"""What digital silence is called; no level is reported below it."""


def samples_of(pcm: bytes | bytearray | memoryview) -> NDArray[np.int16]:
    """View s16le bytes as samples, without a copy; a view of ``bytes`` is read-only."""
    return np.frombuffer(pcm, _S16)


def to_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32 in -1..1; s16 is scaled, floats are taken as they are."""
    if samples.dtype == _INT16:
        scaled: NDArray[np.float32] = np.multiply(samples, _SCALE, dtype=np.float32)
        return scaled
    return samples.astype(np.float32, copy=False)


def to_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Return s16; floats in -1..1 are scaled and rounded, and whatever is louder is clipped."""
    if samples.dtype == np.int16:
        return samples
    scaled = samples * np.float32(FULL_SCALE)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32_768, 32_767, out=scaled)
    return scaled.astype(np.int16)


def gain_of(db: float) -> float:
    """Amplitude factor of a gain in dB."""
    return float(10.0 ** (db / 20.0))


def decibels(amplitude: float) -> float:
    """Gain in dB of an amplitude factor; never below ``SILENCE_DB``."""
    return max(SILENCE_DB, 20.0 * math.log10(amplitude)) if amplitude > 0 else SILENCE_DB


def mean_square(samples: NDArray[Any]) -> float:
    """Mean power, 1.0 for a full-scale square wave; 0 for no samples."""
    if not samples.size:
        return 0.0
    values = to_float(samples)
    return float(np.dot(values, values)) / values.size


def level_db(samples: NDArray[Any]) -> float:
    """RMS level in dBFS: 0 for a full-scale square wave, -3 for a full-scale sine."""
    power = mean_square(samples)
    return max(SILENCE_DB, 10.0 * math.log10(power)) if power > 0 else SILENCE_DB
