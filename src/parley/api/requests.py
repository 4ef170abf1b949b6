"""The fields of a request, checked as they are read (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parley.api.encoding import FORMATS
from parley.api.hot_words import likely_in
from parley.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_SLOWEST, _FASTEST = 0.25, 4.0
STREAMS = ("audio", "sse")
TRANSCRIPTS = ("json", "text", "verbose_json", "srt", "vtt")
GRANULARITIES = ("word", "segment")


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """``POST /v1/audio/speech``. Fields that are not here are passed over, as by other servers."""

    text: str
    model: str
    voice: str
    format: str
    speed: float
    stream: str
    """``audio``, or ``sse`` for events with the same bytes."""
    language: str
    """BCP 47; not OpenAI's."""
    words: bool = False
    """Whether events tell when each word is heard; not OpenAI's."""


def speech_request(body: Any, longest: int) -> SpeechRequest:
    """From the request's JSON. Raises InvalidRequest in one sentence."""
    if not isinstance(body, dict):
        raise InvalidRequest("The request is no JSON object.")
    text = _text(body, "input")
    if not text.strip():
        raise InvalidRequest("There is nothing to say: input is empty.")
    if len(text) > longest:
        raise InvalidRequest(f"The input has {len(text)} characters; {longest} are allowed (api.longest_text).")
    voice = body.get("voice") or ""
    if isinstance(voice, dict):
        voice = _text(voice, "id")
    elif not isinstance(voice, str):
        raise InvalidRequest("voice must be a name, or an object with an id.")
    speed = body.get("speed")
    stream = _one_of(_text(body, "stream_format") or "audio", STREAMS, "stream_format")
    return SpeechRequest(
        text,
        _text(body, "model"),
        voice,
        _one_of(_text(body, "response_format") or "mp3", tuple(FORMATS), "response_format"),
        1.0 if speed is None else _speed(speed),
        stream,
        _text(body, "language"),
        _words(body.get("timestamp_granularities"), stream),
    )


def _words(granularities: Any, stream: str) -> bool:
    if not granularities:
        return False
    if granularities != ["word"]:
        raise InvalidRequest('timestamp_granularities must be ["word"].')
    if stream != "sse":
        raise InvalidRequest("timestamp_granularities takes stream_format sse: only events can tell of words.")
    return True


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be text.")
    return value


def _one_of(value: str, allowed: tuple[str, ...], name: str) -> str:
    if value not in allowed:
        raise InvalidRequest(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    return value


def _speed(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _SLOWEST <= value <= _FASTEST:
        raise InvalidRequest(f"speed must be a number from {_SLOWEST:g} to {_FASTEST:g}.")
    return float(value)


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """The fields of ``POST /v1/audio/transcriptions`` beside the file."""

    model: str
    language: str
    format: str
    words: bool
    """Whether ``verbose_json`` lists words."""
    segments: bool
    stream: bool
    hot_words: tuple[str, ...] = ()
    """What is likely to be said."""


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """The fields of ``POST /v1/voices`` beside the file."""

    name: str
    model: str
    text: str
    """What is said in the recording; empty lets the ears write it down."""
    language: str


def voice_request(fields: Mapping[str, str]) -> VoiceRequest:
    """From the form's fields. Raises InvalidRequest, also where nothing says that the person has agreed."""
    if fields.get("consent", "").strip().lower() not in ("true", "yes", "1"):
        raise InvalidRequest(
            "The field consent must be true: the person in the recording has agreed that this voice is made."
        )
    name = fields.get("name", "").strip()
    if not name:
        raise InvalidRequest("The voice needs a name: 1 to 64 letters, digits, '_' and '-' in the field name.")
    return VoiceRequest(
        name, fields.get("model", "").strip(), fields.get("text", "").strip(), fields.get("language", "").strip()
    )


def transcription_request(fields: Mapping[str, str], granularities: tuple[str, ...]) -> TranscriptionRequest:
    """From the form's fields; ``granularities`` are all values of the one that may be repeated. InvalidRequest."""
    for one in granularities:
        _one_of(one, GRANULARITIES, "timestamp_granularities[]")
    form = _one_of(fields.get("response_format") or "json", TRANSCRIPTS, "response_format")
    stream = _one_of(fields.get("stream", "").lower() or "false", ("true", "false", "1", "0"), "stream")
    return TranscriptionRequest(
        fields.get("model", ""),
        fields.get("language", ""),
        form,
        words="word" in granularities,
        segments="segment" in granularities or not granularities,
        stream=stream in ("true", "1"),
        hot_words=likely_in(fields.get("prompt", "")),
    )
