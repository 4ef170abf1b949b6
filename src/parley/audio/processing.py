"""WebRTC's audio processing, from the livekit package: echo canceller and noise suppressor, in 10 ms blocks."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.errors import ConfigError
from parley.hints import install

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000
BLOCK = 160
"""Samples per block: 10 ms."""


def available() -> bool:
    """True where the livekit package is installed."""
    return find_spec("livekit") is not None and find_spec("livekit.rtc") is not None


def library() -> Any:
    """The package, imported: that takes a fifth of a second, once. ConfigError when it is missing."""
    if not available():
        raise ConfigError(
            f"Echo cancelling and noise suppression need the livekit package; install it with: {install('echo')}."
        )
    from livekit import rtc

    return rtc


class AudioProcessing:
    """One stream's processing state. ConfigError when the package is missing."""

    def __init__(self, *, echo: bool = False, noise: bool = False) -> None:
        rtc = library()
        self._frame = rtc.AudioFrame
        self._module: Any = rtc.AudioProcessingModule(
            echo_cancellation=echo, noise_suppression=noise, high_pass_filter=echo, auto_gain_control=False
        )

    def far(self, block: NDArray[np.int16]) -> None:
        """What the loudspeaker plays, 160 samples; call it before the microphone's block of the same moment."""
        self._module.process_reverse_stream(self._frame(bytearray(block.tobytes()), RATE, 1, BLOCK))
        self._module.set_stream_delay_ms(0)

    def near(self, block: NDArray[np.int16]) -> NDArray[np.int16]:
        """The microphone's 160 samples, processed."""
        frame = self._frame(bytearray(block.tobytes()), RATE, 1, BLOCK)
        self._module.process_stream(frame)
        return np.frombuffer(bytes(frame.data), np.int16)


class Blocks:
    """Cuts a stream into blocks of 160 samples and joins the results: as many samples out as in.

    Streams in whole blocks, the usual case, are not delayed; any other by one block from then on.
    """

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.int16)
        self._ready = np.zeros(0, np.int16)

    def cut(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Whole blocks, one per row."""
        if not self._rest.size and samples.size % BLOCK == 0:
            return samples.reshape(-1, BLOCK)
        joined = np.concatenate((self._rest, samples))
        count = joined.size // BLOCK * BLOCK
        self._rest = joined[count:].copy()
        return joined[:count].reshape(-1, BLOCK)

    def join(self, blocks: NDArray[np.int16], wanted: int) -> NDArray[np.int16]:
        """``wanted`` samples out of the processed blocks."""
        flat = blocks.reshape(-1)
        if not self._ready.size and flat.size == wanted:
            return flat
        joined = np.concatenate((self._ready, flat))
        if joined.size < wanted:
            joined = np.concatenate((np.zeros(BLOCK, np.int16), joined))
        self._ready = joined[wanted:].copy()
        return joined[:wanted]
