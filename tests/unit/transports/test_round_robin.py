"""Work in portions, one for each turn of the loop."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.transports.round_robin import RoundRobin

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Course:
    """Clients with so many pieces each; what was done in which turn of the loop, and by whom."""

    def __init__(self, portion: int, pieces: list[int]) -> None:
        self.turns: list[list[int]] = []
        self._round_robin = RoundRobin(portion)
        self._pieces = pieces

    async def run(self) -> None:
        clients = [asyncio.create_task(self._client(name, count)) for name, count in enumerate(self._pieces)]
        while not all(client.done() for client in clients):
            self.turns.append([])
            await asyncio.sleep(0)
        await asyncio.gather(*clients)

    async def _client(self, name: int, count: int) -> None:
        for _ in range(count):
            if not self._round_robin.take():
                await self._round_robin.turn()
            self.turns[-1].append(name)


@given(portion=st.integers(1, 10), pieces=st.lists(st.integers(0, 40), min_size=1, max_size=20))
def test_no_turn_holds_more_than_two_portions_and_nothing_is_left_undone(portion: int, pieces: list[int]) -> None:
    course = Course(portion, pieces)
    asyncio.run(course.run())
    # Two, as those who were waiting and those who come anew may meet in one turn.
    assert max(map(len, course.turns)) <= 2 * portion
    assert [sum(turn.count(name) for turn in course.turns) for name in range(len(pieces))] == pieces


async def test_who_brings_much_delays_the_others_by_no_more_than_a_portion_each() -> None:
    course = Course(4, [400] * 10 + [1])
    await course.run()
    done = next(number for number, turn in enumerate(course.turns) if 10 in turn)
    assert done <= 10


async def test_who_alone_brings_little_never_waits() -> None:
    pace = RoundRobin(3)
    for _ in range(5):
        assert [pace.take() for _ in range(3)] == [True] * 3
        assert not pace.take()
        await asyncio.sleep(0)


async def test_nothing_is_scheduled_once_all_is_done() -> None:
    pace = RoundRobin(2)
    assert pace.take()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pace._next is None


async def test_whoever_stops_waiting_takes_nobodys_place() -> None:
    pace = RoundRobin(1)
    assert pace.take()
    gone, stays = (asyncio.create_task(pace.turn()) for _ in range(2))
    gone.cancel()
    await asyncio.wait_for(stays, 5)
