"""What a client of ``/v1/audio/listen`` says, checked as it is read (pure)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from parley.errors import InvalidRequest

SLOWEST, FASTEST = 8_000, 96_000
SHORTEST_SILENCE, LONGEST_SILENCE = 0.1, 5.0
_LONGEST_NAME = 64
_RATE, _SILENCE = 16_000, 0.5


@dataclass(frozen=True, slots=True)
class Start:
    """The first message: what is going to be sent."""

    sample_rate: int = _RATE
    """Hz of the mono s16le audio."""
    language: str = ""
    """BCP 47; empty for the server's default."""
    detection: bool = True
    """False to take everything between two commits for speech."""
    silence: float = _SILENCE
    """Seconds of silence after which what was said is complete."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What was said is complete."""


@dataclass(frozen=True, slots=True)
class End:
    """No more sound comes."""


def message(text: str) -> Start | Commit | End:
    """From one text message. Raises InvalidRequest in one sentence."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("The message is no JSON.") from None
    kind = said.get("type") if isinstance(said, dict) else None
    if kind == "start":
        return _start(said)
    if kind == "commit":
        return Commit()
    if kind == "end":
        return End()
    raise InvalidRequest('The type of a message must be "start", "commit" or "end".')


def _start(said: dict[str, Any]) -> Start:
    rate = said.get("sample_rate", _RATE)
    if isinstance(rate, bool) or not isinstance(rate, int) or not SLOWEST <= rate <= FASTEST:
        raise InvalidRequest(f"sample_rate must be a whole number from {SLOWEST} to {FASTEST}.")
    language = said.get("language", "")
    if not isinstance(language, str) or len(language) > _LONGEST_NAME:
        raise InvalidRequest("language must be a short text, such as en or pt-BR.")
    detection = said.get("detection", True)
    if not isinstance(detection, bool):
        raise InvalidRequest("detection must be true or false.")
    silence = said.get("silence", _SILENCE)
    number = isinstance(silence, int | float) and not isinstance(silence, bool)
    if not number or not SHORTEST_SILENCE <= silence <= LONGEST_SILENCE:
        raise InvalidRequest(f"silence must be a number of seconds from {SHORTEST_SILENCE:g} to {LONGEST_SILENCE:g}.")
    return Start(rate, language, detection, float(silence))
