"""A voice's frames in the formats that clients ask for, piece by piece as they are made.

Blocking, some microseconds for each frame; used from one thread at a time.
"""

from __future__ import annotations

import struct
from io import RawIOBase
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from parley.audio.frame import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 24_000
"""Hz of everything but opus, which knows no other than 48,000."""


class Encoder(Protocol):
    """One stream."""

    content_type: str

    def add(self, pcm: bytes) -> bytes:
        """Take s16 samples at 48 kHz; return what of the file is ready."""

    def finish(self) -> bytes:
        """The rest of it."""


class Pcm:
    """s16 samples at 24 kHz, without a header."""

    content_type = "audio/pcm"

    def __init__(self) -> None:
        from soxr import ResampleStream

        self._resampler = ResampleStream(SAMPLE_RATE, RATE, 1, dtype="int16")

    def add(self, pcm: bytes) -> bytes:
        samples: bytes = self._resampler.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes()
        return samples

    def finish(self) -> bytes:
        samples: bytes = self._resampler.resample_chunk(np.zeros(0, np.int16), last=True).tobytes()
        return samples


class Wav(Pcm):
    """The same behind a header that leaves the length open: what is read until it ends."""

    content_type = "audio/wav"

    def __init__(self) -> None:
        super().__init__()
        self._header = wav_header(RATE)

    def add(self, pcm: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + super().add(pcm)


def wav_header(rate: int) -> bytes:
    """Of mono s16 samples whose number is not known yet. A length of 0 would mean none to Python's ``wave``."""
    unknown = 0xFFFFFFFF
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", unknown, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16,
                       b"data", unknown)  # fmt: skip


class _Sink(RawIOBase):
    """Where the muxer writes; it can not go back."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last time."""
        data = bytes(self._written)
        self._written.clear()
        return data


class _Coded:
    """A stream through one of FFmpeg's codecs."""

    def __init__(self, content_type: str, container: str, codec: str, rate: int, bit_rate: int, **options: str) -> None:
        import av

        self.content_type = content_type
        self._sink = _Sink()
        self._file = av.open(self._sink, "w", format=container, options=options)
        stream: Any = self._file.add_stream(codec, rate=rate, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        self._stream = stream

    def add(self, pcm: bytes) -> bytes:
        import av

        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, np.int16).reshape(1, -1), "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        self._file.mux(self._stream.encode(frame))
        return self._sink.taken()

    def finish(self) -> bytes:
        self._file.mux(self._stream.encode(None))
        self._file.close()
        return self._sink.taken()


def _mp3() -> Encoder:
    return _Coded("audio/mpeg", "mp3", "libmp3lame", RATE, 64_000, write_xing="0", id3v2_version="0")


def _opus() -> Encoder:
    # A page for each packet: what is spoken leaves at once.
    return _Coded("audio/ogg", "ogg", "libopus", SAMPLE_RATE, 40_000, page_duration="20000")


def _aac() -> Encoder:
    return _Coded("audio/aac", "adts", "aac", RATE, 64_000)


def _flac() -> Encoder:
    return _Coded("audio/flac", "flac", "flac", RATE, 0)


FORMATS: dict[str, Callable[[], Encoder]] = {
    "mp3": _mp3,
    "opus": _opus,
    "aac": _aac,
    "flac": _flac,
    "wav": Wav,
    "pcm": Pcm,
}
"""Name in a request -> what makes it."""
