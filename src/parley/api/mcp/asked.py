"""The tools that an MCP client is offered, what it asks for, and what it is told (pure)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parley.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMATS = ("mp3", "wav", "opus", "flac")
SHORTEST, LONGEST = 1.0, 120.0
"""Seconds that somebody may listen."""
USUAL = 15.0
_LANGUAGE = 35
_NAME = 128


@dataclass(frozen=True, slots=True)
class Say:
    """``say``."""

    text: str
    voice: str = ""
    model: str = ""
    format: str = "mp3"


@dataclass(frozen=True, slots=True)
class Listen:
    """``listen``. ``recording`` is empty where a microphone is listened to."""

    seconds: float = USUAL
    language: str = ""
    recording: bytes = b""


@dataclass(frozen=True, slots=True)
class Said:
    """What came of it. ``sound`` is empty where it was heard at once."""

    characters: int
    seconds: float
    model: str = ""
    voice: str = ""
    sound: bytes = field(default=b"", repr=False)
    content_type: str = ""

    @property
    def told(self) -> str:
        """In words."""
        return f"Said {self.characters} characters in {self.seconds:.1f} s of sound."

    @property
    def structure(self) -> dict[str, Any]:
        return {
            "characters": self.characters,
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "voice": self.voice,
        }


@dataclass(frozen=True, slots=True)
class Heard:
    """What was understood."""

    text: str
    seconds: float
    language: str = ""

    @property
    def told(self) -> str:
        return self.text or "(nothing was said)"

    @property
    def structure(self) -> dict[str, Any]:
        return {"text": self.text, "seconds": round(self.seconds, 3), "language": self.language}


@dataclass(frozen=True, slots=True)
class Models:
    """What there is, and what is used where nothing is named."""

    voices: Sequence[str]
    in_use: Mapping[str, str]

    @property
    def told(self) -> str:
        used = "".join(f"{kind}: {name}\n" for kind, name in sorted(self.in_use.items()))
        return f"{used}voices: {', '.join(self.voices) or 'none'}"

    @property
    def structure(self) -> dict[str, Any]:
        return {"voices": list(self.voices), "in_use": dict(self.in_use)}


# --- what is offered -------------------------------------------------------------------


def offered(*, aloud: bool, longest_text: int) -> list[dict[str, Any]]:
    """The tools. ``aloud``: through the loudspeaker and the microphone of this machine, else as files."""
    text = {"type": "string", "minLength": 1, "maxLength": longest_text, "description": "What to say, in plain words."}
    voice = {"type": "string", "maxLength": _NAME, "description": "A voice of models(); empty for the usual one."}
    model = {"type": "string", "maxLength": _NAME, "description": "A model that speaks; empty for the usual one."}
    language = {"type": "string", "maxLength": _LANGUAGE, "description": "BCP 47, such as en or de; empty: find out."}
    say: dict[str, Any] = {"text": text, "voice": voice, "model": model}
    listen: dict[str, Any] = {"language": language}
    if aloud:
        listen["seconds"] = {
            "type": "number", "minimum": SHORTEST, "maximum": LONGEST, "default": USUAL,
            "description": "How long to listen at most; a pause after something was said ends it earlier.",
        }  # fmt: skip
        about_say = "Say a text aloud to the person at this machine. Returns when it has been heard."
        about_listen = "Listen to the person at this machine, and return the words that they say."
    else:
        say["format"] = {"type": "string", "enum": list(FORMATS), "default": FORMATS[0]}
        listen["audio"] = {
            "type": "string", "contentEncoding": "base64",
            "description": "A recording in any usual container, as base64.",
        }  # fmt: skip
        about_say = "Speak a text; the sound is returned as audio."
        about_listen = "Write down what is said in a recording."
    return [
        _tool("say", "Say", about_say, say, ["text"], _SAID),
        _tool("listen", "Listen", about_listen, listen, [] if aloud else ["audio"], _HEARD),
        _tool("models", "Models", "The voices that there are, and which models are in use.", {}, [], _MODELS),
    ]


def _tool(
    name: str, title: str, about: str, properties: dict[str, Any], required: list[str], answer: dict[str, str]
) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    said = {part: _ANSWERS[kind] for part, kind in answer.items()}
    return {
        "name": name,
        "title": title,
        "description": about,
        "inputSchema": schema,
        "outputSchema": {"type": "object", "properties": said, "required": list(said)},
        "annotations": {"readOnlyHint": name != "say", "destructiveHint": False, "openWorldHint": False},
    }


_ANSWERS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "whole": {"type": "integer"},
    "list": {"type": "array", "items": {"type": "string"}},
    "table": {"type": "object", "additionalProperties": {"type": "string"}},
}
_SAID = {"characters": "whole", "seconds": "number", "model": "text", "voice": "text"}
_HEARD = {"text": "text", "seconds": "number", "language": "text"}
_MODELS = {"voices": "list", "in_use": "table"}


# --- what is asked ---------------------------------------------------------------------


def say_asked(arguments: Mapping[str, Any], *, aloud: bool, longest_text: int) -> Say:
    """Raises InvalidRequest in one sentence."""
    _only(arguments, ("text", "voice", "model") if aloud else ("text", "voice", "model", "format"))
    text = _text(arguments, "text", longest_text)
    if not text.strip():
        raise InvalidRequest("There is nothing to say: text is empty.")
    form = _text(arguments, "format", _NAME) or FORMATS[0]
    if form not in FORMATS:
        raise InvalidRequest(f"format must be one of {', '.join(FORMATS)}.")
    return Say(text, _text(arguments, "voice", _NAME), _text(arguments, "model", _NAME), form)


def listen_asked(arguments: Mapping[str, Any], *, aloud: bool, largest: int) -> Listen:
    """Raises InvalidRequest in one sentence. ``largest``: bytes of a recording."""
    _only(arguments, ("seconds", "language") if aloud else ("audio", "language"))
    language = _text(arguments, "language", _LANGUAGE)
    if not aloud:
        return Listen(language=language, recording=_recording(arguments.get("audio"), largest))
    seconds = arguments.get("seconds", USUAL)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not SHORTEST <= seconds <= LONGEST:
        raise InvalidRequest(f"seconds must be a number from {SHORTEST:g} to {LONGEST:g}.")
    return Listen(float(seconds), language)


def nothing_asked(arguments: Mapping[str, Any]) -> None:
    """Raises InvalidRequest where there are arguments."""
    _only(arguments, ())


def _only(arguments: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in arguments:
        if name not in known:
            names = f"known are {', '.join(known)}" if known else "there are none"
            raise InvalidRequest(f"There is no argument {name[:64]!r}; {names}.")


def _text(arguments: Mapping[str, Any], name: str, most: int) -> str:
    value = arguments.get(name, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be text.")
    if len(value) > most:
        raise InvalidRequest(f"{name} has {len(value)} characters; {most} are allowed.")
    return value


def _recording(value: Any, largest: int) -> bytes:
    if not isinstance(value, str) or not value:
        raise InvalidRequest("audio must be a recording as base64: there is no microphone behind this address.")
    if len(value) > largest // 3 * 4 + 4:
        raise InvalidRequest(f"The recording is larger than {largest} bytes.")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("audio is no base64.") from None
