"""Who crowds in has a turn when the loop has done what the last one asked for."""

from __future__ import annotations

import asyncio
import time

import pytest

from parley.transports.bounds import MOST_TURNS, QUIET, Crowd

pytestmark = pytest.mark.anyio


class Busy:
    """Work that keeps one turn of the loop after the other."""

    def __init__(self, turns: int) -> None:
        self.left = turns
        self.done = 0

    def work(self) -> None:
        time.sleep(2 * QUIET)  # keeps the loop, as work does
        self.done += 1
        self.left -= 1
        if self.left:
            asyncio.get_running_loop().call_soon(self.work)


async def test_the_next_one_waits_until_what_the_last_one_asked_for_is_done() -> None:
    crowd, busy = Crowd(), Busy(MOST_TURNS - 2)

    async def first() -> None:
        await crowd.pass_through()
        busy.work()

    async def second() -> int:
        await crowd.pass_through()
        return busy.done

    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        seen = group.create_task(second())
    assert seen.result() == MOST_TURNS - 2


async def test_a_loop_that_is_never_quiet_holds_nobody_for_ever() -> None:
    crowd, busy = Crowd(), Busy(5 * MOST_TURNS)
    busy.work()
    await crowd.pass_through()
    assert busy.done <= MOST_TURNS + 2


async def test_on_a_quiet_loop_each_has_a_turn_of_their_own() -> None:
    crowd, passed = Crowd(), []

    async def one(number: int) -> None:
        await crowd.pass_through()
        passed.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(one(number))
        while not passed:
            await asyncio.sleep(0)
        assert passed == [0]
    assert passed == list(range(20))
