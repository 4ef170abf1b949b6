"""Does the history hold the words that were heard?

The agent speaks a list of words with a short silence between them; somebody cuts in at a random
moment. How many words reached the ear is counted in the recording of what was played, as bursts
of sound, so that neither Parley's word marks nor its ledger are asked. A word counts there when more than half
of its burst was played, by the length that the same voice gives it where nobody cuts in. That count is compared
with the words of ``heard_text``, which is what the language model will remember.

``--set voice=en_US-joe-medium`` takes a voice of the store (``--set store=FOLDER``, the usual one without it)
in place of the embedded one; a Piper voice without the noise that makes it say a word differently each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import tempfile
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import yaml

from parley.audio.frame import SAMPLE_RATE
from parley.bench import speech
from parley.bench.probe import RATE, at_rate, session
from parley.bench.report import BenchOptions, Goal, LoadMeter, Param, Row, row
from parley.bench.stack import running_parley
from parley.bench.tts_processes import worker
from parley.errors import ConfigError, ParleyError
from parley.hints import command
from parley.messages import ReplyEnded
from parley.session.settings import ReplySettings
from parley.store import StoreSettings, open_store, read_catalog
from parley.text.sentences import Sentences
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from numpy.typing import NDArray

    from parley.rpc.client import GrpcSynthesizer

TRIALS = 40
SIDE_BY_SIDE = 4
EMBEDDED = "espeak"
# Words whose sound does not break off inside: no stop consonants in the middle or at the end.
WORDS = (
    "moon", "river", "yellow", "lemon", "winner", "mirror", "wheel", "melon", "yarn", "warm", "lawyer", "rain",
    "million", "narrow",
)  # fmt: skip
SHORTEST_GAP = 0.06
"""Seconds of silence that separate two words."""
_BLOCK = SAMPLE_RATE // 200
_AUDIBLE_DB = -35.0
_STEADY = {"piper": {"noise_scale": 0, "noise_w": 0}}
"""Options with which a family says the same words in the same way."""


class Trial(NamedTuple):
    """One list of words and when somebody cuts in."""

    text: str
    delay: float
    """Seconds after its first sound."""
    whole: list[float]
    """Seconds of sound of each word."""


@dataclass(slots=True)
class Tally:
    """Signed errors in words: what the history holds less what was heard."""

    errors: list[int] = field(default_factory=list)
    not_interrupted: int = 0
    wrong_text: int = 0
    """Trials whose heard text is not the beginning of what was said."""
    failed: list[str] = field(default_factory=list)


def run(options: BenchOptions) -> list[Row]:
    model = options.text("voice", EMBEDDED)
    with _packs(model, options) as packs:
        trials = asyncio.run(_trials(packs, model, options))
        with running_parley(options, worker=model, worker_settings={"worker.voicepacks": packs}) as parley:
            meter = LoadMeter()
            tally = asyncio.run(_measure(parley.url, trials, options.seed))
    load = meter.read()
    within = [sum(abs(error) <= 1 for error in tally.errors) / max(1, len(tally.errors))]
    exact = [sum(error == 0 for error in tally.errors) / max(1, len(tally.errors))]
    params: dict[str, Param] = {"voice": model, "trials": len(tally.errors)}
    return [
        row("heard words, history within one word", "of cuts", within, goal=Goal(0.95, at_least=True), params=params,
            load=load),
        row("heard words, history exact", "of cuts", exact, goal=Goal(0.9, at_least=True), params=params, load=load),
        row("heard words, size of the error", "words", [abs(error) for error in tally.errors], params=params),
        row("heard words, history is not the reply's beginning", "trials", [tally.wrong_text], params=params),
        row("heard words, reply was not interrupted", "trials", [tally.not_interrupted], params=params),
        row("heard words, trials that failed", "trials", [len(tally.failed)], params=params),
    ]  # fmt: skip


# --- the voice, and what it says where nobody cuts in ------------------------------------


@contextlib.contextmanager
def _packs(model: str, options: BenchOptions) -> Iterator[Path]:
    """A folder of voice packs with that voice alone; an empty one for the embedded voice."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        if model != EMBEDDED:
            _copy_pack(model, options, folder)
        yield folder


def _copy_pack(model: str, options: BenchOptions, folder: Path) -> None:
    entry, store = read_catalog().find(model), open_store(StoreSettings(folder=options.text("store")))
    if not store.has(entry):
        raise ConfigError(f"The voice {model} is not here; fetch it with `{command(f'pull {model}')}`.")
    pack = Path(shutil.copytree(store.path(entry), folder / entry.engine / model))
    metadata = pack / "metadata.yaml"
    said = yaml.safe_load(metadata.read_text("utf-8"))
    said["options"] = said.get("options", {}) | _STEADY.get(entry.engine, {})
    metadata.write_text(yaml.safe_dump(said), "utf-8")


async def _trials(packs: Path, model: str, options: BenchOptions) -> list[Trial]:
    """Draw the lists of words and have each of them spoken to its end."""
    random_ = random.Random(options.seed)
    trials: list[Trial] = []
    async with worker(packs, model) as (_, synthesizer):
        for number in range(options.trials or TRIALS):
            text = ", ".join(random_.sample(WORDS, len(WORDS))).capitalize() + "."
            whole = bursts(await _whole(synthesizer, model, text, f"u{number}"))
            if len(whole) != len(WORDS):
                raise ParleyError(f"The voice {model} leaves no silence between some of the words of {text!r}.")
            trials.append(Trial(text, 0.3 + 6 * random_.random(), whole))
    return trials


async def _whole(synthesizer: GrpcSynthesizer, model: str, text: str, name: str) -> NDArray[np.int16]:
    """All of the text, in the pieces in which a session gives it to a voice."""
    splitter = Sentences("en", first_clause=ReplySettings().first_clause)

    async def pieces() -> AsyncIterator[str]:
        for piece in (*splitter.add(text), *splitter.finish()):
            yield piece

    synthesis = synthesizer.synthesize(pieces(), voice=Voice(model=model), session_id="whole", utterance_id=name)
    async with aclosing(synthesis):
        return np.frombuffer(b"".join([frame.pcm async for frame in synthesis]), "<i2")


# --- conversations -----------------------------------------------------------------------


async def _measure(url: str, trials: Sequence[Trial], seed: int) -> Tally:
    tally = Tally()
    left = iter(enumerate(trials))
    said = [at_rate(speech.say("Wait, stop there please.", who), RATE) for who in speech.speakers()]

    async def participant() -> None:
        for number, trial in left:
            try:
                await _trial(url, said[number % len(said)], trial, tally, seed + number)
            except (ParleyError, TimeoutError) as error:
                tally.failed.append(str(error) or "timed out")

    await asyncio.gather(*(participant() for _ in range(SIDE_BY_SIDE)))
    if not tally.errors and tally.failed:
        raise ParleyError(f"No trial succeeded: {tally.failed[0]}")
    return tally


async def _trial(url: str, said: NDArray[np.int16], trial: Trial, tally: Tally, seed: int) -> None:
    async with session(url, seed=seed, noise_db=-60) as probe:
        reply = await probe.tell(trial.text)
        await probe.audible(reply.number)
        await probe.mouth.say(said, trial.delay)
        _, ended = await probe.until(ReplyEnded, where=lambda end: end.utterance_id == reply.utterance_id)
        await asyncio.sleep(0.1)
        heard = [piece for piece in probe.ears.heard if piece.number == reply.number]
    if ended.outcome != "interrupted":
        tally.not_interrupted += 1
        return
    tally.wrong_text += not trial.text.startswith(ended.heard_text.rstrip(" ,.…"))
    recorded = np.frombuffer(b"".join(piece.pcm for piece in heard), "<i2")
    tally.errors.append(len(ended.heard_text.split()) - count_words(recorded, trial.whole))


# --- counting ----------------------------------------------------------------------------


def count_words(recording: NDArray[np.int16], whole: Sequence[float]) -> int:
    """Words of which more than half sounds in the recording; ``whole`` are the seconds of sound of each."""
    heard = bursts(recording)[: len(whole)]
    if not heard:
        return 0
    return len(heard) - 1 + (2 * heard[-1] > whole[len(heard) - 1])


def bursts(recording: NDArray[np.int16]) -> list[float]:
    """Seconds of each burst of sound; at least ``SHORTEST_GAP`` of silence lies between two."""
    blocks = recording[: len(recording) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float64)
    if not len(blocks):
        return []
    level = np.sqrt(np.mean(blocks**2, axis=1))
    voiced = np.flatnonzero(level > max(50.0, level.max() * 10 ** (_AUDIBLE_DB / 20)))
    if not len(voiced):
        return []
    cuts = np.flatnonzero((np.diff(voiced) - 1) * _BLOCK / SAMPLE_RATE >= SHORTEST_GAP)
    first, last = voiced[np.r_[0, cuts + 1]], voiced[np.r_[cuts, len(voiced) - 1]]
    return [float(seconds) for seconds in (last - first + 1) * _BLOCK / SAMPLE_RATE]
