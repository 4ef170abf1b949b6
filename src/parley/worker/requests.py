"""Checks of what a request says, before anything is done for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.errors import InvalidRequest, NotFound
from parley.worker.pack import no_such_speaker

if TYPE_CHECKING:
    from parley.values import ModelInfo, Voice

_MOST_ID = 200


def identifier(field_name: str, value: str) -> str:
    """The id ``value`` of the field called ``field_name``; raises InvalidRequest when it is missing or too long."""
    if not value:
        raise InvalidRequest(f"{field_name} is missing.")
    if len(value) > _MOST_ID:
        raise InvalidRequest(f"{field_name} is longer than {_MOST_ID} characters.")
    return value


def check_voice(info: ModelInfo, voice: Voice) -> None:
    """Raise for a voice that the model does not have: another one never speaks in its place."""
    if not 0.25 <= voice.speed <= 4:
        raise InvalidRequest(f"The speed {voice.speed:g} is out of range; it may be 0.25 to 4.")
    if voice.speaker and voice.speaker not in info.speakers and not info.open_speakers:
        raise NotFound(no_such_speaker(info.model_id, voice.speaker, info.speakers))
    if voice.lora and not info.supports_lora:
        raise InvalidRequest(f"The model {info.model_id} takes no LoRA.")
