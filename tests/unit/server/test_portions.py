"""What a socket brings at once is handed on bit by bit, with everybody else in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from parley.server.portions import PORTION, SLICE, SMALLEST, Portions, Turns

pytestmark = pytest.mark.anyio


class Socket:
    """Knows whether it is read from."""

    def __init__(self) -> None:
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return False


class Work:
    """A clock that goes on when something is worked at: so many seconds for each byte."""

    def __init__(self, seconds_a_byte: float) -> None:
        self.seconds_a_byte = seconds_a_byte
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def take(self, data: bytes) -> None:
        self.now += self.seconds_a_byte * len(data)


class Reader:
    """A protocol that may be busy."""

    def __init__(self, turns: Turns | None = None, work: Callable[[bytes], None] = lambda data: None) -> None:
        self.socket = Socket()
        self.got: list[bytes] = []
        self.busy = False
        self._work = work
        loop = asyncio.get_running_loop()
        self.portions = Portions(
            loop,
            self.socket,  # type: ignore[arg-type]
            self._take,
            lambda: self.busy,
            turns or Turns(lambda: 0.0),
        )

    def _take(self, data: bytes) -> None:
        self._work(data)
        self.got.append(data)


async def test_a_little_is_handed_on_at_once() -> None:
    reader = Reader()
    reader.portions.add(b"abc")
    assert reader.got == [b"abc"]
    assert reader.socket.reading


async def test_much_takes_many_turns_and_nothing_is_read_meanwhile() -> None:
    work, data = Work(SLICE / PORTION), bytes(range(256)) * 100
    reader = Reader(Turns(work), work.take)
    reader.portions.add(data)
    turns = 0
    while not reader.socket.reading:
        turns += 1
        await asyncio.sleep(0)
    assert b"".join(reader.got) == data
    assert turns >= len(data) // PORTION
    assert max(map(len, reader.got)) <= PORTION


async def test_a_busy_reader_gets_the_rest_when_it_says_so() -> None:
    reader = Reader()
    reader.busy = True
    reader.portions.add(b"abc")
    for _ in range(3):
        await asyncio.sleep(0)
    assert reader.got == []
    reader.busy = False
    reader.portions.go_on()
    for _ in range(3):
        await asyncio.sleep(0)
    assert reader.got == [b"abc"]
    assert reader.socket.reading


async def test_a_wait_holds_everything_back() -> None:
    reader = Reader()
    reader.portions.wait(0.01)
    reader.portions.add(b"abc")
    await asyncio.sleep(0)
    assert (reader.got, reader.socket.reading) == ([], False)
    async with asyncio.timeout(5):
        while not reader.socket.reading:
            await asyncio.sleep(0.001)
    assert reader.got == [b"abc"]


async def test_twenty_who_bring_much_keep_a_turn_no_longer_than_one_does() -> None:
    work = Work(4 * SLICE / PORTION)  # as 341 pings on a slow machine
    turns = Turns(work)
    readers = [Reader(turns, work.take) for _ in range(20)]
    for reader in readers:
        reader.portions.add(bytes(10 * PORTION))
    longest, before = 0.0, work.now
    while not all(reader.socket.reading for reader in readers):
        await asyncio.sleep(0)
        longest, before = max(longest, work.now - before), work.now
        got = [sum(map(len, reader.got)) for reader in readers]
        assert max(got) - min(got) <= PORTION  # none of them has to wait for another's end
    assert longest <= SLICE + 4 * SLICE  # what a first portion takes: those after it are smaller


async def test_twenty_who_bring_a_little_each_have_one_turn_after_another() -> None:
    work = Work(SLICE / PORTION)
    turns = Turns(work)
    readers = [Reader(turns, work.take) for _ in range(20)]
    for reader in readers:
        reader.portions.add(bytes(PORTION))
    assert work.now == pytest.approx(SLICE)
    await asyncio.sleep(0)
    assert work.now == pytest.approx(2 * SLICE)


async def test_who_brings_little_does_not_wait_for_those_who_bring_much() -> None:
    work = Work(SLICE / PORTION)
    turns = Turns(work)
    readers = [Reader(turns, work.take) for _ in range(20)]
    for reader in readers:
        reader.portions.add(bytes(10 * PORTION))
    honest = Reader(turns)
    honest.portions.add(b"abc")
    for _ in range(2):
        await asyncio.sleep(0)
    assert honest.got == [b"abc"]


async def test_those_who_bring_much_are_not_forgotten_among_many_who_bring_little() -> None:
    work = Work(SLICE / PORTION)
    turns = Turns(work)
    much = Reader(turns, work.take)
    much.portions.add(bytes(10 * PORTION))
    for _ in range(5):
        for _ in range(20):
            Reader(turns, work.take).portions.add(bytes(PORTION))
        await asyncio.sleep(0)
    assert len(much.got) >= 4  # one in each turn


async def test_portions_that_took_long_are_followed_by_smaller_ones() -> None:
    work = Work(8 * SLICE / PORTION)
    reader = Reader(Turns(work), work.take)
    reader.portions.add(bytes(10 * PORTION))
    while not reader.socket.reading:
        await asyncio.sleep(0)
    assert [len(portion) for portion in reader.got[:4]] == [PORTION, PORTION // 2, PORTION // 4, SMALLEST]


async def test_a_reader_that_fails_takes_nobody_elses_turn() -> None:
    def fail(_: bytes) -> None:
        raise RuntimeError

    turns = Turns(lambda: 0.0)
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    faulty, other = Reader(turns, fail), Reader(turns)
    for reader in (faulty, other):
        reader.busy = True
        reader.portions.add(bytes(PORTION))
        reader.busy = False
        reader.portions.go_on()
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(faults) == 1
    assert other.got
