"""What a worker says about itself and its models, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parley.values import ModelInfo

ModelState = Literal["available", "loading", "resident", "evicting", "failed"]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model of a worker's catalog and where it is in its life."""

    info: ModelInfo
    state: ModelState = "available"
    leases: int = 0
    """Sessions and utterances that hold it now."""
    pinned: bool = False
    """It is never evicted."""
    is_default: bool = False
    """It is used when a session names no model."""
    error: str = ""
    """Why the last load failed; empty otherwise."""
    real_time_factor: float = 0.0
    """Seconds of work that it takes for a second of audio on this worker; 0 when it has not been measured."""
    load_seconds: float = 0.0
    """Seconds that the last load took there, warm-up included; 0 when it has not been loaded yet."""


@dataclass(frozen=True, slots=True)
class ClonedVoice:
    """A speaker of a model that was made from a recording of a person."""

    model_id: str
    name: str
    seconds: float = 0.0
    consent_at: str = ""
    """RFC 3339, UTC: when it was added, and the person's consent was said."""
    text_heard: bool = False
    """A recogniser wrote down what is said in the recording."""


@dataclass(frozen=True, slots=True)
class NewVoice:
    """A recording of a person that is to become a speaker of a model."""

    model_id: str
    name: str
    audio: bytes
    """WAV: mono, s16, 24 kHz."""
    text: str = ""
    text_heard: bool = False
    consent: bool = False
    """The person has agreed."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a worker is, has and does right now."""

    worker_name: str = ""
    version: str = ""
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    device: str = "cpu"
    sessions: int = 0
    max_sessions: int = 0
    queue_depth: int = 0
    """Utterances that wait for an engine."""
    first_audio_p50_ms: float = 0.0
    """Text to first frame inside the worker, over the last minutes; 0 when unknown."""
    real_time_factor: float = 0.0
    """Median of synthesis time over audio time; 0 when unknown."""
    memory_used_bytes: int = 0
    memory_budget_bytes: int = 0
    """0 when unlimited."""
    draining: bool = False
    resident_models: tuple[str, ...] = ()
    local_socket: str = ""
    """Name of its socket for orchestrators of the same machine; empty when it has none."""
    refused: int = 0
    """Sessions, utterances and requests for a model that it had no room for since it started."""
