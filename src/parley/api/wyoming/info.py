"""What this server can do, as Wyoming's clients want to know it (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parley.registry.announcement import AnnouncedModel

_HERE = {"name": "Parley", "url": ""}


def described(voices: Iterable[AnnouncedModel], ears: str, languages: Sequence[str], version: str) -> dict[str, Any]:
    """The data of ``info``. ``ears`` is the recogniser's name, ``languages`` those that it hears (BCP 47)."""
    return {
        "asr": [
            {
                **_artifact("parley", "Parley", version),
                "models": [{**_artifact(ears, ears, version), "languages": list(languages)}],
                "supports_transcript_streaming": True,
                "requires_external_vad": True,
                "prefers_auto_gain_enabled": False,
                "prefers_noise_reduction_enabled": False,
            }
        ],
        "tts": [
            {
                **_artifact("parley", "Parley", version),
                "voices": [_voice(voice, version) for voice in voices],
                "supports_synthesize_streaming": True,
            }
        ],
        "handle": [],
        "intent": [],
        "wake": [],
        "mic": [],
        "snd": [],
    }


def _voice(model: AnnouncedModel, version: str) -> dict[str, Any]:
    speakers = [{"name": speaker} for speaker in model.speakers] or None
    return {**_artifact(model.model_id, model.model_id, version), "languages": list(model.languages),
            "speakers": speakers}  # fmt: skip


def _artifact(name: str, description: str, version: str) -> dict[str, Any]:
    return {"name": name, "description": description, "attribution": _HERE, "installed": True, "version": version}
