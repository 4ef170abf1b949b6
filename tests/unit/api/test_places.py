"""Places and memory for other people's clients: bounded, given back, and refused in one sentence."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from parley.api.places import Memory, Places, Shares
from parley.errors import Draining, TooManyRequests
from parley.server.at_work import AtWork
from parley.testing.virtual_time import run_virtual


def test_what_does_not_fit_waits_until_something_is_given_back() -> None:
    async def scene() -> list[float]:
        memory, loop, times = Memory(100, "a.setting"), asyncio.get_running_loop(), list[float]()

        async def upload(size: int, keeps: float) -> None:
            with memory.held() as held:
                for _ in range(size // 10):
                    await held.take(10)
                times.append(round(loop.time(), 3))
                await asyncio.sleep(keeps)

        await asyncio.gather(upload(60, 3.0), upload(60, 1.0))
        return times

    assert run_virtual(scene()) == [0.0, 3.0]


def test_the_first_is_always_taken_and_what_does_not_fit_for_long_is_refused() -> None:
    async def scene() -> None:
        memory = Memory(100, "a.setting")
        with memory.held() as first:
            await first.take(500)
            with memory.held() as second, pytest.raises(TooManyRequests, match=r"in memory already \(a\.setting\)"):
                await second.take(1)
            first.give_back()
            with memory.held() as third:
                await third.take(100)

    run_virtual(scene())


def test_uploads_that_are_fill_the_memory_together_come_to_an_end_one_by_one() -> None:
    async def scene() -> list[bool]:
        memory = Memory(100, "a.setting")

        async def upload() -> bool:
            with memory.held() as held:
                try:
                    for _ in range(9):
                        await held.take(10)
                        await asyncio.sleep(0.1)
                except TooManyRequests:
                    return False
                return True

        return await asyncio.gather(*(upload() for _ in range(4)))

    assert all(run_virtual(scene()))


def test_who_stops_takes_nothing_new_and_waits_for_what_there_is() -> None:
    async def scene() -> tuple[bool, bool]:
        at_work = AtWork()
        places = Places(2, "texts", "a.setting", at_work)

        async def speak() -> None:
            async with places.one():
                await asyncio.sleep(2.0)

        speaking = asyncio.create_task(speak())
        await asyncio.sleep(0.1)
        at_work.close()
        with pytest.raises(Draining, match="stops and takes nothing new"):
            async with places.one():
                pass
        early, late = await at_work.ended(1.0), await at_work.ended(1.0)
        await speaking
        return early, late

    assert run_virtual(scene()) == (False, True)


def test_one_address_leaves_half_of_the_places_to_others_and_gets_its_own_back() -> None:
    shares, held = Shares(4, "guests", "a.setting"), ExitStack()
    with held:
        for _ in range(2):
            held.enter_context(shares.one("192.0.2.1"))
        with pytest.raises(TooManyRequests, match=r"its half of the 4 places for guests \(a\.setting\)"):
            held.enter_context(shares.one("192.0.2.1"))
        for end in (1, 2):  # of one IPv6 network, one place
            held.enter_context(shares.one(f"2001:db8::{end}"))
        with pytest.raises(TooManyRequests, match="All 4 places for guests are taken"):
            held.enter_context(shares.one("192.0.2.2"))
    with shares.one("192.0.2.1"), shares.one("192.0.2.1"):
        pass


def test_a_single_place_is_anybody_s() -> None:
    with Shares(1, "guests", "a.setting").one(""):
        pass
