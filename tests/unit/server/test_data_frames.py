"""What we write as frames is what the library writes."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

import pytest
from tests.unit.server.sockets import REQUEST, Socket
from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from parley.server.data_frames import BINARY, TEXT, framed
from parley.server.portions import Turns
from parley.server.websocket_protocol import BoundedWebSocketProtocol
from parley.transports.bounds import Uncounted

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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

    config = Config(app, ws_per_message_deflate=False, log_level="critical", lifespan="off")
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


@pytest.mark.parametrize("ending", [b"\x88\x82\0\0\0\0\x03\xe8", b"\x83\x80\0\0\0\0", b"", b"\x81\x81\0\0\0\0\xff"])
async def test_clients_are_sent_what_the_library_would_send_them(ending: bytes) -> None:
    """Messages, answers to pings between them, and the reason of a close."""
    ping = Frame(Opcode.PING, b"p").serialize(mask=True)
    pieces = [Frame(Opcode.BINARY, b"1").serialize(mask=True), ping, Frame(Opcode.TEXT, b"2").serialize(mask=True)]
    pieces += [ending] if ending else []
    events, sent, closed = await told(ours, pieces)
    assert (events, sent, closed) == await told(WebSocketsSansIOProtocol, pieces)
    assert [event.get("bytes") or event.get("text") for event in events[:2]] == [b"1", "2"]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_frames_are_written_as_the_library_writes_them(size: int) -> None:
    payload = os.urandom(size)
    assert framed(BINARY, payload) == Frame(Opcode.BINARY, payload).serialize(mask=False)
    assert framed(TEXT, payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
