"""How soon the first frame of a reply is there: text in, audio at the client.

``say``: text of an outside model straight to the voice. ``reply``: a typed turn through the
language model (the built-in script) and the voice. The voice is the instant tone model in a worker
process behind gRPC, so what remains is Parley's own time. The clock stops when the first binary
message has been received. One session; one text after the other.
"""

from __future__ import annotations

import asyncio

from parley import clock
from parley.bench.probe import Probe, session
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.stack import running_parley
from parley.messages import Interrupt, ReplyEnded, ReplyStarted, SayDelta, SayEnd, TextInput

TRIALS = 100
_LISTEN = 0.3
"""Seconds of the reply that are heard, so that the conversation is one."""
SHORT = "This is what there is to say."
LONG = " ".join([SHORT] * 20)


def run(options: BenchOptions) -> list[Row]:
    with running_parley(options, worker="tone") as parley:
        rows: list[Row] = []
        for name, text, typed, goal in (
            ("first audio, say", SHORT, False, Goal(3)),
            ("first audio, say, twenty sentences", LONG, False, Goal(3)),
            ("first audio, reply of the script", "Tell me a story.", True, Goal()),
        ):
            meter = LoadMeter()
            times = asyncio.run(measure(parley.url, options.trials or TRIALS, text, typed=typed, seed=options.seed))
            rows.append(row(name, "ms", times, goal=goal, params={"characters": len(text)}, load=meter.read()))
    return rows


async def measure(url: str, trials: int, text: str, *, typed: bool, seed: int) -> list[float]:
    """Milliseconds from a text to its first frame; ``typed``: it is a turn, and the frame belongs to the answer."""
    times: list[float] = []
    async with session(url, seed=seed, noise_db=-60, talk=False) as probe:
        for trial in range(trials + 5):
            waited = await _once(probe, text, typed)
            if trial >= 5:  # the first ones open channels and warm caches
                times.append(1000 * waited)
    return times


async def _once(probe: Probe, text: str, typed: bool) -> float:
    since = len(probe.events)
    began = clock.now()
    if typed:
        await probe.client.send(TextInput(text))
    else:
        await probe.client.send(SayDelta(text))
        await probe.client.send(SayEnd())
    _, reply = await probe.until(ReplyStarted, since=since)
    heard_at = await probe.audible(reply.number)
    await asyncio.sleep(_LISTEN)
    await probe.client.send(Interrupt())
    await probe.until(ReplyEnded, since=since)
    await asyncio.sleep(0.03)
    return heard_at - began
