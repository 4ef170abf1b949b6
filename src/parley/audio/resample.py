"""Changing the sample rate of a stream, with as little held back as the job allows.

The microphone path uses short FIR filters of our own: a high-quality resampler holds 21 to
37 ms of audio back, which is most of a barge-in's budget; these hold back 0.65 ms. Synthesised
speech is made ahead of time, so its path uses soxr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ASR_RATE = 16_000
"""Hz of the microphone once it has been brought to the rate that the ears want."""
_RATIO = 3
_TAPS = 63
_CUTOFF = 7_200.0
_OUTPUTS_PER_ROW = 16


class Resampler(Protocol):
    """A stream of mono s16 samples at one rate, to another rate."""

    input_rate: int
    output_rate: int
    delay: float
    """Seconds by which the output lags behind the input, at most."""

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take any number of samples; return those that became due."""

    def flush(self) -> NDArray[np.int16]:
        """The stream is over: return what is held back. A new stream may begin."""


def lowpass(taps: int, cutoff: float, rate: float) -> NDArray[np.float64]:
    """Coefficients of a linear-phase low-pass FIR (Hamming-windowed sinc), unity gain at 0 Hz."""
    position = np.arange(taps) - (taps - 1) / 2
    shape = np.sinc(2 * cutoff / rate * position) * np.hamming(taps)
    return np.asarray(shape / shape.sum())


class PassThrough:
    """For a stream that already has the wanted rate."""

    delay = 0.0

    def __init__(self, rate: int = ASR_RATE) -> None:
        self.input_rate = self.output_rate = rate

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        return samples

    def flush(self) -> NDArray[np.int16]:
        return np.zeros(0, np.int16)


class Decimator:
    """48 to 16 kHz: one FIR low-pass, every third output computed, 0.65 ms of delay.

    0 dB at 1 kHz, -0.1 dB at 6 kHz, below -50 dB from 9 kHz on. Filtering is one small matrix
    product per block: row r of the input matrix holds the samples that 16 neighbouring outputs
    see, and the constant matrix holds the filter once for each of them.
    """

    input_rate = 48_000
    output_rate = ASR_RATE
    delay = (_TAPS - 1) / 2 / 48_000

    def __init__(self) -> None:
        taps = lowpass(_TAPS, _CUTOFF, 48_000)[::-1].astype(np.float32)
        self._hop = _OUTPUTS_PER_ROW * _RATIO
        self._width = _TAPS + self._hop - _RATIO
        self._matrix = np.zeros((self._width, _OUTPUTS_PER_ROW), np.float32)
        for output in range(_OUTPUTS_PER_ROW):
            self._matrix[output * _RATIO : output * _RATIO + _TAPS, output] = taps
        self._buffer = np.zeros(4_096, np.float32)
        self._held = _TAPS - 1

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        end = self._held + samples.size
        outputs = (end - _TAPS) // _RATIO + 1 if end >= _TAPS else 0
        rows = -(-outputs // _OUTPUTS_PER_ROW)
        self._reserve(max(end, rows * self._hop + self._width))
        buffer = self._buffer
        buffer[self._held : end] = samples
        if not outputs:
            self._held = end
            return np.zeros(0, np.int16)
        view: NDArray[np.float32] = np.ndarray((rows, self._width), np.float32, buffer, 0, (self._hop * 4, 4))
        result = (view @ self._matrix).reshape(-1)[:outputs]
        used = outputs * _RATIO
        self._held = end - used
        buffer[: self._held] = buffer[used:end].copy()
        return _rounded(result)

    def flush(self) -> NDArray[np.int16]:
        tail = self.process(np.zeros((_TAPS - 1) // 2, np.int16))
        self._buffer[:] = 0
        self._held = _TAPS - 1
        return tail

    def _reserve(self, size: int) -> None:
        if size > self._buffer.size:
            grown = np.zeros(2 * size, np.float32)
            grown[: self._held] = self._buffer[: self._held]
            self._buffer = grown


def _rounded(values: NDArray[np.float32]) -> NDArray[np.int16]:
    np.rint(values, out=values)
    np.minimum(values, 32_767, out=values)
    np.maximum(values, -32_768, out=values)
    return values.astype(np.int16)


class StreamingResampler:
    """Any rate to any rate by soxr, s16 or float32, held-back samples included on ``last``.

    ``quality`` is soxr's: "QQ" holds nothing back, "HQ" about 21 ms on average but is clean up to
    the band's edge. Output is aligned in time with the input once it arrives.
    """

    def __init__(self, input_rate: int, output_rate: int, *, dtype: str = "int16", quality: str = "HQ") -> None:
        import soxr

        self.input_rate, self.output_rate = input_rate, output_rate
        self.delay = {"QQ": 0.001, "LQ": 0.02}.get(quality, 0.045)
        self._dtype = dtype
        self._same = input_rate == output_rate
        self._stream = None if self._same else soxr.ResampleStream(input_rate, output_rate, 1, dtype, quality)

    def process(self, samples: NDArray[Any], *, last: bool = False) -> NDArray[Any]:
        """Return the samples due; with ``last`` also those held back, after which nothing may follow but a clear."""
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(np.ascontiguousarray(samples, dtype=self._dtype), last=last))

    def flush(self) -> NDArray[Any]:
        """End the stream, return what was held back, and be ready for another."""
        if self._stream is None:
            return np.zeros(0, self._dtype)
        tail = np.asarray(self._stream.resample_chunk(np.zeros(0, self._dtype), last=True))
        self._stream.clear()
        return tail


def resample(samples: NDArray[Any], input_rate: int, output_rate: int) -> NDArray[Any]:
    """Resample a whole recording, s16 or float32; the dtype is kept."""
    if input_rate == output_rate:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, input_rate, output_rate, quality="HQ"))


def microphone_resampler(input_rate: int) -> Resampler:
    """The resampler for a microphone at ``input_rate``, to 16 kHz, with the least delay there is."""
    if input_rate == ASR_RATE:
        return PassThrough(ASR_RATE)
    if input_rate == 48_000:
        return Decimator()
    return StreamingResampler(input_rate, ASR_RATE, quality="QQ")
