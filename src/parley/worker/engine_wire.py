"""What a worker and the child process of an engine say to each other.

Length-prefixed messages over two pipes, bounded by the pipes' own size: a child whose audio is
not read waits. Adapters are pickled; both ends are the same program.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from parley import errors
from parley.audio.frame import WordMark
from parley.values import SynthesizedAudio, Voice

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOAD, SPEAK, CANCEL, QUIT = b"L", b"S", b"C", b"Q"
READY, AUDIO, END = b"R", b"A", b"E"
_HEAD = struct.Struct("<cI")
_AUDIO = struct.Struct("<IIdIBH")
_MARK = struct.Struct("<4I")
_KINDS: dict[str, type[errors.ParleyError]] = {
    kind.code: kind
    for kind in (
        errors.InvalidRequest, errors.NotFound, errors.PreconditionFailed, errors.ConfigError, errors.EngineError,
        errors.UnavailableError, errors.TimedOut, errors.CapacityError,
    )
}  # fmt: skip


def write(stream: BinaryIO, kind: bytes, payload: bytes = b"") -> None:
    """Write one message and flush it. Raises BrokenPipeError when the other side is gone."""
    stream.write(_HEAD.pack(kind, len(payload)) + payload)
    stream.flush()


def read(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Read one message. Raises EOFError when the other side is gone."""
    head = _exactly(stream, _HEAD.size)
    kind, size = _HEAD.unpack(head)
    return kind, _exactly(stream, size)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if data is None or len(data) < size:
        raise EOFError
    return data


def pack_job(number: int, text: str, voice: Voice) -> bytes:
    """A text to speak, as job ``number``."""
    return json.dumps([number, text, asdict(voice)]).encode()


def unpack_job(payload: bytes) -> tuple[int, str, Voice]:
    """Number, text and voice of a job."""
    number, text, voice = json.loads(payload)
    return number, text, Voice(**voice)


def pack_audio(number: int, audio: SynthesizedAudio, seconds: float) -> bytes:
    """Audio of job ``number``, which took ``seconds`` to make."""
    samples = np.ascontiguousarray(audio.samples)
    is_float = samples.dtype != np.int16
    if is_float:
        samples = samples.astype(np.float32, copy=False)
    head = _AUDIO.pack(number, audio.sample_rate, seconds, samples.size, is_float, len(audio.marks))
    marks = b"".join(
        _MARK.pack(mark.text_start, mark.text_end, mark.start_sample, mark.end_sample) for mark in audio.marks
    )
    return head + marks + samples.tobytes()


def unpack_audio(payload: bytes) -> tuple[int, SynthesizedAudio, float]:
    """Number of the job, its audio, and the time that it took."""
    number, rate, seconds, size, is_float, count = _AUDIO.unpack_from(payload)
    offset = _AUDIO.size
    marks = tuple(WordMark(*_MARK.unpack_from(payload, offset + i * _MARK.size)) for i in range(count))
    kind: Any = np.float32 if is_float else np.int16
    samples: NDArray[Any] = np.frombuffer(payload, kind, size, offset + count * _MARK.size)
    return number, SynthesizedAudio(samples, rate, marks), seconds


def pack_end(number: int, error: errors.ParleyError | None) -> bytes:
    """Job ``number`` is over; ``error`` says why it failed."""
    return json.dumps([number, error.code if error else "", error.message if error else ""]).encode()


def unpack_end(payload: bytes) -> tuple[int, errors.ParleyError | None]:
    """Number of the job and what went wrong."""
    number, code, message = json.loads(payload)
    return number, _KINDS.get(code, errors.EngineError)(message) if code else None
