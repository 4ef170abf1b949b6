"""Recognisers and turn models for benchmarks, by the names that the settings and the store know them by."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from parley.asr import AsrSettings, create_recognizer
from parley.asr.processes import ProcessRecognizer
from parley.audio import AudioFrame
from parley.bench.cpu_time import CpuTimeLoop
from parley.bench.turns.ears import DecoderEars
from parley.errors import ConfigError, InvalidRequest
from parley.llm.script import phrases
from parley.session.decide.lexicon import lexicon
from parley.store import StoreSettings, open_store, read_catalog
from parley.testing.virtual_time import run_virtual
from parley.vad import INTERRUPTION_MODELS, TURN_MODELS, create_interruption_model, create_turn_model

if TYPE_CHECKING:
    from parley.asr.decoder import TurnDecoder
    from parley.bench.report import BenchOptions
    from parley.interfaces import EndOfTurnModel, InterruptionModel, Recognizer

_SECOND = 16_000


def asr_settings(options: BenchOptions, decoders: int = AsrSettings().decoders) -> AsrSettings:
    """``--set engine=``, ``model=`` (a name of the store's, the engine's own, or a folder), ``decoders=``."""
    model = options.text("model", AsrSettings().model)
    return AsrSettings(
        engine=options.text("engine", "pocketsphinx"),
        model=fetched(options, model) if model in read_catalog().models else model,
        language=options.text("language"),
        decoders=int(options.number("decoders", decoders)),
    )


def fetched(options: BenchOptions, name: str) -> str:
    """Where a model of the store lies; ``--set store=FOLDER`` names another store. ConfigError where it is not."""
    entry = read_catalog().find(name)
    store = open_store(StoreSettings(options.text("store")))
    if not store.has(entry):
        raise ConfigError(f"The model {name} is not on this machine; fetch it with 'parley pull {name}'.")
    return str(store.path(entry))


def turn_model(options: BenchOptions) -> EndOfTurnModel | None:
    """``--set turn=smart-turn`` or turn-1-mini (``turn_path=`` its file), or a file of Smart Turn's; none without."""
    name, path = options.text("turn", "words"), options.text("turn_path")
    if name == "words":
        return None
    if name not in TURN_MODELS:
        return create_turn_model("smart-turn", Path(name))
    return create_turn_model(name, _file_of(options, "turn", name, path))


def interruption_model(options: BenchOptions) -> Callable[[], InterruptionModel] | None:
    """``--set interruption=backchannel-detector`` (``interruption_path=`` its file): one for each; none without."""
    name, path = options.text("interruption", "words"), options.text("interruption_path")
    if name == "words":
        return None
    if name not in INTERRUPTION_MODELS:
        raise InvalidRequest(f"--set interruption= takes words or {', '.join(INTERRUPTION_MODELS)}, not {name!r}.")
    return create_interruption_model(name, _file_of(options, "interruption", name, path))


def _file_of(options: BenchOptions, kind: str, engine: str, path: str) -> Path:
    """The file that was named, or that of the store's preferred model."""
    entry = next(entry for entry in read_catalog().of_kind(kind).values() if entry.engine == engine)
    return Path(path) if path else Path(fetched(options, entry.model_id), entry.files[0])


def likely_phrases() -> tuple[str, ...]:
    """What a server tells its recogniser to expect: the script's questions, nods and calls to stop."""
    known = lexicon("en")
    return (*phrases(), *sorted(known.backchannels), *sorted(known.stops))


def loaded(settings: AsrSettings) -> Callable[[], Recognizer]:
    """What gives each session its recogniser for ``CpuTimeLoop``, with the model in memory.

    Of one that lives in processes of its own it is the decoder that runs in them.
    """
    recognizer = create_recognizer(settings, phrases=likely_phrases())
    if isinstance(recognizer, ProcessRecognizer):
        return partial(DecoderEars, _decoder(recognizer))
    run_virtual(_hear_nothing(recognizer), CpuTimeLoop)
    return lambda: recognizer


def _decoder(recognizer: ProcessRecognizer) -> TurnDecoder:
    spec = recognizer.spec
    if spec.python:
        raise ConfigError(f"The recogniser {spec.name} has an environment of its own and can not be measured alone.")
    module, _, name = spec.target.partition(":")
    decoder = cast("TurnDecoder", getattr(import_module(module), name)(**spec.arguments))
    decoder.load()
    return decoder


async def _hear_nothing(recognizer: Recognizer) -> None:
    """A second of silence, so that no conversation waits for the model to be read."""

    async def silence() -> AsyncGenerator[AudioFrame, None]:
        yield AudioFrame(bytes(2 * _SECOND), _SECOND, "", 0, 0)

    async with aclosing(recognizer.transcribe(silence(), language="en")) as transcripts:
        async for _ in transcripts:
            pass
