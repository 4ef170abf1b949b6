"""What a worker and the child process of a voice say to each other, in the messages of ``children.wire``.

Bounded by the pipes' own size: a child whose audio is not read waits. Adapters are pickled; both ends are the same
program, though their Pythons may differ.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from parley.audio.frame import WordMark
from parley.children import wire
from parley.values import SynthesizedAudio, Voice, WordMarks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parley.errors import ParleyError
    from parley.interfaces import TtsAdapter

LOAD, SPEAK, CANCEL, QUIT = b"L", b"S", b"C", b"Q"
TAKE_LORA, DROP_LORA = b"T", b"D"
TAKE_VOICE, DROP_VOICE = b"V", b"W"
CHANGES = (TAKE_LORA, DROP_LORA, TAKE_VOICE, DROP_VOICE)
READY, AUDIO, END, CHANGED = b"R", b"A", b"E", b"N"
_AUDIO = struct.Struct("<IIdIBH")
_MARK = struct.Struct("<4I")
_END = struct.Struct("<I")
_CHANGED = struct.Struct("<Q")
_MARKS: tuple[WordMarks, ...] = get_args(WordMarks)


class _Pickler(pickle.Pickler):
    """Names nothing whose place differs between Pythons: paths live in another module since 3.13."""

    def reducer_override(self, thing: Any) -> Any:
        return (path_of, (str(thing),)) if isinstance(thing, PurePath) else NotImplemented


def path_of(name: str) -> Path:
    """What a path becomes at the other end."""
    return Path(name)


def pack_adapter(adapter: TtsAdapter) -> bytes:
    """An adapter that is not loaded."""
    packed = io.BytesIO()
    _Pickler(packed, protocol=4).dump(adapter)
    return packed.getvalue()


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


def pack_ready(error: ParleyError | None, marks: WordMarks) -> bytes:
    """The adapter is loaded, or ``error`` says why not; ``marks`` is whose word marks it gives."""
    return bytes([_MARKS.index(marks)]) + wire.pack_error(error)


def unpack_ready(payload: bytes) -> tuple[ParleyError | None, WordMarks]:
    """What went wrong, and whose word marks there are."""
    return wire.unpack_error(payload[1:]), _MARKS[payload[0]]


def pack_lora(name: str, folder: Path) -> bytes:
    """A LoRA to be read."""
    return json.dumps([name, str(folder)]).encode()


def unpack_lora(payload: bytes) -> tuple[str, Path]:
    """Its name and its folder."""
    name, folder = json.loads(payload)
    return name, Path(folder)


def pack_changed(size: int, error: ParleyError | None) -> bytes:
    """A LoRA has come and takes ``size`` bytes, or has gone; ``error`` says why not."""
    return _CHANGED.pack(size) + wire.pack_error(error)


def unpack_changed(payload: bytes) -> tuple[int, ParleyError | None]:
    """The bytes that it takes, and what went wrong."""
    return _CHANGED.unpack_from(payload)[0], wire.unpack_error(payload[_CHANGED.size :])


def pack_end(number: int, error: ParleyError | None) -> bytes:
    """Job ``number`` is over; ``error`` says why it failed."""
    return _END.pack(number) + wire.pack_error(error)


def unpack_end(payload: bytes) -> tuple[int, ParleyError | None]:
    """Number of the job and what went wrong."""
    return _END.unpack_from(payload)[0], wire.unpack_error(payload[_END.size :])
