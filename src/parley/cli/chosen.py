"""What ``auto`` stands for on this machine: the best models that have been fetched, and what would be better."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from parley.errors import ConfigError
from parley.hints import command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley.asr import AsrSettings
    from parley.config import Settings
    from parley.llm.nearby import NearbyModel
    from parley.store import Entry
    from parley.store.choice import Choice

log = structlog.get_logger(__name__)

AUTO = "auto"
SCRIPT = "script"
ENGLISH = "en"
"""What is spoken where nobody says otherwise."""


# --- one kind after the other ------------------------------------------------------------


def choice_of(settings: Settings, kind: str, language: str) -> Choice:
    """The best model of a kind that is here and runs here, for a language."""
    from parley.cli.shelf import opened
    from parley.store.choice import choose
    from parley.store.engines import runnable
    from parley.text.languages import speaks

    catalog, store = opened(settings)
    return choose(
        store.installed(catalog, kind),
        list(catalog.of_kind(kind).values()),
        language=language,
        fits=lambda have, want: speaks((have,), want),
        runnable=runnable,
    )


def ears_for(settings: Settings, language: str) -> AsrSettings:
    """The recogniser's settings for a language (BCP 47, empty: unknown), with ``auto`` replaced by what it means."""
    from parley.asr import EMBEDDED
    from parley.cli.shelf import opened

    wanted = language or settings.asr.language
    choice = choice_of(settings, "ears", wanted)
    if choice.entry is None:
        _tell_of_strangers(wanted, choice.better)
        return replace(settings.asr, engine=EMBEDDED, model="")
    _, store = opened(settings)
    return replace(settings.asr, engine=choice.entry.engine, model=str(store.path(choice.entry)))


def named_ears(settings: Settings) -> AsrSettings:
    """The recogniser's settings where ``asr.model`` names a model of the catalog: its folder in place of its name.

    ``auto`` stands for its engine then. WhisperX takes the best whisper model that is here where none is named.
    Raises ConfigError when it is not here, or another engine's.
    """
    from parley.cli.shelf import opened

    catalog, store = opened(settings)
    entry = catalog.of_kind("ears").get(settings.asr.model)
    engine = settings.asr.engine
    if engine == "whisperx" and not settings.asr.model:
        entry = _best_whisper(settings)
    if entry is None:
        return settings.asr
    if engine == AUTO:
        engine = entry.engine
    elif entry.engine != _MODELS_OF.get(engine, engine):
        raise ConfigError(
            f"asr.model is {entry.model_id}, which {entry.engine} runs; set asr.engine to {entry.engine} or auto."
        )
    if not store.has(entry):
        raise ConfigError(
            f"asr.model is {entry.model_id}, which is not here; fetch it with `{command(f'pull {entry.model_id}')}`."
        )
    return replace(settings.asr, engine=engine, model=str(store.path(entry)))


_MODELS_OF = {"whisperx": "faster-whisper"}
"""Engines that run another one's models."""


def _best_whisper(settings: Settings) -> Entry | None:
    """Of those that are here, whatever is installed to run them."""
    from parley.cli.shelf import opened
    from parley.text.languages import speaks

    catalog, store = opened(settings)
    here = (entry for entry in store.installed(catalog, "ears") if entry.engine == "faster-whisper")
    return next((entry for entry in here if speaks(entry.languages, settings.asr.language or ENGLISH)), None)


def _tell_of_strangers(language: str, better: str) -> None:
    """The embedded recogniser knows English alone: say so where another language is spoken."""
    from parley.store.embedded import embedded
    from parley.text.languages import primary, speaks

    if not speaks(embedded("ears").languages, language):
        fetch = command(f"pull {better}") if better else command("models list")
        log.warning(
            "no recogniser here knows this language; the embedded one, which knows English, hears it",
            language=primary(language)[:16],
            mend=fetch,
        )


@dataclass(frozen=True, slots=True)
class TurnChoice:
    """What judges whose turn it is: where one ends, or what is said over a reply."""

    name: str
    """As people know it."""
    engine: str
    """One of ``vad.TURN_MODELS`` or ``vad.INTERRUPTION_MODELS``, or the embedded judge of words."""
    path: Path | None = None
    """Of the model; None for words."""


def turn_model(settings: Settings) -> TurnChoice:
    """What judges the end of turns. Raises ConfigError where it is not here, or a file is named that nothing reads."""
    from parley.store.choice import TURN_ENGINES_IN_AUTO

    engine, named = settings.turn.engine, settings.smart_turn.path
    if named and not settings.turn.path and engine in (AUTO, _SMART_TURN):
        return TurnChoice(_SMART_TURN, _SMART_TURN, Path(named))
    return _judge(settings, "turn", engine, settings.turn.path, TURN_ENGINES_IN_AUTO)


def interruption_model(settings: Settings) -> TurnChoice:
    """What judges speech over a reply. Raises ConfigError as :func:`turn_model` does."""
    from parley.store.choice import INTERRUPTION_ENGINES_IN_AUTO

    wanted = settings.interruption
    return _judge(settings, "interruption", wanted.engine, wanted.path, INTERRUPTION_ENGINES_IN_AUTO)


_SMART_TURN = "smart-turn"


def _judge(settings: Settings, kind: str, engine: str, own: str, in_auto: tuple[str, ...]) -> TurnChoice:
    """The model of a kind that is named by its file or its engine, or is best; else words."""
    from parley.cli.shelf import opened
    from parley.store import embedded

    catalog, store = opened(settings)
    known = [entry for entry in catalog.of_kind(kind).values() if not entry.forbidden]
    if own and engine in (AUTO, embedded.TURN):
        engines = dict.fromkeys(entry.engine for entry in known)
        raise ConfigError(
            f"{kind}.path names a file, but {kind}.engine is {engine}; set {kind}.engine to {' or '.join(engines)}."
        )
    if own:
        return TurnChoice(engine, engine, Path(own))
    if engine == embedded.TURN:
        return TurnChoice(embedded.TURN, embedded.TURN)
    here = store.installed(catalog, kind)
    for wanted in in_auto if engine == AUTO else (engine,):
        found = next((entry for entry in here if entry.engine == wanted and not entry.forbidden), None)
        if found is not None:
            return TurnChoice(found.model_id, wanted, store.path(found) / found.files[0])
    if engine == AUTO:
        return TurnChoice(embedded.TURN, embedded.TURN)
    fetch = next(entry.model_id for entry in known if entry.engine == engine)
    raise ConfigError(
        f"{kind}.engine is {engine}, but no such model is here; fetch it with `{command(f'pull {fetch}')}` or name "
        f"its file: {kind}.path."
    )


# --- what people are told ----------------------------------------------------------------


def models_named(settings: Settings) -> dict[str, str]:
    """What a server of these settings is made of: kind -> name of the model."""
    over_replies = interruption_model(settings)
    return {
        "ears": _ears_named(settings),
        "voice": _voice_named(settings),
        "turn": turn_model(settings).name,
        "llm": settings.llm.openai.model if settings.llm.engine == "openai" else settings.llm.engine,
        **({"interruption": over_replies.name} if over_replies.path else {}),
    }


def _ears_named(settings: Settings) -> str:
    from parley.cli.shelf import opened
    from parley.store import embedded

    if settings.asr.model in opened(settings)[0].of_kind("ears"):
        return settings.asr.model
    if settings.asr.engine != AUTO:
        return settings.asr.engine
    entry = choice_of(settings, "ears", settings.asr.language or ENGLISH).entry
    return entry.model_id if entry else embedded.EARS


def ears_languages(settings: Settings) -> tuple[str, ...]:
    """What the recognisers of these settings hear (BCP 47), each language once."""
    from parley.cli.shelf import opened
    from parley.store.embedded import embedded

    if settings.asr.language:
        return (settings.asr.language,)
    catalog, store = opened(settings)
    if settings.asr.engine == AUTO:
        heard = [entry.languages for entry in (*store.installed(catalog, "ears"), embedded("ears"))]
        return tuple(dict.fromkeys(language for some in heard for language in some))
    entry = catalog.of_kind("ears").get(settings.asr.model)
    return entry.languages if entry else (ENGLISH,)


def _voice_named(settings: Settings) -> str:
    from parley.cli.worker import voices_here

    wanted = settings.worker.models.default_model
    return voices_here(settings).best(ENGLISH) if wanted == AUTO else wanted


def in_words(models: Mapping[str, str]) -> str:
    """One sentence of :func:`models_named`."""
    from parley.store.embedded import EMBEDDED

    own = {(entry.kind, entry.model_id) for entry in EMBEDDED}
    said = {kind: f"{name} (embedded)" if (kind, name) in own else name for kind, name in models.items()}
    return (
        f"It hears with {said['ears']}, speaks with {said['voice']}, knows the end of a turn by {said['turn']} and "
        f"answers with {said['llm']}."
    )


_BETTER = {
    ("ears", "voice"): "Better ears and a person's voice",
    ("ears",): "Better ears",
    ("voice",): "A person's voice",
}


def what_would_be_better(settings: Settings) -> str:
    """One line for people who start with the embedded parts; empty where nothing is to be said."""
    from parley.cli.shelf import RECOMMENDED, opened
    from parley.store import engines

    better = _better(settings)
    if not better:
        return ""
    catalog, store = opened(settings)
    together = set(better.values()) <= set(catalog.recommended)
    wanted = [catalog.find(name) for name in (catalog.recommended if together else better.values())]
    size = sum(entry.size_mb for entry in wanted if not store.has(entry))
    fetched = [f"{size} MB"] if size else []
    fetched += [f"the package {engines.ENGINES[extra].package}" for extra in engines.missing(wanted)]
    names = RECOMMENDED if together else " ".join(better.values())
    return f"{_BETTER[tuple(better)]}: `{command(f'pull {names}')}` ({', '.join(fetched)})."


def _better(settings: Settings) -> dict[str, str]:
    """Kind -> what would be taken if it were here, where ``auto`` means the embedded one instead."""
    from parley.store.embedded import VOICE

    language = settings.asr.language or ENGLISH
    found = {}
    if named_ears(settings).engine == AUTO:
        found["ears"] = choice_of(settings, "ears", language).better
    if settings.worker.models.default_model == AUTO and _voice_named(settings) == VOICE:
        found["voice"] = choice_of(settings, "voice", language).better
    return {kind: model_id for kind, model_id in found.items() if model_id}


async def language_models_nearby(settings: Settings, own_port: int | None = None) -> list[NearbyModel]:
    """Chat endpoints on this machine's usual ports, where the built-in script answers; ``own_port`` is not asked."""
    from parley.llm.nearby import USUAL_PORTS, find_nearby

    if settings.llm.engine != SCRIPT:
        return []
    return await find_nearby(port for port in USUAL_PORTS if port not in (own_port, settings.server.port))


def use_of(model: NearbyModel) -> str:
    """The command that talks with it."""
    return command(f"up --llm {shlex.quote(model.address)}")
