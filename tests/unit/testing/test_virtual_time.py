from __future__ import annotations

import asyncio
import time

import pytest

from parley import clock
from parley.testing.virtual_time import Deadlock, VirtualTimeLoop, run_virtual

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


async def test_an_hour_passes_at_once() -> None:
    before = time.monotonic()
    await asyncio.sleep(3600)
    assert clock.now() == pytest.approx(3600)
    assert time.monotonic() - before < 1


async def test_timers_come_in_their_order() -> None:
    order: list[tuple[str, float]] = []

    async def note(name: str, delay: float) -> None:
        await asyncio.sleep(delay)
        order.append((name, round(clock.now(), 6)))

    async with asyncio.TaskGroup() as group:
        group.create_task(note("late", 0.3))
        group.create_task(note("early", 0.02))
    assert order == [("early", 0.02), ("late", 0.3)]


async def test_a_timeout_fires_on_time() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await asyncio.get_running_loop().create_future()
    assert clock.now() == pytest.approx(5)


def test_waiting_for_nothing_is_a_deadlock() -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="no timer is due"):
        run_virtual(forever())


def test_a_callback_that_fails_is_not_lost() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(1, lambda: 1 / 0)
        await asyncio.sleep(2)

    with pytest.raises(ZeroDivisionError):
        run_virtual(main())


def test_a_message_of_the_loop_without_an_exception_is_not_lost_either() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "something is wrong"})

    with pytest.raises(RuntimeError, match="something is wrong"):
        run_virtual(main())
