"""WAV files: any common sample format in, mono s16 out."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from parley.audio.levels import samples_of, to_int16
from parley.audio.resample import resample
from parley.errors import InvalidRequest

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN_LENGTH = 0xFFFFFFFF


def read_wav(path: str | Path, sample_rate: int | None = None) -> tuple[NDArray[np.int16], int]:
    """Read a file as mono s16; channels are averaged; resampled when ``sample_rate`` is given.

    Returns samples and their rate. Raises InvalidRequest with the file's name when it is no WAV
    file or holds a format that is not PCM (8, 16, 24, 32 bit) or float (32, 64 bit).
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"The file {path} cannot be read: {error.strerror or error}.") from None
    try:
        samples, rate = parse_wav(data)
    except InvalidRequest as error:
        raise InvalidRequest(f"{path}: {error}") from None
    if sample_rate is None or sample_rate == rate:
        return samples, rate
    return to_int16(resample(samples, rate, sample_rate)), sample_rate


def parse_wav(data: bytes) -> tuple[NDArray[np.int16], int]:
    """The same for bytes in memory, at the rate they have."""
    if len(data) < 12 or data[:4] not in (b"RIFF", b"RF64") or data[8:12] != b"WAVE":
        raise InvalidRequest("This is not a WAV file.")
    layout: tuple[int, int, int, int] | None = None
    position = 12
    while position + 8 <= len(data):
        name, size = data[position : position + 4], struct.unpack_from("<I", data, position + 4)[0]
        body = position + 8
        if name == b"fmt ":
            layout = _parse_format(data[body : body + size])
        elif name == b"data":
            if layout is None:
                raise InvalidRequest("The WAV file has data before its format.")
            end = len(data) if size in (0, _UNKNOWN_LENGTH) else min(len(data), body + size)
            return _decode(data[body:end], *layout[:3]), layout[3]
        position = body + size + size % 2
    raise InvalidRequest("The WAV file holds no audio.")


def _parse_format(chunk: bytes) -> tuple[int, int, int, int]:
    if len(chunk) < 16:
        raise InvalidRequest("The WAV file's format chunk is cut short.")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        kind = struct.unpack_from("<H", chunk, 24)[0]
    if not 1 <= channels <= 64 or not 1_000 <= rate <= 768_000:
        raise InvalidRequest(f"The WAV file claims {channels} channels at {rate} Hz.")
    if (kind, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}:
        raise InvalidRequest(f"WAV format {kind} with {bits} bits is not supported; use 16 bit PCM.")
    return kind, bits, channels, rate


def _decode(data: bytes, kind: int, bits: int, channels: int) -> NDArray[np.int16]:
    data = data[: len(data) // (bits // 8 * channels) * (bits // 8 * channels)]
    samples: NDArray[np.int16]
    if kind == _FLOAT:
        values = np.frombuffer(data, "<f4" if bits == 32 else "<f8").astype(np.float32)
        samples = to_int16(np.nan_to_num(values))
    elif bits == 8:
        samples = ((np.frombuffer(data, np.uint8).astype(np.int16) - 128) * 256).astype(np.int16)
    elif bits == 16:
        samples = samples_of(data).astype(np.int16)
    elif bits == 24:
        high = np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(-1, 3)[:, 1:])
        samples = high.reshape(-1).view(np.int16)
    else:
        samples = (np.frombuffer(data, "<i4") >> 16).astype(np.int16)
    if channels == 1:
        return samples
    return np.asarray(np.rint(samples.reshape(-1, channels).mean(axis=1)), np.int16)


def wav_header(sample_rate: int, data_bytes: int) -> bytes:
    """The 44 bytes before mono s16 data."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", min(36 + data_bytes, _UNKNOWN_LENGTH), b"WAVE",
        b"fmt ", 16, _PCM, 1, sample_rate, 2 * sample_rate, 2, 16,
        b"data", min(data_bytes, _UNKNOWN_LENGTH),
    )  # fmt: skip


def wav_bytes(samples: NDArray[np.int16] | NDArray[np.float32], sample_rate: int) -> bytes:
    """A whole WAV file in memory."""
    pcm = to_int16(samples).astype("<i2").tobytes()
    return wav_header(sample_rate, len(pcm)) + pcm


def write_wav(path: str | Path, samples: NDArray[np.int16] | NDArray[np.float32], sample_rate: int) -> None:
    """Write mono s16."""
    Path(path).write_bytes(wav_bytes(samples, sample_rate))


class WavWriter:
    """Writes mono s16 piece by piece; the file is a valid WAV file after ``close``.

    Works on a path or on an open binary stream; a stream that cannot seek (standard output)
    keeps a header that says "until the end".
    """

    def __init__(self, target: str | Path | BinaryIO, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.samples = 0
        self._owned = isinstance(target, (str, Path))
        self._file: BinaryIO = Path(target).open("wb") if isinstance(target, (str, Path)) else target  # noqa: SIM115
        self._seekable = self._file.seekable()
        self._start = self._file.tell() if self._seekable else 0
        self._closed = False
        self._file.write(wav_header(sample_rate, _UNKNOWN_LENGTH))

    def write(self, pcm: bytes | NDArray[np.int16]) -> None:
        """Append s16le bytes or samples."""
        data = pcm if isinstance(pcm, bytes) else pcm.astype("<i2").tobytes()
        self._file.write(data)
        self.samples += len(data) // 2

    def close(self) -> None:
        """Complete the header. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._seekable:
            self._file.seek(self._start)
            self._file.write(wav_header(self.sample_rate, 2 * self.samples))
            self._file.seek(0, 2)
        if self._owned:
            self._file.close()
        else:
            self._file.flush()

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
