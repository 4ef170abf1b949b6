"""Each fault of the page, done to running processes: its panel moves and its alert fires, and a quiet hour fires none.

Time runs twenty times faster for the rules (``watch.FASTER``), and for nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import psutil
import pytest
from tests.integration.attacks.victim import ATTACKERS
from tests.integration.faults.stack import Stack, running, talk, write
from tests.integration.faults.watch import Watch, watching
from tests.unit.docs.test_faults import ROWS, Row

from parley.client.session import SessionClient
from parley.errors import ParleyError
from parley.messages import StartSession
from parley.testing.redis_server import RedisServer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.soak,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and RedisServer.available()), reason="prometheus and redis-server are needed"
    ),
]
QUIET = 180.0
"""Seconds: an hour of the rules."""
LIMIT, CALM = 90.0, 150.0
"""Seconds until an alert fires, and until it is over."""
OF_THE_MACHINE = {"ParleyLateFrames", "ParleyLoopLate", "ParleyWorkerLoopLate", "ParleySlowToFallSilent"}
"""What fires on a machine whose processors are taken by others, and rightly so."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# --- faults --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _beside(*work: Callable[[], object]) -> AsyncIterator[None]:
    """These coroutines run while the block does."""
    tasks = [asyncio.ensure_future(each()) for each in work]  # type: ignore[call-overload]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def slow_model(stack: Stack) -> AsyncIterator[None]:
    stack.world.delay = 2.5
    yield
    stack.world.delay = 0.0


@asynccontextmanager
async def late_voice(stack: Stack) -> AsyncIterator[None]:
    async with _beside(*[lambda: write(stack, "late")] * 2):
        yield


@asynccontextmanager
async def dragging_voice(stack: Stack) -> AsyncIterator[None]:
    async with _beside(*[lambda: write(stack, "dragging")] * 5):
        yield


@asynccontextmanager
async def dead_redis(stack: Stack) -> AsyncIterator[None]:
    await stack.redis.stop()
    yield
    await stack.redis.start()


@asynccontextmanager
async def flood(stack: Stack) -> AsyncIterator[None]:
    place = f"127.0.0.1:{stack.port}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ATTACKERS), place, "ping", "60", "2", stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def late_ears(stack: Stack) -> AsyncIterator[None]:
    async def stop() -> None:
        while True:
            for decoder in stack.decoders():
                with contextlib.suppress(psutil.Error):
                    decoder.suspend()
            await asyncio.sleep(0.2)

    async with _beside(stop):
        yield
    for decoder in stack.decoders():
        with contextlib.suppress(psutil.Error):
            decoder.resume()


@asynccontextmanager
async def dying_ears(stack: Stack) -> AsyncIterator[None]:
    async def kill() -> None:
        while True:
            for decoder in stack.decoders():
                with contextlib.suppress(psutil.Error):
                    decoder.kill()
            await asyncio.sleep(1.0)

    async with _beside(kill):
        yield


@asynccontextmanager
async def full_disk(stack: Stack) -> AsyncIterator[None]:
    """No file may become longer than this: writing fails as on a disk without room."""
    process = stack.orchestrator.seen
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    async with _beside(lambda: talk(stack)):
        yield
    process.rlimit(psutil.RLIMIT_FSIZE, before)


@asynccontextmanager
async def no_worker(stack: Stack) -> AsyncIterator[None]:
    await stack.worker.kill()
    yield
    await stack.worker.start()


@asynccontextmanager
async def crowd(stack: Stack) -> AsyncIterator[None]:
    async def come() -> None:
        while True:
            with contextlib.suppress(ParleyError, OSError):
                async with SessionClient(f"{stack.url}/v1/session", StartSession()) as client:
                    async for _ in client:
                        pass
            await asyncio.sleep(0.5)

    async with _beside(*[come] * 20):
        yield


@asynccontextmanager
async def stalling(stack: Stack) -> AsyncIterator[None]:
    async def stall() -> None:
        while True:
            stack.orchestrator.seen.suspend()
            await asyncio.sleep(0.2)
            stack.orchestrator.seen.resume()
            await asyncio.sleep(0.4)

    try:
        async with _beside(stall):
            yield
    finally:
        os.kill(stack.orchestrator.seen.pid, signal.SIGCONT)


@asynccontextmanager
async def failing_tool(stack: Stack) -> AsyncIterator[None]:
    stack.world.calls = True
    yield
    stack.world.calls = False


FAULTS: dict[str, Callable[[Stack], AbstractAsyncContextManager[None]]] = {
    "slow model": slow_model,
    "late voice": late_voice,
    "dragging voice": dragging_voice,
    "dead Redis": dead_redis,
    "flood": flood,
    "late ears": late_ears,
    "dying ears": dying_ears,
    "full disk": full_disk,
    "crowd": crowd,
    "stalling process": stalling,
    "failing tool": failing_tool,
    "no worker": no_worker,
}
"""By the names of the page."""


# --- the test ------------------------------------------------------------------------------------


async def calm(watch: Watch, *names: str) -> None:
    """Wait until none of these fires."""
    async with asyncio.timeout(CALM):
        while set(names) & await watch.firing():
            await asyncio.sleep(1)


async def tried(watch: Watch, stack: Stack, row: Row) -> tuple[float, set[str], str]:
    """Do it; seconds until the alert fired, what else did, and how the panel moved."""
    await calm(watch, row.alert)
    before = await watch.shown(row.board, row.panel)
    loop = asyncio.get_running_loop()
    began, moved, fired, also = loop.time(), "", 0.0, set[str]()
    async with FAULTS[row.fault](stack):
        while not (moved and fired) and loop.time() - began < LIMIT:
            await asyncio.sleep(1)
            firing = await watch.firing()
            also |= firing
            if row.alert in firing:
                fired = fired or loop.time() - began
            low, high = await watch.shown(row.board, row.panel)
            if row.rises and high > 1.5 * before[1] + 0.001:
                moved = f"{before[1]:.3g} to {high:.3g}"
            if not row.rises and low < 0.5 * before[0]:
                moved = f"{before[0]:.3g} to {low:.3g}"
    assert fired, f"{row.fault}: {row.alert} did not fire; {sorted(also)} did"
    assert moved, f"{row.fault}: {row.panel} did not move from {before}"
    return fired, also - {row.alert}, moved


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[Stack, Watch]]:
    """A running Parley that two people talk with, and Prometheus over it."""
    async with running(folder) as stack, _beside(lambda: talk(stack), lambda: talk(stack)):
        targets = {"parley-orchestrators": stack.port, "parley-workers": stack.figures}
        async with watching(folder, targets) as watch:
            yield stack, watch


@pytest.mark.timeout(600)
async def test_a_quiet_hour_fires_none(tmp_path: Path) -> None:
    async with watched(tmp_path) as (_, watch):
        loop, noticed = asyncio.get_running_loop(), set[str]()
        began = loop.time()
        while loop.time() - began < QUIET:
            noticed |= await watch.firing()
            await asyncio.sleep(1)
        assert await watch.query("sum(parley_replies_total)") != [0]  # somebody talked all the while
        crowded = os.getloadavg()[0] > (os.cpu_count() or 1)
        print(json.dumps({"fired": sorted(noticed), "load": os.getloadavg()[0]}), flush=True)
        assert noticed - (OF_THE_MACHINE if crowded else set()) == set()


@pytest.mark.timeout(2400)
async def test_each_fault_moves_its_panel_and_fires_its_alert_which_ends_with_it(tmp_path: Path) -> None:
    wanted = os.environ.get("PARLEY_TEST_FAULTS", "")
    rows = [row for row in ROWS if not wanted or row.fault in wanted.split(",")]
    failures = []
    async with watched(tmp_path) as (stack, watch):
        for row in rows:
            try:
                seconds, also, moved = await tried(watch, stack, row)
            except AssertionError as error:
                failures.append(str(error))
                print(f"FAILED {error}", flush=True)
            else:
                print(f"| {row.fault} | {seconds:.0f} s | {moved} | {', '.join(sorted(also))} |", flush=True)
        assert failures == []
        await calm(watch, *(row.alert for row in rows))
