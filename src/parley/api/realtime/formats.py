"""Sound as clients of the Realtime interface send and take it: 24 kHz PCM, or G.711 at 8 kHz.

Short filters of our own, since what a resampler holds back is missing from every barge-in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from parley.audio.frame import SAMPLE_RATE
from parley.audio.resample import lowpass, microphone_resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
_TAPS_PER_STEP = 32
_EDGE = 0.45
"""Of the new rate: where the filter begins to fall."""
_CLIP, _BIAS = 32_635, 0x84


class Microphone:
    """From the client's bytes to 16 kHz s16."""

    def __init__(self, kind: str) -> None:
        self.rate = RATES[kind]
        self._kind = kind
        self._resampler = microphone_resampler(self.rate)
        self._odd = b""

    def samples(self, data: bytes) -> bytes:
        """The next bytes; half a sample is kept until its other half comes."""
        if self._kind == "audio/pcm":
            data = self._odd + data
            whole = len(data) // 2 * 2
            self._odd, data = data[whole:], data[:whole]
            heard = np.frombuffer(data, "<i2")
        else:
            table = _FROM_ULAW if self._kind == "audio/pcmu" else _FROM_ALAW
            heard = table[np.frombuffer(data, np.uint8)]
        return self._resampler.process(heard).astype("<i2").tobytes()

    def seconds(self, data: bytes) -> float:
        """How long they sound."""
        return len(data) / (2 if self._kind == "audio/pcm" else 1) / self.rate


class Loudspeaker:
    """From the agent's 48 kHz s16 to the client's bytes."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._step = SAMPLE_RATE // RATES[kind]
        taps = _TAPS_PER_STEP * self._step + 1
        self._taps = lowpass(taps, _EDGE * RATES[kind], SAMPLE_RATE)
        self._before = np.zeros(taps - 1)

    def data(self, pcm: bytes) -> bytes:
        """The next frame."""
        samples = np.concatenate((self._before, np.frombuffer(pcm, "<i2").astype(np.float64)))
        self._before = samples[-len(self._before) :]
        thinned = np.convolve(samples, self._taps, "valid")[:: self._step]
        said = np.clip(np.rint(thinned), -32_768, 32_767).astype(np.int16)
        if self._kind == "audio/pcm":
            return said.astype("<i2").tobytes()
        return (to_ulaw(said) if self._kind == "audio/pcmu" else to_alaw(said)).tobytes()


def to_ulaw(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """G.711 mu-law."""
    wide = samples.astype(np.int32)
    size = np.minimum(np.abs(wide), _CLIP) + _BIAS
    exponent = np.floor(np.log2(size)).astype(np.int32) - 7
    mantissa = (size >> (exponent + 3)) & 0x0F
    sign = np.where(wide < 0, 0x80, 0)
    coded: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return coded


def to_alaw(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """G.711 A-law."""
    wide = samples.astype(np.int32) >> 3
    size = np.where(wide >= 0, wide, -wide - 1)
    exponent = np.maximum(np.floor(np.log2(np.maximum(size, 1))).astype(np.int32) - 4, 0)
    mantissa = np.where(exponent < 1, size >> 1, size >> np.maximum(exponent, 1)) & 0x0F
    sign = np.where(samples >= 0, 0x80, 0)
    coded: NDArray[np.uint8] = ((sign | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8)
    return coded


def _ulaw_table() -> NDArray[np.int16]:
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    size = (((mantissa << 3) + _BIAS) << exponent) - _BIAS
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _alaw_table() -> NDArray[np.int16]:
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    size = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


_FROM_ULAW, _FROM_ALAW = _ulaw_table(), _alaw_table()
