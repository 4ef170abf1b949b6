"""One end of the local wire: bounded both ways, and hung up on whoever breaks its rules."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from parley.rpc.local import connection
from parley.rpc.local.connection import Connection
from parley.rpc.local.frames import (
    CREDIT,
    END,
    GREETING,
    HELLO,
    MAX_UNREAD,
    MESSAGE,
    WINDOW,
    FrameReader,
    frame,
    pack_credit,
    unpack_credit,
)

pytestmark = pytest.mark.anyio


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, int, bytes]] = []
        self.aborted = self.closed = False
        self._reader = FrameReader()

    def write(self, data: bytes) -> None:
        self.frames += self._reader.feed(data)

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def sent(self, kind: int) -> list[bytes]:
        return [payload for each, _, payload in self.frames if each == kind]


class End:
    """A connection, and what its owner hears."""

    def __init__(self, *, greeted: bool = True) -> None:
        self.heard: list[tuple[int, int, bytes]] = []
        self.lost = False
        self.wire = Wire()
        self.connection = Connection(lambda *frame: self.heard.append(frame), self._lose)
        wire: Any = self.wire
        self.connection.connection_made(wire)
        if greeted:
            self.connection.data_received(frame(HELLO, 0, GREETING))

    def _lose(self) -> None:
        self.lost = True


@pytest.mark.parametrize("said", [frame(HELLO, 0, b"HTTP/1.1"), frame(MESSAGE, 1, GREETING), b"GET / HTTP/1.1\r\n\r\n"])
async def test_whoever_does_not_greet_is_hung_up_on(said: bytes) -> None:
    end = End(greeted=False)
    end.connection.data_received(said)
    assert end.wire.aborted
    assert not end.heard


async def test_whoever_does_not_greet_in_time_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "GREETING_LIMIT", 0.0)
    silent, polite = End(greeted=False), End()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (silent.wire.aborted, polite.wire.aborted) == (True, False)


async def test_a_sender_waits_for_room_and_goes_on_when_it_is_told_of_some() -> None:
    end = End()
    stream = end.connection.open(1)
    half = bytes(WINDOW // 2)
    await stream.send(half)
    await stream.send(half)
    third = asyncio.ensure_future(stream.send(half))
    await asyncio.sleep(0)
    assert len(end.wire.sent(MESSAGE)) == 2
    end.connection.data_received(frame(CREDIT, 1, pack_credit(len(half))))
    await third
    assert len(end.wire.sent(MESSAGE)) == 3


async def test_a_reader_tells_what_it_has_taken() -> None:
    end = End()
    stream = end.connection.open(1)
    for _ in range(3):
        end.connection.data_received(frame(MESSAGE, 1, bytes(20_000)))
    assert not end.wire.sent(CREDIT)  # what lies unread is not taken
    for _ in range(3):
        await stream.receive()
    assert sum(map(unpack_credit, end.wire.sent(CREDIT))) >= WINDOW // 2


async def test_whoever_sends_without_room_is_hung_up_on() -> None:
    end = End()
    end.connection.open(1)
    for _ in range(1 + MAX_UNREAD // 60_000):
        assert not end.wire.aborted
        end.connection.data_received(frame(MESSAGE, 1, bytes(60_000)))
    assert end.wire.aborted


async def test_messages_of_a_call_that_is_forgotten_are_passed_over() -> None:
    end = End()
    end.connection.open(1)
    end.connection.forget(1)
    end.connection.data_received(frame(MESSAGE, 1, b"late") + frame(CREDIT, 1, pack_credit(4)) + frame(END, 1))
    assert end.heard == [(END, 1, b"")]
    assert not end.wire.aborted


async def test_what_came_before_the_other_side_left_can_be_read_and_then_no_more() -> None:
    end = End()
    stream = end.connection.open(1)
    end.connection.data_received(frame(MESSAGE, 1, b"last words"))
    end.connection.connection_lost(None)
    assert end.lost
    assert await stream.receive() == b"last words"
    assert await stream.receive() is None


async def test_who_waits_for_room_when_the_other_side_leaves_waits_no_longer() -> None:
    end = End()
    stream = end.connection.open(1)
    await stream.send(bytes(WINDOW))
    waiting = asyncio.ensure_future(stream.send(b"more"))
    await asyncio.sleep(0)
    end.connection.connection_lost(None)
    await waiting
    assert len(end.wire.sent(MESSAGE)) == 1


async def test_who_writes_to_a_full_socket_waits_until_it_is_read() -> None:
    end = End()
    stream = end.connection.open(1)
    end.connection.pause_writing()
    waiting = asyncio.ensure_future(stream.send(b"more"))
    await asyncio.sleep(0)
    assert not end.wire.sent(MESSAGE)
    end.connection.resume_writing()
    await waiting
    assert end.wire.sent(MESSAGE) == [b"more"]
