"""The values that seams and messages share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from parley.audio.frame import WordMark


@dataclass(frozen=True, slots=True)
class PlayoutPosition:
    """How far a participant has heard an utterance."""

    utterance_id: str
    """Empty when nothing has been played yet."""
    sample: int
    """One past the last sample that reached the ear, at 48 kHz from the utterance's start."""
    exact: bool = False
    """True when the client measured it, False when it is computed from the send clock."""


@dataclass(frozen=True, slots=True)
class SpeechScore:
    """How likely it is that somebody speaks in a stretch of audio."""

    probability: float
    """0 to 1."""
    samples: int
    """New samples that this score covers, at the detector's rate; sums to the audio's length."""


@dataclass(frozen=True, slots=True)
class TranscriptWord:
    """One recognised word with its place in the turn's audio."""

    text: str
    start: float
    """Seconds from the first sample given to the recogniser."""
    end: float
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was understood so far."""

    text: str
    final: bool = False
    """True for the last one of a turn."""
    stable: int = 0
    """The first ``stable`` characters will not be revoked."""
    words: tuple[TranscriptWord, ...] = ()
    """With times, where the recogniser has them."""
    language: str = ""
    """BCP 47, where known."""
    confidence: float = 1.0
    """How far the words can be believed, 0 to 1; what a recogniser that often mishears says of itself."""
    covered: float = 0.0
    """Seconds of the turn's audio that had been listened to for this; 0 where the recogniser does not say."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A language model asks for a tool."""

    call_id: str
    """The model's own name for this asking; its result is told under the same."""
    name: str
    arguments: str
    """JSON as the model wrote it: perhaps not valid."""


@dataclass(frozen=True, slots=True)
class Image:
    """Something to look at."""

    url: str
    """``data:image/...;base64,...``: never the address of anything."""
    detail: Literal["auto", "low", "high"] = "auto"
    """How closely a model is to look."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation as a language model sees it."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    """What an assistant's message asks for; each is followed by a ``tool`` message."""
    call_id: str = ""
    """Which call a ``tool`` message answers."""
    images: tuple[Image, ...] = ()
    """What a user's message shows, behind its text."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Which voice speaks. Empty fields mean the worker's default."""

    model: str = ""
    """Model id of the catalog."""
    speaker: str = ""
    """A speaker that the model offers."""
    language: str = ""
    """BCP 47."""
    speed: float = 1.0
    """1 is the voice's own pace; 0.25 to 4."""
    lora: str = ""
    """A LoRA of the model, where it supports them."""


CLONING = "cloning"
"""Tag of a model that takes recordings of people as speakers, where its operator allows that."""


def with_lora(model: str, lora: str) -> str:
    """The catalog's id of a model that speaks with a LoRA: "csm-1b+anna"."""
    return f"{model}+{lora}" if lora else model


def split_lora(model: str) -> tuple[str, str]:
    """The model and the LoRA of such an id; empty where there is none."""
    name, _, lora = model.partition("+")
    return name, lora


@dataclass(frozen=True, slots=True)
class Wording:
    """How written text becomes words that a voice says."""

    normalize: bool | None = None
    """Whether numbers, marks, addresses and the like are put into words; None leaves it to the worker."""
    lexicon: str = ""
    """Words and how they are said, ``word = respelling`` or ``word = /IPA/``, on lines or between semicolons."""


@dataclass(frozen=True, slots=True)
class ChangeVoice:
    """An order inside a reply: from the next utterance on, speak with this voice."""

    voice: Voice


@dataclass(frozen=True, slots=True)
class Thinking:
    """A sign of life inside a reply: the model is at work on something that is never said."""


@dataclass(frozen=True, slots=True)
class NothingToSay:
    """A reply that has no words, and is meant to have none: nobody apologises for it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a language model counted for a reply, in its own tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Of the input."""
    cut: bool = False
    """True where it stopped because the reply may not be longer."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cut or other.cut,
        )


ReplyPart = str | ChangeVoice | Thinking | NothingToSay | ToolCall | Usage
"""What a language model's reply is made of; text comes delta by delta, calls of tools whole, what was used at last."""


@dataclass(frozen=True, slots=True)
class ReplyOptions:
    """What is wanted of a language model beside the conversation. One that cannot do it does what it can."""

    max_tokens: int = 0
    """Longest reply; 0 leaves it to the model."""
    tool_choice: Literal["auto", "none", "required"] = "auto"
    tool: str = ""
    """The one tool that has to be asked for; empty for none in particular."""
    usage: bool = False
    """Whether :class:`Usage` is wanted at the end."""
    brief: bool = False
    """A short answer is wanted, because it takes long to speak."""


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """A function that a language model may ask for, and what may happen to a call of it."""

    name: str
    """Letters, digits, ``_`` and ``-``, at most 64."""
    description: str
    """For the model: what it does, and when to ask for it."""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON schema of its arguments, an object."""
    effect: Literal["read", "write"] = "write"
    """Whether it changes anything outside: a call that writes never begins on a guess and is never cut off."""
    timeout: float = 10.0
    """Seconds after which a call is given up."""
    interruption: Literal["cancel", "finish"] = "cancel"
    """Whether an interruption of its reply ends a call that reads."""
    filler_after: float = 1.5
    """Seconds of silence after which the agent says that it is still at work; 0 for never."""
    confirm: bool = False
    """The participant must be asked, by voice, before it is done."""
    background: bool = False
    """The reply does not wait for it; when it is done, the agent says so at the next gap."""
    approval: bool = False
    """Somebody has to approve of each call, which may take long: one whose reply was cut off goes on as in the
    background."""

    def __post_init__(self) -> None:
        """Raise ValueError for a name that no model may be told, a time that is none, or a read that is confirmed."""
        if not is_tool_name(self.name):
            raise ValueError(f'a tool cannot be called "{self.name[:64]}": letters, digits, _ and -, at most 64')
        if not 0 < self.timeout <= 3600 or self.filler_after < 0:
            raise ValueError(f"the times of the tool {self.name} must be above 0 s, its timeout at most an hour")
        if self.confirm and self.effect == "read":
            raise ValueError(f"the tool {self.name} only reads: there is nothing to confirm")


_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_tool_name(name: str) -> bool:
    """Whether a language model may be told of a tool of this name."""
    return _TOOL_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a language model may take before its reply is given up, in seconds."""

    first: float = 15.0
    """Until its first sign of life."""
    between: float = 15.0
    """From one sign of life to the next."""
    thinking: float = 120.0
    """Until its first word, however lively it thinks."""


WordMarks = Literal["native", "proportional"]
"""Who says when words sound: the engine, or an estimate by the length of words."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model is and needs, known without loading it."""

    model_id: str
    family: str
    languages: tuple[str, ...] = ("en",)
    sample_rate: int = 48_000
    """Hz of the engine's own output."""
    speakers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    licence: str = ""
    """Of the weights."""
    needs_gpu: bool = False
    supports_lora: bool = False
    memory_bytes: int = 0
    """Estimated resident size, RAM or VRAM; 0 when unknown."""
    word_marks: WordMarks = "proportional"
    concurrency: int = 1
    """Utterances that one loaded instance can speak at the same time."""
    open_speakers: bool = False
    """It takes speakers besides those that are listed, which only the engine itself can judge."""


@dataclass(frozen=True, slots=True)
class SynthesizedAudio:
    """A stretch of engine output."""

    samples: NDArray[np.float32] | NDArray[np.int16]
    """Mono; float in -1..1, or s16."""
    sample_rate: int
    marks: tuple[WordMark, ...] = ()
    """Samples counted at ``sample_rate`` from the start of this text, characters within this text."""


class Role(StrEnum):
    """What a key may open."""

    TALK = "talk"
    """Conversations, speech, transcription, and to see which voices there are."""
    MODELS = "models"
    """To add and remove voices."""
    METRICS = "metrics"
    """/metrics, and the details of /health."""
    ADMIN = "admin"
    """All of it."""
