"""Where, and how clearly, what was played comes back in the microphone.

A whitened cross-correlation (Knapp and Carter, 1976) of a tenth of a second of the microphone with the half second
that was played before: an echo is a filtered copy of what was played and stands out at one delay, another voice
resembles it at none. So a tenth of a second tells one from the other, before a canceller has learnt anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.timeline import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 6_400
"""Samples: the longest delay that is looked for, 400 ms of network, buffers and room."""
WINDOW = 1_792
"""Samples of the microphone that are compared: 112 ms."""
_SIZE = LONGEST + WINDOW
_LOWEST_HZ, _HIGHEST_HZ = 200, 6_500
_WHITENING = 0.8
_NEAR = RATE * 12 // 1_000
_EDGE = RATE * 12 // 1_000
"""Samples at either end of the delays that prove nothing: whatever is periodic, a tone or a held vowel, breaks off
there, and that stands out in any noise."""
_LINES = 6.0
"""A sound of fewer frequencies, a tone or a chord, resembles itself at any delay; a dull voice has 7 and more."""
_MOUND = 48
"""Samples: 3 ms of reflections that count as one."""


@dataclass(frozen=True, slots=True)
class Match:
    """The best delay, and how far it stands out."""

    strength: float = 0.0
    delay: float = 0.0
    at_expected: float = 0.0
    """The strength near the delay that was expected; 0 where none was."""
    comparable: bool = True
    """False where what was played resembles itself at every delay, so that nothing can be said."""


class EchoDelay:
    """Compares; costs a third of a millisecond."""

    def __init__(self) -> None:
        hertz = np.fft.rfftfreq(_SIZE, 1 / RATE)
        self._band = ((hertz > _LOWEST_HZ) & (hertz < _HIGHEST_HZ)).astype(np.float32)

    def find(self, microphone: NDArray[np.int16], playout: NDArray[np.int16], expected: float | None = None) -> Match:
        """The last ``WINDOW`` samples of one, the last ``WINDOW + LONGEST`` of the other."""
        near = np.fft.rfft(microphone.astype(np.float32), _SIZE)
        far = np.fft.rfft(playout.astype(np.float32), _SIZE)
        if self._lines(far) < _LINES:
            return Match(comparable=False)
        cross = far * near.conj()
        power = cross.real * cross.real + cross.imag * cross.imag
        cross *= self._band * (power + np.float32(1e-3)) ** np.float32(-_WHITENING / 2)
        likeness = np.fft.irfft(cross, _SIZE)[: LONGEST + 1]
        power = likeness * likeness
        usual = float(power.mean())
        if usual <= 0:
            return Match()
        # A near loudspeaker gives one sharp peak, a far one in a bare room a mound of reflections.
        sums: NDArray[np.float32] = np.zeros(power.size + 1, np.float32)
        np.cumsum(power, out=sums[1:])
        peaks = np.sqrt(power / usual)
        mounds = (sums[_MOUND:] - sums[:-_MOUND]) / (_MOUND * usual)
        sharp = _EDGE + int(peaks[_EDGE:-_EDGE].argmax())
        broad = _EDGE + int(mounds[_EDGE:-_EDGE].argmax())
        at_expected = 0.0
        if expected is not None:
            middle = LONGEST - round(expected * RATE)
            low, high = max(0, middle - _NEAR), middle + _NEAR + 1
            at_expected = float(max(peaks[low:high].max(initial=0.0), mounds[low:high].max(initial=0.0)))
        if peaks[sharp] >= mounds[broad]:
            return Match(float(peaks[sharp]), (LONGEST - sharp) / RATE, at_expected)
        return Match(float(mounds[broad]), (LONGEST - broad - _MOUND) / RATE, at_expected)

    def _lines(self, spectrum: NDArray[np.complexfloating]) -> float:
        """Over how many frequencies the power is spread."""
        power = (spectrum.real * spectrum.real + spectrum.imag * spectrum.imag) * self._band
        whole = float(power.sum())
        return whole * whole / float(np.dot(power, power)) if whole else 0.0
