"""Loads, unloads, swaps and utterances at random, for minutes.

Run it with ``pytest -m soak tests/integration/worker/test_soak.py -s``.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from parley import clock
from parley.errors import CapacityError, PreconditionFailed
from parley.rpc.client import GrpcSynthesizer, WorkerClient
from parley.values import Voice
from parley.worker.memory import process_memory

pytestmark = [pytest.mark.anyio, pytest.mark.soak, pytest.mark.timeout(900)]
MODELS = ("piper-a", "piper-b", "piper-c", "piper-d")
STEPS, WARM, SESSIONS = 200, 20, 8
LEAD = 0.06
TEXT = "Some words are spoken here. And a few more."

WORKER = """
import asyncio, collections, json, sys, threading
from pathlib import Path
from parley.worker.server import serve
from parley.worker.settings import ModelSettings, WorkerSettings
from parley.worker.voicepacks import VoicePackCatalog

happened = collections.Counter()
lock = threading.Lock()

class Counting:
    def __init__(self, catalog):
        self._catalog = catalog
    def __getattr__(self, name):
        return getattr(self._catalog, name)
    def isolated(self, model_id):
        return False  # what happens in a child is not seen from here
    def create(self, model_id):
        adapter = self._catalog.create(model_id)
        for name in ("load", "unload"):
            setattr(adapter, name, self.counted(name, getattr(adapter, name)))
        return adapter
    def counted(self, name, method):
        def call():
            method()
            with lock:  # engines load and unload side by side
                happened[name] += 1
        return call

counters = None
async def ready(worker):
    global counters
    counters = worker.manager.counters
    print(worker.address, flush=True)

models = ModelSettings("tone", resident_cap=4, min_residency_ms=200, wait_ms=2000, max_parallel_loads=2)
settings = WorkerSettings(port=0, models=models)
asyncio.run(serve(settings, Counting(VoicePackCatalog((Path(sys.argv[1]),))), ready=ready))
print(json.dumps({"loads": counters.loads, "unloads": counters.unloads, "load_failures": counters.load_failures,
                  "evictions": counters.evictions, "happened": happened}), flush=True)
"""


@dataclass
class Listener:
    """Knows when this very process was held up, by its neighbours on the machine: that is no gap of the worker's."""

    stalls: list[tuple[float, float]] = field(default_factory=list)

    async def watch(self) -> None:
        last = clock.now()
        while True:
            await asyncio.sleep(0.002)
            now = clock.now()
            if now - last > 0.01:
                self.stalls.append((last, now))
            last = now

    def stalled(self, start: float, end: float) -> float:
        """Seconds between ``start`` and ``end`` in which nothing ran here; what goes on now counts as well."""
        return sum(max(0.0, min(end, b) - max(start, a)) for a, b in self.stalls[-50:])


@dataclass
class Speaker:
    """A session that speaks all the time, as an orchestrator would play it: at real time, 60 ms ahead."""

    client: GrpcSynthesizer
    name: str
    model: str
    listener: Listener
    gaps: list[float] = field(default_factory=list)
    utterances: int = 0
    refused: int = 0
    stop: bool = False

    async def run(self) -> None:
        while not self.stop:
            self.utterances += 1
            model = self.model
            try:
                await self._speak(model)
            except CapacityError as error:
                self.refused += 1
                await asyncio.sleep(min(1.0, error.retry_after))

    async def _speak(self, model: str) -> None:
        synthesis = self.client.synthesize(
            self._text(), voice=Voice(model), session_id=self.name, utterance_id=f"u{self.utterances}"
        )
        first: float | None = None
        count = 0
        try:
            async for _ in synthesis:
                now = clock.now()
                first = now if first is None else first
                due = first + count * 0.02 - LEAD
                if due > now:
                    await asyncio.sleep(due - now)
                elif count:
                    missing = now - due - LEAD - self.listener.stalled(due, now)
                    self.gaps.append(max(0.0, missing) + 0.02)
                count += 1
                if self.stop:
                    break
        finally:
            await synthesis.aclose()

    async def _text(self) -> AsyncIterator[str]:
        yield TEXT


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    from parley.testing.tiny_models import piper_pack

    for seed, model in enumerate(MODELS):
        piper_pack(tmp_path, model, ballast_mb=24, seed=seed)
    return tmp_path


async def settle(worker: WorkerClient, pid: int) -> int:
    """Unload what is in memory, which nobody holds any more; returns the worker's memory."""
    async with asyncio.timeout(10):  # the last cancellations may still be on their way
        while held := [status.info.model_id for status in await worker.models() if status.leases]:
            await asyncio.sleep(0.05)
    assert not held
    for status in await worker.models():
        if status.info.model_id in MODELS and status.state != "available":
            await worker.unload(status.info.model_id)  # one that leaves already is waited for
    there = {status.info.model_id for status in await worker.models() if status.state != "available"}
    assert there <= {"tone"}, "only the default model stays, unless it has made room for another"
    return process_memory(pid)


async def test_a_worker_under_random_load_keeps_its_memory_its_pace_and_its_books(packs: Path, bench: Any) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, str(packs), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    worker = WorkerClient(address)
    chance = random.Random(7)
    listener = Listener()
    watching = asyncio.ensure_future(listener.watch())
    outcome = {"load": 0, "unload": 0, "refused": 0, "swap": 0}
    early = await stretch(address, listener, chance, WARM, outcome)
    before = await settle(worker, process.pid)
    late = await stretch(address, listener, chance, STEPS - WARM, outcome)
    after = await settle(worker, process.pid)
    watching.cancel()
    await worker.aclose()
    process.send_signal(signal.SIGTERM)
    books = json.loads(await process.stdout.read())
    assert await process.wait() == 0
    gaps = [gap for speaker in (*early, *late) for gap in speaker.gaps]
    stalls = [end - start for start, end in listener.stalls]
    said = sum(speaker.utterances for speaker in (*early, *late))
    print(f"\n{outcome}, {said} utterances, {books}")
    longest = 1000 * max(gaps, default=0.02)
    print(
        f"memory {before / 1e6:.1f} -> {after / 1e6:.1f} MB, longest frame gap {longest:.0f} ms; "
        f"left out: {len(stalls)} stalls of the listening process, the longest {1000 * max(stalls, default=0):.0f} ms"
    )
    assert books["loads"] == books["happened"]["load"]
    assert books["unloads"] == books["happened"]["unload"]
    assert books["unloads"] == books["loads"], "what was loaded has been freed, at the latest at the end"
    assert books["load_failures"] == 0
    assert abs(after - before) <= 0.1 * before
    assert max(gaps, default=0) <= 0.04


async def stretch(
    address: str, listener: Listener, chance: random.Random, steps: int, outcome: dict[str, int]
) -> list[Speaker]:
    """Eight sessions speak while models come and go. When it returns the worker has closed them all."""
    client = GrpcSynthesizer(address)
    speakers = [Speaker(client, f"s{n}-{steps}", ("tone", *MODELS)[n % 3], listener) for n in range(SESSIONS)]
    tasks = [asyncio.ensure_future(speaker.run()) for speaker in speakers]
    for _ in range(steps):
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        what, model = chance.choice(("load", "unload", "swap", "swap")), chance.choice(MODELS)
        try:
            if what == "load":
                await client.worker.load(model)
            elif what == "unload":
                await client.worker.unload(model)
            else:
                chance.choice(speakers).model = chance.choice(("tone", *MODELS))
            outcome[what] += 1
        except (CapacityError, PreconditionFailed):
            outcome["refused"] += 1
    for speaker in speakers:
        speaker.stop = True
    await asyncio.gather(*tasks)
    await client.aclose()
    return speakers
