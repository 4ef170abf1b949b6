"""Values of the house to and from the messages of ``parley.tts.v1``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, AudioFrame, WordMark
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.values import Capabilities, ClonedVoice, ModelState, ModelStatus, NewVoice
from parley.values import ModelInfo, Voice, Wording

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATES: tuple[ModelState, ...] = get_args(ModelState)
_STATE_NUMBER = {state: number for number, state in enumerate(_STATES, start=1)}


def voice_to_proto(voice: Voice) -> pb.Voice:
    """Return the message; every field is set, so that nothing depends on defaults."""
    return pb.Voice(
        model_id=voice.model, speaker=voice.speaker, language=voice.language, speed=voice.speed, lora=voice.lora
    )


def voice_from_proto(message: pb.Voice) -> Voice:
    """Return the voice; a speed of 0 (not set) means 1, and float noise is rounded away."""
    return Voice(
        model=message.model_id,
        speaker=message.speaker,
        language=message.language,
        speed=round(message.speed, 4) or 1.0,
        lora=message.lora,
    )


def wording_to_proto(wording: Wording) -> pb.Wording:
    """Return the message; what is None is not set."""
    message = pb.Wording(lexicon=wording.lexicon)
    if wording.normalize is not None:
        message.normalize = wording.normalize
    return message


def wording_from_proto(message: pb.Wording) -> Wording:
    """Return the wording; a field that is not set is None."""
    return Wording(message.normalize if message.HasField("normalize") else None, message.lexicon)


def frames_to_proto(session_id: str, frames: Sequence[AudioFrame], finish_reason: pb.FinishReason) -> pb.AudioFrame:
    """Return one message with frames that follow each other."""
    first = frames[0]
    return pb.AudioFrame(
        session_id=session_id,
        utterance_id=first.utterance_id,
        sequence=first.sequence,
        start_sample=first.start_sample,
        pcm=first.pcm if len(frames) == 1 else b"".join([frame.pcm for frame in frames]),
        marks=[
            pb.WordMark(
                text_start=mark.text_start,
                text_end=mark.text_end,
                start_sample=mark.start_sample,
                end_sample=mark.end_sample,
            )
            for frame in frames
            for mark in frame.marks
        ],
        final=frames[-1].final,
        finish_reason=finish_reason,
    )


def frames_from_proto(message: pb.AudioFrame) -> Iterator[AudioFrame]:
    """Yield the frames of a message. Marks go to the frame in which their word begins."""
    pcm, sequence, start_sample = message.pcm, message.sequence, message.start_sample  # each access makes a copy
    utterance_id, final = message.utterance_id, message.final
    count = len(pcm) // FRAME_BYTES
    marks: dict[int, list[WordMark]] = {}
    for mark in message.marks:
        place = max(0, min(count - 1, (mark.start_sample - start_sample) // FRAME_SAMPLES))
        marks.setdefault(place, []).append(WordMark(mark.text_start, mark.text_end, mark.start_sample, mark.end_sample))
    for index in range(count):
        yield AudioFrame(
            pcm if count == 1 else pcm[index * FRAME_BYTES : (index + 1) * FRAME_BYTES],
            SAMPLE_RATE,
            utterance_id,
            sequence + index,
            start_sample + index * FRAME_SAMPLES,
            tuple(marks[index]) if index in marks else (),
            final and index == count - 1,
        )


def model_to_proto(status: ModelStatus) -> pb.Model:
    """Return the message of a model and its state."""
    info = status.info
    return pb.Model(
        model_id=info.model_id,
        family=info.family,
        languages=info.languages,
        speakers=info.speakers,
        tags=info.tags,
        licence=info.licence,
        sample_rate=info.sample_rate,
        memory_bytes=info.memory_bytes,
        needs_gpu=info.needs_gpu,
        supports_lora=info.supports_lora,
        open_speakers=info.open_speakers,
        native_word_marks=info.word_marks == "native",
        concurrency=info.concurrency,
        state=_STATE_NUMBER[status.state],  # type: ignore[arg-type]
        leases=status.leases,
        pinned=status.pinned,
        is_default=status.is_default,
        error=status.error,
        real_time_factor=status.real_time_factor,
        load_seconds=status.load_seconds,
    )


def model_from_proto(message: pb.Model) -> ModelStatus:
    """Return the model and its state."""
    info = ModelInfo(
        model_id=message.model_id,
        family=message.family,
        languages=tuple(message.languages),
        sample_rate=message.sample_rate,
        speakers=tuple(message.speakers),
        tags=tuple(message.tags),
        licence=message.licence,
        needs_gpu=message.needs_gpu,
        supports_lora=message.supports_lora,
        memory_bytes=message.memory_bytes,
        open_speakers=message.open_speakers,
        word_marks="native" if message.native_word_marks else "proportional",
        concurrency=message.concurrency or 1,
    )
    state: ModelState = _STATES[message.state - 1] if 1 <= message.state <= len(_STATES) else "available"
    told = message.leases, message.pinned, message.is_default, message.error
    return ModelStatus(info, state, *told, round(message.real_time_factor, 3), round(message.load_seconds, 2))


_NEW = ("model_id", "name", "audio", "text", "text_heard", "consent")
_CLONED = ("model_id", "name", "seconds", "consent_at", "text_heard")


def new_voice_to_proto(voice: NewVoice) -> pb.AddVoiceRequest:
    """Return the message; field names agree on both sides."""
    return pb.AddVoiceRequest(**{name: getattr(voice, name) for name in _NEW})


def new_voice_from_proto(message: pb.AddVoiceRequest) -> NewVoice:
    """Return the value; field names agree on both sides."""
    return NewVoice(**{name: getattr(message, name) for name in _NEW})


def cloned_to_proto(voice: ClonedVoice) -> pb.ClonedVoice:
    """Return the message; field names agree on both sides."""
    return pb.ClonedVoice(**{name: getattr(voice, name) for name in _CLONED})


def cloned_from_proto(message: pb.ClonedVoice) -> ClonedVoice:
    """Return the value; field names agree on both sides, and float noise is rounded away."""
    values: dict[str, Any] = {name: getattr(message, name) for name in _CLONED}
    return ClonedVoice(**{**values, "seconds": round(values["seconds"], 2)})


_PLAIN = (
    "worker_name", "version", "device", "sessions", "max_sessions", "queue_depth", "first_audio_p50_ms",
    "real_time_factor", "memory_used_bytes", "memory_budget_bytes", "draining", "local_socket", "refused",
)  # fmt: skip
_LISTS = ("languages", "tags", "resident_models")


def capabilities_to_proto(capabilities: Capabilities) -> pb.GetCapabilitiesResponse:
    """Return the message; field names agree on both sides."""
    return pb.GetCapabilitiesResponse(**{name: getattr(capabilities, name) for name in (*_PLAIN, *_LISTS)})


def capabilities_from_proto(message: pb.GetCapabilitiesResponse) -> Capabilities:
    """Return the value; field names agree on both sides."""
    values: dict[str, Any] = {name: getattr(message, name) for name in _PLAIN}
    values.update({name: tuple(getattr(message, name)) for name in _LISTS})
    return Capabilities(**values)
