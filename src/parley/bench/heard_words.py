"""Does the history hold the words that were heard?

The agent speaks a list of words with a short silence between them; somebody cuts in at a random
moment. How many words reached the ear is counted in the recording of what was played, as bursts
of sound, so that neither Parley's word marks nor its ledger are asked. That count is compared with
the words of ``heard_text``, which is what the language model will remember.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.frame import SAMPLE_RATE
from parley.bench import speech
from parley.bench.probe import RATE, at_rate, session
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.stack import running_parley
from parley.errors import ParleyError
from parley.messages import ReplyEnded

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRIALS = 40
SIDE_BY_SIDE = 4
# Words whose sound does not break off inside: no stop consonants in the middle or at the end.
WORDS = (
    "moon", "river", "yellow", "lemon", "winner", "mirror", "wheel", "melon", "yarn", "warm", "lawyer", "rain",
    "million", "narrow",
)  # fmt: skip
SHORTEST_GAP = 0.06
"""Seconds of silence that separate two words."""
_BLOCK = SAMPLE_RATE // 200
_AUDIBLE_DB = -35.0


@dataclass(slots=True)
class Tally:
    """Signed errors in words: what the history holds less what was heard."""

    errors: list[int] = field(default_factory=list)
    not_interrupted: int = 0
    wrong_text: int = 0
    """Trials whose heard text is not the beginning of what was said."""
    failed: list[str] = field(default_factory=list)


def run(options: BenchOptions) -> list[Row]:
    with running_parley(options, worker="espeak") as parley:
        meter = LoadMeter()
        tally = asyncio.run(_measure(parley.url, options))
    load = meter.read()
    within = [sum(abs(error) <= 1 for error in tally.errors) / max(1, len(tally.errors))]
    exact = [sum(error == 0 for error in tally.errors) / max(1, len(tally.errors))]
    params = {"trials": len(tally.errors)}
    return [
        row("heard words, history within one word", "of cuts", within, goal=Goal(0.95, at_least=True), params=params,
            load=load),
        row("heard words, history exact", "of cuts", exact, params=params, load=load),
        row("heard words, size of the error", "words", [abs(error) for error in tally.errors], params=params),
        row("heard words, history is not the reply's beginning", "trials", [tally.wrong_text], params=params),
        row("heard words, reply was not interrupted", "trials", [tally.not_interrupted], params=params),
        row("heard words, trials that failed", "trials", [len(tally.failed)], params=params),
    ]  # fmt: skip


async def _measure(url: str, options: BenchOptions) -> Tally:
    tally = Tally()
    trials = iter(range(options.trials or TRIALS))
    random_ = random.Random(options.seed)
    said = [at_rate(speech.say("Wait, stop there please.", who), RATE) for who in speech.speakers()]

    async def participant() -> None:
        for trial in trials:
            try:
                await _trial(url, said[trial % len(said)], random_, tally, options.seed + trial)
            except (ParleyError, TimeoutError) as error:
                tally.failed.append(str(error) or "timed out")

    await asyncio.gather(*(participant() for _ in range(SIDE_BY_SIDE)))
    if not tally.errors and tally.failed:
        raise ParleyError(f"No trial succeeded: {tally.failed[0]}")
    return tally


async def _trial(url: str, said: NDArray[np.int16], random_: random.Random, tally: Tally, seed: int) -> None:
    words = random_.sample(WORDS, len(WORDS))
    text = ", ".join(words).capitalize() + "."
    async with session(url, seed=seed, noise_db=-60) as probe:
        reply = await probe.tell(text)
        await probe.audible(reply.number)
        await probe.mouth.say(said, 0.3 + 6 * random_.random())
        _, ended = await probe.until(ReplyEnded, where=lambda end: end.utterance_id == reply.utterance_id)
        await asyncio.sleep(0.1)
        heard = [piece for piece in probe.ears.heard if piece.number == reply.number]
    if ended.outcome != "interrupted":
        tally.not_interrupted += 1
        return
    tally.wrong_text += not text.startswith(ended.heard_text.rstrip(" ,.…"))
    recorded = b"".join(piece.pcm for piece in heard)
    tally.errors.append(len(ended.heard_text.split()) - count_words(np.frombuffer(recorded, "<i2")))


def count_words(recording: NDArray[np.int16]) -> int:
    """Bursts of sound with at least ``SHORTEST_GAP`` between them."""
    blocks = recording[: len(recording) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float64)
    if not len(blocks):
        return 0
    level = np.sqrt(np.mean(blocks**2, axis=1))
    voiced = np.flatnonzero(level > max(50.0, level.max() * 10 ** (_AUDIBLE_DB / 20)))
    if not len(voiced):
        return 0
    gaps = np.diff(voiced) - 1
    return 1 + int(np.count_nonzero(gaps * _BLOCK / SAMPLE_RATE >= SHORTEST_GAP))
