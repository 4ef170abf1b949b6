"""What our own reading and writing of frames makes of them is what the parser makes of them."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from parley.server.data_frames import BINARY, TEXT, framed, head_at
from parley.server.portions import Turns
from parley.server.websocket_protocol import BoundedWebSocketProtocol
from parley.transports.bounds import Uncounted

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
LIMIT = 70_000
ANSWER = framed(BINARY, b"answer") + framed(TEXT, ("ä" * 300).encode())


class Socket(asyncio.Transport):
    """Where the server's bytes go."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


async def told(kind: Any, pieces: list[bytes]) -> tuple[list[Any], bytes, bool]:
    """What the application is told, what the client is sent (from the 101 on), and whether the socket was closed."""
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            events.append(event)
            if not socket.closed:
                await send({"type": "websocket.send", "bytes": b"answer"})
                await send({"type": "websocket.send", "text": "ä" * 300})
        events.append(event["type"])

    config = Config(app, ws_max_size=LIMIT, ws_per_message_deflate=False, log_level="critical", lifespan="off")
    config.load()
    protocol, socket = kind(config=config, server_state=ServerState(), app_state={}), Socket()
    protocol.connection_made(socket)
    protocol.data_received(REQUEST)
    for _ in range(5):
        await asyncio.sleep(0)
    for piece in pieces:
        if not socket.closed:
            protocol.data_received(piece)
        for _ in range(20):
            await asyncio.sleep(0)
    closed = socket.closed
    protocol.connection_lost(None)
    for _ in range(20):
        await asyncio.sleep(0)
    sent = bytes(socket.sent).partition(b"\r\n\r\n")[2]
    return events, sent, closed


ours = partial(BoundedWebSocketProtocol, Turns(lambda: 0.0), Uncounted())
sizes = st.sampled_from([0, 1, 125, 126, 644, 65_535, 65_536, LIMIT, LIMIT + 1])


def frame(opcode: Opcode, size: int, fin: bool, mask: bool, reserved: int) -> bytes:
    """One of a client, right or wrong."""
    data = Frame(opcode, b"a" * size, fin=fin).serialize(mask=mask)
    return bytes([data[0] | reserved]) + data[1:]


frames = st.builds(
    frame,
    st.sampled_from([Opcode.BINARY, Opcode.BINARY, Opcode.TEXT, Opcode.CONT]),
    sizes,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([True, True, True, True, True, False]),
    st.sampled_from([0, 0, 0, 0, 0, 0x40]),
)
controls = st.sampled_from(
    [
        Frame(Opcode.PING, b"p").serialize(mask=True),
        Frame(Opcode.PONG, b"").serialize(mask=True),
        Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True),
        Frame(Opcode.TEXT, b"\xff").serialize(mask=True),
        Frame(Opcode.BINARY, b"begun", fin=False).serialize(mask=True),
        Frame(Opcode.CONT, b"ended").serialize(mask=True),
        b"\x82\x84\0\0\0\0none",
        b"\x83\x80\0\0\0\0",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(frames | controls, max_size=6), st.lists(st.integers(1, 200_000), max_size=6), st.booleans())
def test_whatever_comes_in_whatever_pieces_is_what_the_parser_makes_of_it(
    came: list[bytes], cuts: list[int], single: bool
) -> None:
    data = b"".join(came)
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    if single and len(data) < 3_000:
        ends = list(range(1, len(data) + 1))
    pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if end > start]
    events, sent, closed = asyncio.run(told(ours, pieces))
    # One frame after the other: the parser forgets messages that came in one piece with a fault.
    wanted, answers, refused = asyncio.run(told(WebSocketsSansIOProtocol, came))
    assert closed is refused
    assert sent.replace(ANSWER, b"") == answers.replace(ANSWER, b"")  # answers to pings, the reason of a close
    assert events == wanted or (refused and events[:-1] == wanted[: len(events) - 1])


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_frames_are_written_as_the_library_writes_them(size: int) -> None:
    payload = os.urandom(size)
    assert framed(BINARY, payload) == Frame(Opcode.BINARY, payload).serialize(mask=False)
    assert framed(TEXT, payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


@pytest.mark.parametrize("size", [0, 125, 126, 65_536])
@pytest.mark.parametrize("mask", [True, False])
def test_a_head_says_where_what_lies_and_nothing_until_it_is_whole(size: int, mask: bool) -> None:
    frame = Frame(Opcode.BINARY, bytes(size)).serialize(mask=mask)
    head = head_at(b"xx" + frame, 2)
    assert head is not None
    assert (head.first, head.masked, head.end, head.end - head.start) == (BINARY, mask, 2 + len(frame), size)
    for cut in range(len(frame) - size):
        assert head_at(frame[:cut], 0) is None
