from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_COMPLETED: _ClassVar[FinishReason]
    FINISH_REASON_STOPPED: _ClassVar[FinishReason]

class ControlCommand(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTROL_COMMAND_UNSPECIFIED: _ClassVar[ControlCommand]
    CONTROL_COMMAND_PAUSE: _ClassVar[ControlCommand]
    CONTROL_COMMAND_RESUME: _ClassVar[ControlCommand]
    CONTROL_COMMAND_STOP: _ClassVar[ControlCommand]
    CONTROL_COMMAND_RELOAD: _ClassVar[ControlCommand]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_AVAILABLE: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_RESIDENT: _ClassVar[ModelState]
    MODEL_STATE_EVICTING: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_COMPLETED: FinishReason
FINISH_REASON_STOPPED: FinishReason
CONTROL_COMMAND_UNSPECIFIED: ControlCommand
CONTROL_COMMAND_PAUSE: ControlCommand
CONTROL_COMMAND_RESUME: ControlCommand
CONTROL_COMMAND_STOP: ControlCommand
CONTROL_COMMAND_RELOAD: ControlCommand
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_AVAILABLE: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_RESIDENT: ModelState
MODEL_STATE_EVICTING: ModelState
MODEL_STATE_FAILED: ModelState

class Voice(_message.Message):
    __slots__ = ("model_id", "speaker", "language", "speed", "lora")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    SPEAKER_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    LORA_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    speaker: str
    language: str
    speed: float
    lora: str
    def __init__(self, model_id: _Optional[str] = ..., speaker: _Optional[str] = ..., language: _Optional[str] = ..., speed: _Optional[float] = ..., lora: _Optional[str] = ...) -> None: ...

class Wording(_message.Message):
    __slots__ = ("normalize", "lexicon")
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    LEXICON_FIELD_NUMBER: _ClassVar[int]
    normalize: bool
    lexicon: str
    def __init__(self, normalize: bool = ..., lexicon: _Optional[str] = ...) -> None: ...

class StartSessionRequest(_message.Message):
    __slots__ = ("session_id", "voice", "wording")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    WORDING_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    voice: Voice
    wording: Wording
    def __init__(self, session_id: _Optional[str] = ..., voice: _Optional[_Union[Voice, _Mapping]] = ..., wording: _Optional[_Union[Wording, _Mapping]] = ...) -> None: ...

class StartSessionResponse(_message.Message):
    __slots__ = ("voice", "model")
    VOICE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    voice: Voice
    model: Model
    def __init__(self, voice: _Optional[_Union[Voice, _Mapping]] = ..., model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class SynthesizeRequest(_message.Message):
    __slots__ = ("session_id", "utterance_id", "text", "voice", "wording")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    UTTERANCE_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    WORDING_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    utterance_id: str
    text: str
    voice: Voice
    wording: Wording
    def __init__(self, session_id: _Optional[str] = ..., utterance_id: _Optional[str] = ..., text: _Optional[str] = ..., voice: _Optional[_Union[Voice, _Mapping]] = ..., wording: _Optional[_Union[Wording, _Mapping]] = ...) -> None: ...

class WordMark(_message.Message):
    __slots__ = ("text_start", "text_end", "start_sample", "end_sample")
    TEXT_START_FIELD_NUMBER: _ClassVar[int]
    TEXT_END_FIELD_NUMBER: _ClassVar[int]
    START_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    END_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    text_start: int
    text_end: int
    start_sample: int
    end_sample: int
    def __init__(self, text_start: _Optional[int] = ..., text_end: _Optional[int] = ..., start_sample: _Optional[int] = ..., end_sample: _Optional[int] = ...) -> None: ...

class AudioFrame(_message.Message):
    __slots__ = ("session_id", "utterance_id", "sequence", "start_sample", "pcm", "marks", "final", "finish_reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    UTTERANCE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    START_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    PCM_FIELD_NUMBER: _ClassVar[int]
    MARKS_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    utterance_id: str
    sequence: int
    start_sample: int
    pcm: bytes
    marks: _containers.RepeatedCompositeFieldContainer[WordMark]
    final: bool
    finish_reason: FinishReason
    def __init__(self, session_id: _Optional[str] = ..., utterance_id: _Optional[str] = ..., sequence: _Optional[int] = ..., start_sample: _Optional[int] = ..., pcm: _Optional[bytes] = ..., marks: _Optional[_Iterable[_Union[WordMark, _Mapping]]] = ..., final: bool = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ...) -> None: ...

class ControlRequest(_message.Message):
    __slots__ = ("session_id", "utterance_id", "command", "model_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    UTTERANCE_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    utterance_id: str
    command: ControlCommand
    model_id: str
    def __init__(self, session_id: _Optional[str] = ..., utterance_id: _Optional[str] = ..., command: _Optional[_Union[ControlCommand, str]] = ..., model_id: _Optional[str] = ...) -> None: ...

class ControlResponse(_message.Message):
    __slots__ = ("last_sequence",)
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    last_sequence: int
    def __init__(self, last_sequence: _Optional[int] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class EndSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Model(_message.Message):
    __slots__ = ("model_id", "family", "languages", "speakers", "tags", "licence", "sample_rate", "memory_bytes", "needs_gpu", "supports_lora", "state", "leases", "pinned", "is_default", "error", "open_speakers", "native_word_marks", "concurrency", "real_time_factor", "load_seconds")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    SPEAKERS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    NEEDS_GPU_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_LORA_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    OPEN_SPEAKERS_FIELD_NUMBER: _ClassVar[int]
    NATIVE_WORD_MARKS_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    REAL_TIME_FACTOR_FIELD_NUMBER: _ClassVar[int]
    LOAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    family: str
    languages: _containers.RepeatedScalarFieldContainer[str]
    speakers: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    licence: str
    sample_rate: int
    memory_bytes: int
    needs_gpu: bool
    supports_lora: bool
    state: ModelState
    leases: int
    pinned: bool
    is_default: bool
    error: str
    open_speakers: bool
    native_word_marks: bool
    concurrency: int
    real_time_factor: float
    load_seconds: float
    def __init__(self, model_id: _Optional[str] = ..., family: _Optional[str] = ..., languages: _Optional[_Iterable[str]] = ..., speakers: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., licence: _Optional[str] = ..., sample_rate: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., needs_gpu: bool = ..., supports_lora: bool = ..., state: _Optional[_Union[ModelState, str]] = ..., leases: _Optional[int] = ..., pinned: bool = ..., is_default: bool = ..., error: _Optional[str] = ..., open_speakers: bool = ..., native_word_marks: bool = ..., concurrency: _Optional[int] = ..., real_time_factor: _Optional[float] = ..., load_seconds: _Optional[float] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class LoadModelRequest(_message.Message):
    __slots__ = ("model_id", "pin")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PIN_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    pin: bool
    def __init__(self, model_id: _Optional[str] = ..., pin: bool = ...) -> None: ...

class LoadModelResponse(_message.Message):
    __slots__ = ("model", "load_ms")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LOAD_MS_FIELD_NUMBER: _ClassVar[int]
    model: Model
    load_ms: int
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ..., load_ms: _Optional[int] = ...) -> None: ...

class UnloadModelRequest(_message.Message):
    __slots__ = ("model_id",)
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    def __init__(self, model_id: _Optional[str] = ...) -> None: ...

class UnloadModelResponse(_message.Message):
    __slots__ = ("freed_bytes",)
    FREED_BYTES_FIELD_NUMBER: _ClassVar[int]
    freed_bytes: int
    def __init__(self, freed_bytes: _Optional[int] = ...) -> None: ...

class ClonedVoice(_message.Message):
    __slots__ = ("model_id", "name", "seconds", "consent_at", "text_heard")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    CONSENT_AT_FIELD_NUMBER: _ClassVar[int]
    TEXT_HEARD_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    name: str
    seconds: float
    consent_at: str
    text_heard: bool
    def __init__(self, model_id: _Optional[str] = ..., name: _Optional[str] = ..., seconds: _Optional[float] = ..., consent_at: _Optional[str] = ..., text_heard: bool = ...) -> None: ...

class AddVoiceRequest(_message.Message):
    __slots__ = ("model_id", "name", "audio", "text", "text_heard", "consent")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_HEARD_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    name: str
    audio: bytes
    text: str
    text_heard: bool
    consent: bool
    def __init__(self, model_id: _Optional[str] = ..., name: _Optional[str] = ..., audio: _Optional[bytes] = ..., text: _Optional[str] = ..., text_heard: bool = ..., consent: bool = ...) -> None: ...

class AddVoiceResponse(_message.Message):
    __slots__ = ("voice",)
    VOICE_FIELD_NUMBER: _ClassVar[int]
    voice: ClonedVoice
    def __init__(self, voice: _Optional[_Union[ClonedVoice, _Mapping]] = ...) -> None: ...

class RemoveVoiceRequest(_message.Message):
    __slots__ = ("model_id", "name")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    name: str
    def __init__(self, model_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class RemoveVoiceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListVoicesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListVoicesResponse(_message.Message):
    __slots__ = ("voices",)
    VOICES_FIELD_NUMBER: _ClassVar[int]
    voices: _containers.RepeatedCompositeFieldContainer[ClonedVoice]
    def __init__(self, voices: _Optional[_Iterable[_Union[ClonedVoice, _Mapping]]] = ...) -> None: ...

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("worker_name", "version", "languages", "tags", "device", "sessions", "max_sessions", "queue_depth", "first_audio_p50_ms", "real_time_factor", "memory_used_bytes", "memory_budget_bytes", "draining", "resident_models", "local_socket", "refused")
    WORKER_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    FIRST_AUDIO_P50_MS_FIELD_NUMBER: _ClassVar[int]
    REAL_TIME_FACTOR_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BUDGET_BYTES_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_MODELS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_SOCKET_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    worker_name: str
    version: str
    languages: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    device: str
    sessions: int
    max_sessions: int
    queue_depth: int
    first_audio_p50_ms: float
    real_time_factor: float
    memory_used_bytes: int
    memory_budget_bytes: int
    draining: bool
    resident_models: _containers.RepeatedScalarFieldContainer[str]
    local_socket: str
    refused: int
    def __init__(self, worker_name: _Optional[str] = ..., version: _Optional[str] = ..., languages: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., device: _Optional[str] = ..., sessions: _Optional[int] = ..., max_sessions: _Optional[int] = ..., queue_depth: _Optional[int] = ..., first_audio_p50_ms: _Optional[float] = ..., real_time_factor: _Optional[float] = ..., memory_used_bytes: _Optional[int] = ..., memory_budget_bytes: _Optional[int] = ..., draining: bool = ..., resident_models: _Optional[_Iterable[str]] = ..., local_socket: _Optional[str] = ..., refused: _Optional[int] = ...) -> None: ...
