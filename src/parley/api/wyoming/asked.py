"""What a Wyoming client wants, read from its messages (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parley.api.hot_words import likely
from parley.errors import InvalidRequest
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_NAME = 200
RATES = (8_000, 96_000)


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Of the samples that a client sends."""

    rate: int
    """Hz."""
    channels: int
    """1 or 2; samples are s16."""


def text_of(data: Mapping[str, Any]) -> str:
    """The ``text`` of a message. Raises InvalidRequest."""
    text = data.get("text", "")
    if not isinstance(text, str):
        raise InvalidRequest("text must be text.")
    return text


def voice_of(data: Mapping[str, Any]) -> Voice:
    """The ``voice`` of a message: a name and perhaps a speaker, or a language. Raises InvalidRequest."""
    wanted = data.get("voice") or {}
    if not isinstance(wanted, dict):
        raise InvalidRequest("voice must be an object with name and speaker, or language.")
    name = _name(wanted, "name")
    if name:
        return Voice(model=name, speaker=_name(wanted, "speaker"))
    return Voice(language=_tag(_name(wanted, "language")))


def language_of(data: Mapping[str, Any]) -> str:
    """The ``language`` of a message as BCP 47, empty for none. Raises InvalidRequest."""
    return _tag(_name(data, "language"))


def hot_words_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """``transcript_names`` and ``transcript_terms``, names first, within bounds. Raises InvalidRequest."""
    return likely(word for key in ("transcript_names", "transcript_terms") for word in _texts(data, key))


def format_of(data: Mapping[str, Any]) -> AudioFormat:
    """The sound's format in ``audio-start`` and ``audio-chunk``. Raises InvalidRequest for one that is not taken."""
    rate, width, channels = (data.get(name) for name in ("rate", "width", "channels"))
    if isinstance(rate, bool) or not isinstance(rate, int) or not RATES[0] <= rate <= RATES[1]:
        raise InvalidRequest(f"rate must be a whole number from {RATES[0]} to {RATES[1]}.")
    if width != 2 or isinstance(width, bool):
        raise InvalidRequest("width must be 2: samples of 16 bit.")
    if isinstance(channels, bool) or channels not in (1, 2):
        raise InvalidRequest("channels must be 1 or 2.")
    return AudioFormat(rate, channels)


def _name(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        raise InvalidRequest(f"{key} must be a text of at most {_LONGEST_NAME} characters.")
    return value


def _texts(data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidRequest(f"{key} must be a list of texts.")
    return value


def _tag(language: str) -> str:
    """Clients write en_US."""
    return language.replace("_", "-")
