"""How soon an answer is heard when somebody has finished speaking.

From the moment at which the frame with the last speech sample is sent to the arrival of the first
frame of the answer. Language model and voice answer at once (script, tone), so what remains is
the decision that the turn is over and the recogniser's last words. ``recogniser=instant`` (the
default) takes a recogniser that is done at once; ``--set recogniser=...`` names a real one.
A false end is an answer that begins before the speech is over.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parley.bench import speech
from parley.bench.probe import RATE, at_rate, session
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.stack import running_parley
from parley.errors import ParleyError
from parley.messages import ReplyStarted, TurnLatency

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIALS = 30
SIDE_BY_SIDE = 3
QUESTIONS = (
    "What is the weather like today?",
    "Tell me a story.",
    "What time is it?",
    "Count to ten please.",
    "How much does it cost?",
    "Who are you?",
)


@dataclass(slots=True)
class Tally:
    """Milliseconds from the last speech frame to the first frame of the answer, and where they went."""

    turns: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    """What the server says about them."""
    false_ends: int = 0
    failed: list[str] = field(default_factory=list)


def run(options: BenchOptions) -> list[Row]:
    engine = options.text("recogniser", "instant")
    with running_parley(options, worker="tone", settings={"asr.engine": engine}) as parley:
        meter = LoadMeter()
        tally = asyncio.run(_measure(parley.url, options))
    load = meter.read()
    params = {"recogniser": engine if not options.url else "the server's"}
    false_ends = tally.false_ends / max(1, len(tally.turns) + tally.false_ends)
    goal = Goal(250, 300) if engine == "instant" else Goal()
    rows = [
        row("turn, last speech frame to first audio", "ms", tally.turns, goal=goal, params=params, load=load),
        row("turn, answered before the speech was over", "of turns", [false_ends], params=params),
        row("turn, trials that failed", "trials", [len(tally.failed)], params=params),
    ]
    return rows + [row(f"turn, server's stage {name}", "ms", times) for name, times in tally.stages.items()]


async def _measure(url: str, options: BenchOptions) -> Tally:
    tally = Tally()
    trials = iter(range(options.trials or TRIALS))
    random_ = random.Random(options.seed)
    said = [at_rate(speech.say(text, who), RATE) for text in QUESTIONS for who in speech.speakers()]

    async def participant() -> None:
        for trial in trials:
            try:
                await _trial(url, said[random_.randrange(len(said))], random_.random(), tally, options.seed + trial)
            except (ParleyError, TimeoutError) as error:
                tally.failed.append(str(error) or "timed out")

    await asyncio.gather(*(participant() for _ in range(SIDE_BY_SIDE)))
    if not tally.turns and tally.failed:
        raise ParleyError(f"No trial succeeded: {tally.failed[0]}")
    return tally


async def _trial(url: str, samples: NDArray[np.int16], delay: float, tally: Tally, seed: int) -> None:
    async with session(url, seed=seed, noise_db=-60) as probe:
        since = len(probe.events)
        await probe.mouth.say(samples, 1.0 + delay)
        await asyncio.wait_for(probe.mouth.speech_ended.wait(), 20)
        started_at, reply = await probe.until(ReplyStarted, since=since)
        heard_at = await probe.audible(reply.number)
        if started_at < probe.mouth.ended_at:
            tally.false_ends += 1
            return
        tally.turns.append(1000 * (heard_at - probe.mouth.ended_at))
        _, latency = await probe.until(TurnLatency, since=since, timeout=60)
        for name, milliseconds in latency.stages_ms.items():
            tally.stages.setdefault(name, []).append(milliseconds)
