"""What names of models and voices that clients send mean here (pure).

Clients of OpenAI have its names built in; those stand for the defaults. Every other name has to exist.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parley.errors import NotFound
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse")
)
"""OpenAI's voices (developers.openai.com, November 2026)."""
_TALKS = ("gpt-realtime", "gpt-4o-realtime", "gpt-4o-mini-realtime")
_SPEAKS = ("tts-1", "gpt-4o-mini-tts", "gpt-audio", *_TALKS)
_HEARS = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe", "gpt-live", *_TALKS)


def is_their_voice_model(name: str) -> bool:
    """True for OpenAI's models that speak, dated forms included, and for no name at all."""
    return not name or name.startswith(_SPEAKS)


def is_their_hearing_model(name: str) -> bool:
    """True for OpenAI's models that hear, dated forms included, and for no name at all."""
    return not name or name.startswith(_HEARS)


def voice_of(model: str, voice: str, speakers: Mapping[str, Collection[str]], names: Mapping[str, str]) -> Voice:
    """The voice that a client means. ``speakers``: each model that is known, with those of its speakers it lists.

    ``names``: what names stand for, which come before all others. Raises NotFound for a model that is not here, and
    for a voice that names one model where another one is asked for; whether a speaker exists is the worker's to say.
    """
    model, voice = names.get(model, model), names.get(voice, voice)
    wanted = "" if model not in speakers and is_their_voice_model(model) else model
    if wanted and wanted not in speakers:
        raise NotFound(f"There is no model called {wanted[:64]!r}; GET /v1/models lists those there are.")
    named, speaker = _split(voice, speakers)
    if named and wanted and named != wanted:
        raise NotFound(f"The voice {voice[:64]!r} is not one of the model {wanted!r}.")
    wanted = named or wanted
    if speaker in VOICES and speaker not in speakers.get(wanted, ()):
        speaker = ""
    return Voice(model=wanted, speaker=speaker)


def existing_voice(voice: Voice, speakers: Mapping[str, Collection[str]], names: Mapping[str, str]) -> Voice:
    """The same for a client that names a model, and a speaker apart from it; other fields stay. Raises NotFound."""
    meant = voice_of("", voice.model, speakers, names) if voice.model else Voice()
    if voice.model and not meant.model:
        raise NotFound(f"There is no voice called {voice.model[:64]!r}.")
    return replace(voice, model=meant.model, speaker=voice.speaker or meant.speaker)


def _split(voice: str, speakers: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """Model and speaker in a voice's name; the first is empty where it names a speaker alone."""
    if voice in speakers:
        return voice, ""
    model, slash, speaker = voice.rpartition("/")
    return (model, speaker) if slash and model in speakers else ("", voice)


def voices_in(speakers: Mapping[str, Collection[str]]) -> list[str]:
    """The name of each voice, as :func:`voice_of` takes it."""
    return [f"{model}/{one}" if one else model for model, some in speakers.items() for one in (some or ("",))]
