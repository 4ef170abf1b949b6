"""Where the time of a turn goes with real models in every place.

Whisper tiny.en hears, a Piper voice speaks, and SmolLM2 answers behind llama.cpp's own server, all on this machine;
another Piper voice asks short questions over a WebSocket, one after the other, each in a session of its own.
Counted from the moment at which the frame with the last speech sample is sent. The parts are the server's own
account of the turn (``latency``): each is the time between two of its stages, and its share is of the whole.

``--set store=FOLDER`` names the store of the models; ``--set llm=URL#MODEL`` asks another endpoint;
``--set turn.engine=smart-turn`` and every other setting of the server are passed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from parley.bench.piper_speech import PiperSpeaker
from parley.bench.probe import RATE, at_rate, session
from parley.bench.report import BenchOptions, LoadMeter, Row, row
from parley.bench.stack import free_port, running_parley
from parley.errors import ConfigError, ParleyError
from parley.hints import command
from parley.messages import ReplyEnded, ReplyStarted, TurnLatency
from parley.store import StoreSettings, open_store, read_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

TRIALS = 20
EARS, VOICE, LLM, TURN = "whisper-tiny.en", "en_US-joe-medium", "smollm2-135m", "smart-turn-v3.2"
QUESTIONS = (
    "What is the capital of France?",
    "How many people live there?",
    "What is your name?",
    "What color is the sky?",
    "Can you tell me a story?",
)
_NAMES = {
    "vad": "the voice has stopped",
    "endpoint": "the turn is over",
    "asr": "its words are final",
    "llm": "the first words of the answer",
    "tts": "its first sound",
    "sent": "on its way",
    "heard": "heard",
}


@dataclass(slots=True)
class Tally:
    """Milliseconds from the last speech frame, measured by the client and told by the server."""

    turns: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)
    shares: dict[str, list[float]] = field(default_factory=dict)
    """Percent of the turn."""
    early: int = 0
    """Answers that began before the speech was over."""
    failed: list[str] = field(default_factory=list)


def run(options: BenchOptions) -> list[Row]:
    paths = _models(options)
    with contextlib.ExitStack() as stack:
        endpoint, model = stack.enter_context(_endpoint(options, paths))
        settings: dict[str, object] = {
            "store.folder": _folder(options),
            "asr.engine": "auto",
            "asr.language": "en",
            "llm.engine": "openai",
            "llm.openai.base_url": endpoint,
            "llm.openai.model": model,
            "llm.openai.temperature": 0,
            "llm.openai.max_tokens": 40,
        }
        parley = stack.enter_context(
            running_parley(options, worker=VOICE, settings=settings, worker_settings={"store.folder": _folder(options)})
        )
        speaker = PiperSpeaker(paths[VOICE])
        said = [at_rate(speaker.say(text), RATE) for text in QUESTIONS]
        meter = LoadMeter()
        tally = asyncio.run(_measure(parley.url, options, said))
    return _rows(tally, meter.read(), {"turn": options.text("turn.engine", "auto"), "llm": model})


def _rows(tally: Tally, load: Mapping[str, float], params: Mapping[str, str]) -> list[Row]:
    rows = [row("chain, last speech frame to first audio", "ms", tally.turns, params=params, load=load)]
    rows += [row(f"chain, until {_NAMES[name]}", "ms", times) for name, times in tally.parts.items()]
    rows += [row(f"chain, share until {_NAMES[name]}", "%", shares) for name, shares in tally.shares.items()]
    rows.append(row("chain, answered before the speech was over", "turns", [tally.early]))
    return [*rows, row("chain, trials that failed", "trials", [len(tally.failed)])]


# --- what is needed ----------------------------------------------------------------------


def _folder(options: BenchOptions) -> Path:
    return open_store(StoreSettings(folder=options.text("store"))).folder


def _models(options: BenchOptions) -> dict[str, Path]:
    """Where each model lies. Raises ConfigError with the command that fetches what is missing."""
    catalog, store = read_catalog(), open_store(StoreSettings(folder=options.text("store")))
    wanted = [EARS, VOICE, *([] if options.text("llm") else [LLM])]
    wanted += [TURN] if options.text("turn.engine") == "smart-turn" else []
    absent = [name for name in wanted if not store.has(catalog.find(name))]
    if absent:
        fetch = command(f"pull {' '.join(absent)}")
        raise ConfigError(f"This needs models that are not here; fetch them with `{fetch}`.")
    return {name: store.path(catalog.find(name)) for name in wanted}


@contextlib.contextmanager
def _endpoint(options: BenchOptions, paths: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Address and model of who answers."""
    from parley.testing.llama_server import running_llama

    address, _, model = options.text("llm").partition("#")
    if address:
        yield address, model
        return
    with (
        tempfile.TemporaryDirectory(prefix="parley-bench-") as folder,
        running_llama(paths[LLM] / "model.gguf", free_port(), Path(folder, "llama.log")) as own,
    ):
        yield own, LLM


# --- one question after the other --------------------------------------------------------


async def _measure(url: str, options: BenchOptions, said: Sequence[NDArray[np.int16]]) -> Tally:
    tally = Tally()
    for trial in range(options.trials or TRIALS):
        try:
            await _trial(url, said[trial % len(said)], tally, options.seed + trial)
        except (ParleyError, TimeoutError) as error:
            tally.failed.append(str(error) or "timed out")
    if not tally.turns and tally.failed:
        raise ParleyError(f"No trial succeeded: {tally.failed[0]}")
    return tally


async def _trial(url: str, samples: NDArray[np.int16], tally: Tally, seed: int) -> None:
    async with session(url, seed=seed, noise_db=-60) as probe:
        since = len(probe.events)
        await probe.mouth.say(samples, 0.5)
        await asyncio.wait_for(probe.mouth.speech_ended.wait(), 20)
        started_at, reply = await probe.until(ReplyStarted, since=since, timeout=30)
        heard_at = await probe.audible(reply.number)
        if started_at < probe.mouth.ended_at:
            tally.early += 1
            return
        tally.turns.append(1000 * (heard_at - probe.mouth.ended_at))
        _, latency = await probe.until(TurnLatency, since=since, timeout=60)
        await probe.until(ReplyEnded, since=since, timeout=60)  # the next question finds the machine idle
        _account(latency.stages_ms, tally)


def _account(stages: Mapping[str, float], tally: Tally) -> None:
    """The time between each stage and the one before it: what comes early (words that are final already) costs 0."""
    reached, whole = 0.0, max(stages.values(), default=0.0)
    for name in _NAMES:
        if name in stages and whole > 0:
            own = max(0.0, stages[name] - reached)
            reached = max(reached, stages[name])
            tally.parts.setdefault(name, []).append(own)
            tally.shares.setdefault(name, []).append(100 * own / whole)
