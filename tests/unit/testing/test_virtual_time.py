from __future__ import annotations

import asyncio
import socket
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


async def test_timers_of_one_moment_come_in_the_order_in_which_they_were_set() -> None:
    order: list[int] = []
    loop = asyncio.get_running_loop()
    for number in range(20):
        loop.call_at(1.0, order.append, number)
    await asyncio.sleep(1.0)
    assert order == list(range(20))


async def test_time_stops_at_no_timer_that_was_cancelled() -> None:
    stops: list[float] = []
    loop = asyncio.get_running_loop()
    loop.call_at(1.0, stops.append, 1.0).cancel()
    loop.call_soon(stops.append, 0.0).cancel()
    await asyncio.sleep(2.0)
    assert not stops
    assert clock.now() == pytest.approx(2.0)


async def test_a_callback_that_fails_keeps_no_other_from_being_called() -> None:
    loop, told, called = asyncio.get_running_loop(), [], []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(called.append, True)
    await asyncio.sleep(0.1)
    assert called == [True]
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_a_socket_is_heard_though_time_jumps() -> None:
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.send(b"hello")
        assert await asyncio.wait_for(loop.sock_recv(near, 5), 1.0) == b"hello"
        waiting = asyncio.create_task(loop.sock_recv(near, 5))
        await asyncio.sleep(0)
        far.send(b"again")
        assert await asyncio.wait_for(waiting, 1.0) == b"again"


def test_a_closed_loop_takes_nothing() -> None:
    loop = VirtualTimeLoop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, print)
