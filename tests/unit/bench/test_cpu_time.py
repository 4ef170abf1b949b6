"""Real work in virtual time: it takes as long as it took, on as many cores as there are."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from parley.bench.cpu_time import CpuTimeLoop
from parley.testing.virtual_time import run_virtual


def work(seconds: float) -> float:
    """So much CPU time."""
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass
    return seconds


def fail() -> None:
    raise ValueError("no")


async def all_at_once(count: int) -> list[float]:
    """When each of so many pieces of work of 20 ms was done."""

    async def one() -> float:
        await asyncio.to_thread(work, 0.02)
        return asyncio.get_running_loop().time()

    return await asyncio.gather(*(one() for _ in range(count)))


def test_work_is_over_after_its_own_time_and_waits_for_a_core() -> None:
    done = run_virtual(all_at_once(4), partial(CpuTimeLoop, cores=2))
    assert 0.02 <= done[0] < done[2]
    assert done[1] < done[3]
    assert done[2] >= min(done[:2]) + 0.02


def test_what_goes_wrong_is_told() -> None:
    async def main() -> None:
        await asyncio.to_thread(fail)

    with pytest.raises(ValueError, match="no"):
        run_virtual(main(), CpuTimeLoop)


def test_work_that_nobody_waits_for_any_more_keeps_its_core() -> None:
    async def main() -> float:
        left = asyncio.create_task(asyncio.to_thread(work, 0.02))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.to_thread(work, 0.02)
        return asyncio.get_running_loop().time()

    assert run_virtual(main(), partial(CpuTimeLoop, cores=1)) >= 0.04
