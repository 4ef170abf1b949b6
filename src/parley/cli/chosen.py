"""What ``auto`` stands for on this machine: the best models that have been fetched, and what would be better."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parley.hints import command

if TYPE_CHECKING:
    from parley.asr import AsrSettings
    from parley.config import Settings
    from parley.store.choice import Choice


def ears_choice(settings: Settings, language: str) -> Choice:
    """The recogniser's model for a language."""
    from parley.cli.pull import opened
    from parley.store.choice import choose
    from parley.store.engines import runnable
    from parley.text.languages import speaks

    catalog, store = opened(settings)
    return choose(
        store.installed(catalog, "ears"),
        list(catalog.of_kind("ears").values()),
        language=language or settings.asr.language,
        fits=lambda have, want: speaks((have,), want),
        runnable=runnable,
    )


def ears_for(settings: Settings, language: str) -> AsrSettings:
    """The recogniser's settings for a language, with ``auto`` replaced by what it stands for."""
    from parley.asr import EMBEDDED
    from parley.cli.pull import opened

    entry = ears_choice(settings, language).entry
    if entry is None:
        return replace(settings.asr, engine=EMBEDDED, model="")
    _, store = opened(settings)
    return replace(settings.asr, engine=entry.engine, model=str(store.path(entry)))


def ears_named(settings: Settings) -> str:
    """What hears a session of the server's language, by name."""
    from parley.asr import AUTO, EMBEDDED

    if settings.asr.engine != AUTO:
        return settings.asr.engine
    entry = ears_choice(settings, settings.asr.language or "en").entry
    return entry.model_id if entry else EMBEDDED


def voice_named(settings: Settings) -> str:
    """What speaks where nobody names a voice."""
    from parley.cli.worker import voice_roots
    from parley.worker.voicepacks import AUTO, VoicePackCatalog

    wanted = settings.worker.models.default_model
    return VoicePackCatalog(voice_roots(settings)).best("en") if wanted == AUTO else wanted


def what_would_be_better(settings: Settings) -> str:
    """One line for people who start with the embedded parts; empty where nothing is to be said."""
    from parley.cli.pull import RECOMMENDED, opened

    catalog, store = opened(settings)
    wanted = [catalog.find(name) for name in catalog.recommended]
    absent = [entry for entry in wanted if not store.has(entry)]
    unset = (settings.asr.engine, settings.worker.models.default_model)
    if not absent or "auto" not in unset:
        return ""
    size = sum(entry.size_mb for entry in absent)
    return f"Better ears and a person's voice: `{command(f'pull {RECOMMENDED}')}` ({size} MB)."
