"""How soon the agent is silent when somebody speaks over it.

From the moment at which the frame with the first speech sample is sent to the moment at which the
client has silenced its playout, over a real WebSocket, in noise (``snr``, 20 dB) that never stops.
The first sample is the strict onset: the first within 35 dB of the utterance's peak, at a random
place inside its frame. A playout that falls silent before anybody speaks is a false alarm.

The microphone sends 10 ms at a time, as Parley's own clients do, and once more 20 ms.

``--set``: snr (dB), frame_ms (10). ``--sessions``: side by side.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parley.bench import speech
from parley.bench.probe import RATE, Probe, at_rate, session
from parley.bench.report import BenchOptions, Goal, LoadMeter, Param, Row, row
from parley.bench.stack import running_parley
from parley.errors import ParleyError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIALS = 60
# Ten ways to begin: soft ones ("how", "four", "she") are heard later than hard ones.
SENTENCES = (
    "What is the weather like today?",
    "Hold on, I have a question.",
    "Stop there please.",
    "Actually, can you say that again?",
    "No, that is not what I meant.",
    "How much does it cost?",
    "Wait a moment.",
    "Tell me about the second one.",
    "Four would be better.",
    "She said it was fine.",
)
PATIENCE = 3.0
"""Seconds after which a trial counts as missed."""


@dataclass(slots=True)
class Tally:
    """What the trials gave, in milliseconds."""

    silent: list[float] = field(default_factory=list)
    decided: list[float] = field(default_factory=list)
    """From sending the frame that gave the evidence to silence: detection, decision and both ways."""
    missed: int = 0
    false_alarms: int = 0
    stale: int = 0
    """Trials in which a frame of the old reply still came after the order to be silent."""
    ticks: list[float] = field(default_factory=list)
    """How late this process sent its own frames."""
    failed: list[str] = field(default_factory=list)


def utterances() -> list[NDArray[np.int16]]:
    """Every sentence by every speaker that the machine has, at the microphone's rate."""
    return [at_rate(speech.say(text, who), RATE) for text in SENTENCES for who in speech.speakers()]


def run(options: BenchOptions) -> list[Row]:
    said = utterances()
    rows: list[Row] = []
    with running_parley(options, worker="tone") as parley:
        for count, frame_ms in _series(options):
            meter = LoadMeter()
            tally = asyncio.run(_measure(parley.url, options, said, count, frame_ms))
            rows += _rows(tally, options, count, frame_ms, meter)
    return rows


def _series(options: BenchOptions) -> list[tuple[int, float]]:
    """Sessions side by side, and milliseconds in each microphone frame."""
    frame_ms = options.number("frame_ms", 10)
    if options.sessions:
        return [(count, frame_ms) for count in options.sessions]
    return [(5, frame_ms), (5, 20.0), (15, frame_ms)]


async def _measure(
    url: str, options: BenchOptions, said: list[NDArray[np.int16]], count: int, frame_ms: float
) -> Tally:
    """``count`` participants at a time, each with trials of its own, until all have been made."""
    tally = Tally()
    trials = iter(range(options.trials or max(TRIALS, 4 * count)))
    random_ = random.Random(options.seed)
    # Every utterance as often as every other: the soft ones are heard later, and chance is not to decide.
    order = random_.sample(range(len(said)), len(said))

    async def participant(index: int) -> None:
        await asyncio.sleep(0.1 * index)
        for trial in trials:
            samples = said[order[trial % len(order)]]
            try:
                await _trial(url, options, samples, frame_ms, random_, tally, options.seed + trial)
            except (ParleyError, TimeoutError) as error:
                tally.failed.append(str(error) or "timed out")

    await asyncio.gather(*(participant(index) for index in range(count)))
    if not tally.silent and tally.failed:
        raise ParleyError(f"No trial succeeded: {tally.failed[0]}")
    return tally


async def _trial(
    url: str,
    options: BenchOptions,
    samples: NDArray[np.int16],
    frame_ms: float,
    random_: random.Random,
    tally: Tally,
    seed: int,
) -> None:
    noise_db = speech.SPEECH_LEVEL_DB - options.number("snr", 20)
    async with session(url, seed=seed, noise_db=noise_db, frame_seconds=frame_ms / 1000) as probe:
        reply = await probe.tell()
        await probe.audible(reply.number)
        onset = probe.mouth.say(samples, 0.8 + random_.random())
        spoken_at = await onset
        await _until_silent(probe, spoken_at)
        early = [at for at in probe.ears.silenced if at < spoken_at]
        after = [at for at in probe.ears.silenced if at >= spoken_at]
        tally.false_alarms += bool(early)
        if after:
            tally.silent.append(1000 * (after[0] - spoken_at))
            tally.decided.append(1000 * (after[0] - max(at for at in probe.mouth.sent if at <= after[0])))
            await asyncio.sleep(0.1)
            tally.stale += probe.ears.last_frame_at > after[0]
        else:
            tally.missed += 1
        tally.ticks += [1000 * late for late in probe.mouth.late]


async def _until_silent(probe: Probe, spoken_at: float) -> None:
    deadline = spoken_at + PATIENCE
    loop = asyncio.get_running_loop()
    while loop.time() < deadline and not any(at >= spoken_at for at in probe.ears.silenced):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def _rows(tally: Tally, options: BenchOptions, count: int, frame_ms: float, meter: LoadMeter) -> list[Row]:
    load = meter.read()
    params: dict[str, Param] = {
        "sessions": count,
        "frame_ms": round(frame_ms),
        "snr_db": round(options.number("snr", 20)),
    }
    goal = Goal(p95=110) if count >= 15 else Goal(35, 95) if frame_ms <= 10 else Goal(p95=95)
    trials = len(tally.silent) + tally.missed
    return [
        row("barge-in, onset sent to silent", "ms", tally.silent, goal=goal, params=params, load=load),
        row(
            "pause, from the frame that gave the evidence to silent",
            "ms",
            tally.decided,
            goal=Goal(2, 5),
            params=params,
        ),
        row("barge-in, not noticed in 3 s", "of trials", [tally.missed / max(1, trials)], params=params),
        row("barge-in, silent before anybody spoke", "of trials", [tally.false_alarms / max(1, trials)], params=params),
        row("barge-in, old audio after the order", "of trials", [tally.stale / max(1, trials)], params=params),
        row("barge-in, trials that failed", "trials", [len(tally.failed)], params=params),
        row("benchmark's own microphone late", "ms", tally.ticks, params=params),
    ]
