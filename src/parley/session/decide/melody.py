"""Does the melody of what was just said sound finished? Pure arithmetic over the samples before a silence.

Speakers who have finished let the pitch fall below anything else in the sentence, or, when they ask,
raise it nearly to the top; in between it is held by somebody who goes on. Only the place of the last
sounds within the speaker's own range counts, so that no voice and no language is taken for the norm.
After "Turn-taking cues in task-oriented dialogue" (Gravano and Hirschberg, 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECONDS = 2.5
"""Speech that is looked at: enough for a range, little enough to follow how it drifts down."""
_RATE = 8_000
"""Hz at which pitch is measured; the microphone's 16 kHz are halved."""
_WINDOW, _HOP, _SIZE = 320, 80, 512
"""40 ms every 10 ms, in a transform with room for the longest period."""
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 400.0
_PERIODIC = 0.55
"""Correlation with itself, one period later, from which a window is voiced."""
_AUDIBLE_DB = 22.0
"""Voiced windows are at most this much weaker than the strongest."""
_OCTAVE_ERROR = 9.0
"""Semitones from the median beyond which a pitch is not believed."""
_ENOUGH = 25
"""Voiced windows without which there is no range to speak of."""
_FLAT = 1.0
"""Semitones; a smaller range is a monotone, which says nothing."""
_LAST, _BEFORE = slice(-6, None), slice(-16, -8)
_BOTTOM, _LOW, _TOP = -0.05, 0.15, 0.9
"""Places: what ends at the first has fallen; what ends at the second has not, and in between it has in part."""
_UPPER = 0.5
_RISE = 0.5
"""Semitones in the last tenth of a second that make a high ending a rising one."""


@dataclass(frozen=True, slots=True)
class Melody:
    """How the last sounds lie in the range of what was said."""

    place: float
    """0: as low as its lowest tenth; 1: as high as its highest."""
    slope: float
    """Semitones that the pitch went up (down: negative) within the last 150 ms of voice."""

    def finished(self, *, asking: bool = False) -> float:
        """1 for a fall to the bottom and for the rise of a question, 0 for a voice that is held; between for less.

        ``asking``: the words are a question's, so that any rise in the upper half belongs to it.
        """
        if self.place >= (_UPPER if asking else _TOP) and self.slope >= _RISE:
            return 1.0
        return min(1.0, max(0.0, (_LOW - self.place) / (_LOW - _BOTTOM)))


def melody(samples: NDArray[np.int16]) -> Melody | None:
    """Of speech at 16 kHz, its end last; None where too little of it is voiced, or all on one tone."""
    pitch = _pitch(samples[-int(SECONDS * 2 * _RATE) :])
    if len(pitch) < _ENOUGH:
        return None
    pitch = pitch[np.abs(pitch - np.median(pitch)) < _OCTAVE_ERROR]
    low, high = np.percentile(pitch, (10, 90))
    if len(pitch) < _ENOUGH or high - low < _FLAT:
        return None
    last = float(np.median(pitch[_LAST]))
    return Melody((last - float(low)) / float(high - low), last - float(np.median(pitch[_BEFORE])))


def _pitch(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """The pitch of each voiced window, in semitones."""
    samples = samples[: len(samples) // 2 * 2]
    halved = (samples[::2].astype(np.float32) + samples[1::2]) * np.float32(0.5)
    if len(halved) < _WINDOW:
        return np.zeros(0)
    mean, power = _mean_and_power(halved)
    audible = power > power.max() * 10 ** (-_AUDIBLE_DB / 10)
    if not audible.any():
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(halved, _WINDOW)[::_HOP]
    likeness, shortest = _likeness(frames[audible] - mean[audible, np.newaxis])
    period, strength = _first_peak(likeness)
    voiced = strength >= _PERIODIC
    pitch: NDArray[np.float64] = 12 * np.log2(_RATE / (shortest + period[voiced]))
    return pitch


def _mean_and_power(halved: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Of each window: its mean, and the power around it; from running sums, which are exact: halves of integers."""
    ends = np.arange(_WINDOW, len(halved) + 1, _HOP)
    sums = []
    for values in (halved, np.square(halved, dtype=np.float64)):
        running = np.zeros(len(halved) + 1)
        np.cumsum(values, out=running[1:], dtype=np.float64)
        sums.append(running[ends] - running[ends - _WINDOW])
    mean = sums[0] / _WINDOW
    return mean.astype(np.float32), np.maximum(sums[1] / _WINDOW - mean**2, 0.0)


@cache
def _shape() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a window is multiplied with, and the likeness of that with itself."""
    shape = np.hanning(_WINDOW)
    return shape, np.fft.irfft(np.abs(np.fft.rfft(shape, _SIZE)) ** 2, _SIZE)


def _likeness(frames: NDArray[np.float32]) -> tuple[NDArray[np.float64], int]:
    """Of each window with itself, later by every possible period; and the shortest period, in samples.

    Divided by what the window's own shape does to it, as in Boersma's "Accurate short-term analysis" (1993).
    """
    shape, own = _shape()
    spectrum = np.fft.rfft(frames * shape, _SIZE)
    correlation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, _SIZE)
    shortest, longest = int(_RATE / _HIGHEST_HZ), int(_RATE / _LOWEST_HZ)
    energy = np.maximum(correlation[:, :1] / own[0], 1e-9)
    return correlation[:, shortest : longest + 1] / own[shortest : longest + 1] / energy, shortest


def _first_peak(likeness: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per window: where the first of the strong peaks lies, between samples; and how strong it is (0: none)."""
    inner = likeness[:, 1:-1]
    peaks = (inner >= likeness[:, :-2]) & (inner > likeness[:, 2:])
    strong = peaks & (inner >= 0.85 * inner.max(axis=1, keepdims=True))
    at, rows = strong.argmax(axis=1), np.arange(len(likeness))
    before, peak, after = (likeness[rows, at + offset] for offset in (0, 1, 2))
    bend = np.minimum(before - 2 * peak + after, -1e-9)
    shift = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    return at + 1 + shift, np.where(strong.any(axis=1), peak, 0.0)
