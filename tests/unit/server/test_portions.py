"""What a socket brings at once is handed on bit by bit, with everybody else in between."""

from __future__ import annotations

import asyncio

import pytest

from parley.server.portions import PORTION, Portions

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


class Reader:
    """A protocol that may be busy."""

    def __init__(self) -> None:
        self.socket = Socket()
        self.got: list[bytes] = []
        self.busy = False
        loop = asyncio.get_running_loop()
        self.portions = Portions(loop, self.socket, self.got.append, lambda: self.busy)  # type: ignore[arg-type]


async def test_a_little_is_handed_on_at_once() -> None:
    reader = Reader()
    reader.portions.add(b"abc")
    assert reader.got == [b"abc"]
    assert reader.socket.reading


async def test_much_takes_many_turns_and_nothing_is_read_meanwhile() -> None:
    reader, data = Reader(), bytes(range(256)) * 100
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
