"""Whether a voice exists, by what the workers say of themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from parley.routing.policy import has_speaker, named
from parley.text.languages import speaks
from parley.values import split_lora

if TYPE_CHECKING:
    from parley.registry.announcement import AnnouncedModel, Announcement
    from parley.values import Voice

_MOST_NAMES = 12


def missing(voice: Voice, fleet: Iterable[Announcement]) -> str:
    """Why no worker has the voice, as a sentence that says what there is; empty when one has, or none is known.

    A worker that is full, drains or cannot be reached has its voices all the same.
    """
    fleet = tuple(fleet)
    if not fleet or any(not said.models for said in fleet):
        return ""
    voice = named(voice, fleet)
    known = [model for said in fleet for model in said.models]
    models = [model for model in known if (model.model_id == voice.model if voice.model else not model.is_test)]
    if voice.model and not models:
        names = sorted({model.model_id for model in known if not model.is_test})
        return f"There is no model called {voice.model!r}; {_there_are(names)}."
    if voice.speaker:
        speakers = [speaker for model in models for speaker in model.speakers]
        models = [model for model in models if has_speaker(model, voice)]
        if not models:
            return _no_speaker(voice, speakers)
    if voice.language and not any(speaks(model.languages, voice.language) for model in models):
        who = f"The model {voice.model} does not speak" if voice.model else "No model speaks"
        languages = sorted({tag for model in models for tag in model.languages})
        return f"{who} the language {voice.language!r}; {_there_are(languages)}."
    return _no_lora(voice, models, known) if voice.lora else ""


def _no_lora(voice: Voice, models: Iterable[AnnouncedModel], known: Iterable[AnnouncedModel]) -> str:
    """Of a LoRA that no worker has for this voice's model; empty where any model may speak and one has it."""
    takers = [model.model_id for model in models if model.supports_lora and not split_lora(model.model_id)[1]]
    if not takers:
        return f"The model {voice.model} takes no LoRA; leave it empty." if voice.model else "No model takes a LoRA."
    there = sorted({lora for base, lora in (split_lora(m.model_id) for m in known) if lora and base in takers})
    if voice.lora in there:
        return ""
    who = f"The model {voice.model} has no LoRA" if voice.model else "No model has a LoRA"
    return f"{who} called {voice.lora!r}; {_there_are(there)}."


def _no_speaker(voice: Voice, speakers: Sequence[str]) -> str:
    if not voice.model:
        return f"No model has a speaker called {voice.speaker!r}; {_there_are(speakers)}."
    if not speakers:
        return f"The model {voice.model} has one speaker and none called {voice.speaker!r}; leave the speaker empty."
    return f"The model {voice.model} has no speaker called {voice.speaker!r}; {_there_are(speakers)}."


def _there_are(names: Iterable[str]) -> str:
    known = list(dict.fromkeys(names))
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return f"there are {', '.join(known[:_MOST_NAMES])}{more}" if known else "there is none"
