"""The worker that speaks is killed (SIGKILL) in mid-utterance: what does the participant hear?

Real worker processes, a real orchestrator, a session over WebSocket. Every word of the reply is a pair of
tones of its own, so that the recording of what was heard tells which words it holds. The gap is the longest
stretch in which the listener had nothing to play, within one utterance. Parameters: ``model`` (the tone voice:
tone-words is made as fast as it is asked for, tone-words-paced at the speed of speech), ``workers``, ``words``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from parley import clock
from parley.bench.probe import Probe, session
from parley.bench.report import BenchOptions, Goal, LoadMeter, Param, Row, row
from parley.bench.stack import Process, free_port, process, wait_for_health, wait_for_port
from parley.client.playout import Heard
from parley.errors import ParleyError, UnavailableError
from parley.messages import ReplyEnded, ReplyStarted, SayDelta, SayEnd
from parley.rpc.client import WorkerClient
from parley.worker.adapters.tone import decode_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TRIALS = 30
WORKERS = 3
WORDS = 24
WORD_SECONDS = 0.25
FIRST_CODE = 100
EARLIEST = 0.1
"""Seconds of the reply that have been heard before the worker is killed."""


@dataclass(slots=True)
class Trial:
    """One kill."""

    gap: float
    """Seconds."""
    lost: int
    repeated: int
    killed_at: float
    """Seconds into the reply."""
    outcome: str
    words: list[int] = field(default_factory=list)


class Fleet:
    """Workers on fixed ports that can be killed and started again."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, count: int, model: str) -> None:
        self._stack = stack
        self._folder = folder
        self._model = model
        self.ports = [free_port() for _ in range(count)]
        self._children: dict[int, Process] = {}
        for port in self.ports:
            self.start(port)
        for port in self.ports:
            wait_for_port(port, self._children[port])

    def start(self, port: int) -> None:
        settings = {"worker.port": port, "worker.name": f"w{port}", "worker.models.default_model": self._model}
        log = self._folder / f"worker-{port}.log"
        self._children[port] = self._stack.enter_context(process(log, "worker", settings))

    def kill(self, port: int) -> None:
        self._children[port].kill()
        self._children[port].wait()

    async def ready(self, port: int) -> None:
        await asyncio.to_thread(wait_for_port, port, self._children[port])

    async def speaking(self) -> int:
        """The port of the worker that holds a session."""
        found = await asyncio.gather(*(self._sessions(port) for port in self.ports))
        if not any(found):
            raise UnavailableError("No worker says that it holds the session.")
        return self.ports[found.index(max(found))]

    async def _sessions(self, port: int) -> int:
        client = WorkerClient(f"127.0.0.1:{port}")
        try:
            return (await client.capabilities(timeout=2.0)).sessions
        except ParleyError:
            return 0
        finally:
            await client.aclose()


def run(options: BenchOptions) -> list[Row]:
    model = options.text("model", "tone-words")
    words = int(options.number("words", WORDS))
    with _stack(options, model) as (url, fleet):
        meter = LoadMeter()
        trials = asyncio.run(_measure(url, fleet, options.trials or TRIALS, words, options.seed))
        load = meter.read()
    about: dict[str, Param] = {"model": model, "workers": len(fleet.ports), "words": words}
    unfinished = [trial for trial in trials if trial.outcome != "finished"]
    return [
        row("gap", "ms", [1000 * t.gap for t in trials], goal=Goal(p95=500), params=about, load=load),
        row("words lost", "in all", [float(sum(t.lost for t in trials))], goal=Goal(0), params=about),
        row("words repeated", "in all", [float(sum(t.repeated for t in trials))], goal=Goal(0), params=about),
        row("replies not finished", "in all", [float(len(unfinished))], goal=Goal(0), params=about),
        row("killed after", "s", [t.killed_at for t in trials], params=about),
    ]


@contextlib.contextmanager
def _stack(options: BenchOptions, model: str) -> Iterator[tuple[str, Fleet]]:
    with tempfile.TemporaryDirectory(prefix="parley-failover-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        fleet = Fleet(stack, folder, int(options.number("workers", WORKERS)), model)
        port = free_port()
        settings: Mapping[str, object] = {
            "server.port": port,
            "server.page": "false",
            "routing.workers": ",".join(f"127.0.0.1:{each}" for each in fleet.ports),
            **{key: value for key, value in options.params.items() if "." in key},
        }
        server = stack.enter_context(process(folder / "serve.log", "serve", settings))
        wait_for_health(f"http://127.0.0.1:{port}/health", server)
        yield f"ws://127.0.0.1:{port}/v1/session", fleet


async def _measure(url: str, fleet: Fleet, count: int, words: int, seed: int) -> list[Trial]:
    chance = random.Random(seed)
    trials: list[Trial] = []
    async with session(url, seed=seed, noise_db=-80, talk=False) as probe:
        await _once(probe, fleet, 3, None)  # opens channels and warms caches
        for _ in range(count):
            at = chance.uniform(EARLIEST, (words - 1) * WORD_SECONDS)
            trials.append(await _once(probe, fleet, words, at))
    return trials


async def _once(probe: Probe, fleet: Fleet, words: int, kill_at: float | None) -> Trial:
    """One reply; the worker is killed ``kill_at`` seconds after it began to be heard."""
    since, heard_before = len(probe.events), len(probe.ears.heard)
    codes = list(range(FIRST_CODE, FIRST_CODE + words))
    await probe.client.send(SayDelta(" ".join(map(str, codes)) + "."))
    await probe.client.send(SayEnd())
    _, reply = await probe.until(ReplyStarted, since=since)
    began = await probe.audible(reply.number)
    victim = 0
    if kill_at is not None:
        victim = await fleet.speaking()
        await asyncio.sleep(max(0.0, began + kill_at - clock.now()))
        await asyncio.to_thread(fleet.kill, victim)
        kill_at = clock.now() - began
    _, over = await probe.until(ReplyEnded, since=since, timeout=words * WORD_SECONDS + 30)
    probe.ears.advance(clock.now() + 1.0)
    heard = [stretch for stretch in probe.ears.heard[heard_before:] if stretch.number == reply.number]
    trial = _judge(heard, codes, kill_at or 0.0, over.outcome)
    if victim:
        fleet.start(victim)
        await fleet.ready(victim)
    return trial


def _judge(heard: list[Heard], codes: list[int], killed_at: float, outcome: str) -> Trial:
    if not heard:
        return Trial(0.0, len(codes), 0, killed_at, outcome)
    gap = max((after.at - before.until for before, after in itertools.pairwise(heard)), default=0.0)
    samples = np.frombuffer(b"".join(stretch.pcm for stretch in heard), np.int16)
    found = [word.code for word in decode_words(samples)]
    counts = Counter(found)
    lost = sum(code not in counts for code in codes)
    repeated = sum(max(0, counts[code] - 1) for code in codes) + sum(code not in codes for code in found)
    return Trial(max(0.0, gap), lost, repeated, killed_at, outcome, found)
