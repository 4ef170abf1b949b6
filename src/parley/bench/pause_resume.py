"""What a pause and a resume cost: samples lost or repeated, and the silence of a false alarm.

Short sounds that do not take the floor ("mhm", a cough) fall on a reply. Each makes the agent pause
on the first evidence and go on when it knows better. What was heard is then compared, sample by
sample and position by position, with the same reply heard without any sound. The recogniser is the instant one
and understands every nod; how well real ones are understood is measured by ``turns``.

``--set``: sounds (per reply, 3).
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from parley import clock
from parley.bench import speech
from parley.bench.probe import RATE, Probe, at_rate, session
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.stack import running_parley
from parley.errors import ParleyError
from parley.messages import ReplyEnded, ResumeAudio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parley.client.playout import Heard

REPLIES = 12
SIDE_BY_SIDE = 4
TEXT = "This sentence is spoken while somebody nods, coughs and shuts a door; it goes on to its very end. " * 2


@dataclass(slots=True)
class Tally:
    """What the replies gave."""

    wrong_samples: list[float] = field(default_factory=list)
    """For each reply that was finished: samples lost, repeated or altered."""
    silences: list[float] = field(default_factory=list)
    """Milliseconds from the end of the sound to the resume."""
    pauses: int = 0
    lost_replies: int = 0
    replies: int = 0
    failed: list[str] = field(default_factory=list)


def sounds() -> list[NDArray[np.int16]]:
    """Nods by every speaker, and a cough: a burst of noise with a sharp attack."""
    nods = [speech.say(text, who) for who in speech.speakers() for text in ("um hum", "uh huh", "okay")]
    burst = speech.noise(int(0.18 * speech.RATE), -18, 7, "white").astype(np.float32)
    burst *= np.exp(-np.arange(len(burst)) / (0.05 * speech.RATE)).astype(np.float32)
    return [at_rate(sound, RATE) for sound in [*nods, burst.astype(np.int16)]]


def run(options: BenchOptions) -> list[Row]:
    with running_parley(options, worker="tone", settings={"asr.model": "uh huh"}) as parley:
        meter = LoadMeter()
        tally = asyncio.run(_measure(parley.url, options))
    params = {"replies": tally.replies, "sounds": int(options.number("sounds", 3))}
    load = meter.read()
    share = tally.lost_replies / max(1, tally.replies)
    return [
        row("pause and resume, samples lost, repeated or altered", "samples", tally.wrong_samples, goal=Goal(0, 0),
            params={**params, "pauses": tally.pauses}, load=load),
        row("pause and resume, end of the sound to resume", "ms", tally.silences, goal=Goal(p95=400), params=params,
            load=load),
        row("pause and resume, replies lost to a nod or a cough", "of replies", [share], params=params),
        row("pause and resume, trials that failed", "trials", [len(tally.failed)], params=params),
    ]  # fmt: skip


async def _measure(url: str, options: BenchOptions) -> Tally:
    tally = Tally()
    async with session(url, seed=options.seed, noise_db=-60) as probe:
        await _hear(probe)
        reference = list(probe.ears.heard)
    noises = sounds()
    trials = iter(range(options.trials or REPLIES))
    random_ = random.Random(options.seed)

    async def participant() -> None:
        for trial in trials:
            try:
                await _trial(url, options, reference, noises, random_, tally, options.seed + trial)
            except (ParleyError, TimeoutError) as error:
                tally.failed.append(str(error) or "timed out")

    await asyncio.gather(*(participant() for _ in range(SIDE_BY_SIDE)))
    if not tally.replies and tally.failed:
        raise ParleyError(f"No trial succeeded: {tally.failed[0]}")
    return tally


async def _hear(probe: Probe) -> ReplyEnded:
    """One reply to its end, and until it has been heard."""
    since = len(probe.events)
    await probe.tell(TEXT)
    _, ended = await probe.until(ReplyEnded, since=since, timeout=60)
    while not probe.ears.silent(clock.now()):  # noqa: ASYNC110  (playout is reckoned, nothing signals it)
        await asyncio.sleep(0.02)
    return ended


async def _trial(
    url: str,
    options: BenchOptions,
    reference: list[Heard],
    noises: list[NDArray[np.int16]],
    random_: random.Random,
    tally: Tally,
    seed: int,
) -> None:
    async with session(url, seed=seed, noise_db=-60) as probe:

        async def disturb() -> None:
            for _ in range(int(options.number("sounds", 3))):
                await asyncio.sleep(0.9 + random_.random())
                probe.mouth.say(noises[random_.randrange(len(noises))], random_.random() * 0.2)

        disturbing = asyncio.create_task(disturb())
        try:
            ended = await _hear(probe)
        finally:
            disturbing.cancel()
            await asyncio.gather(disturbing, return_exceptions=True)
        tally.replies += 1
        tally.pauses += len(probe.ears.silenced)
        tally.silences += _silences(probe)
        if ended.outcome == "finished":
            tally.wrong_samples.append(difference(reference, probe.ears.heard))
        else:
            tally.lost_replies += 1


def _silences(probe: Probe) -> list[float]:
    """From the end of each sound to the resume after it; 0 where the reply went on before."""
    resumed = [event.at for event in probe.events if isinstance(event.message, ResumeAudio)]
    gaps: list[float] = []
    for at in resumed:
        began = max((paused for paused in probe.ears.silenced if paused <= at), default=at)
        ends = [end for end in probe.mouth.ends if began - 1 <= end <= at]
        gaps.append(1000 * (at - ends[-1]) if ends else 0.0)
    return gaps


def difference(reference: list[Heard], heard: list[Heard]) -> int:
    """Samples of the reference that were not heard exactly once, in order and unaltered."""
    expected = np.concatenate([np.frombuffer(piece.pcm, "<i2") for piece in reference])
    times = np.zeros(len(expected) + 1, np.int64)
    altered = extra = 0
    for piece in heard:
        samples = np.frombuffer(piece.pcm, "<i2")
        stop = min(len(expected), piece.end_sample)
        known = max(0, stop - piece.start_sample)
        altered += int(np.count_nonzero(samples[:known] != expected[piece.start_sample : stop]))
        extra += len(samples) - known
        times[piece.start_sample : stop] += 1
    return int(np.count_nonzero(times[:-1] != 1)) + altered + extra
