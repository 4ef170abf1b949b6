"""Frames below the level of messages: pings are answered, and who never stops sending them is sent away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.integration.attacks.attackers import START, frame

from parley.server import websocket_protocol
from parley.testing.echo_host import EchoHost, echo_app, serving
from parley.transports.bounds import Uncounted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley.transports.bounds import Excess, Fate

pytestmark = pytest.mark.anyio
TEXT, PING = 0x81, 0x89
LIMIT = 30.0


class Tally(Uncounted):
    """Remembers."""

    def __init__(self) -> None:
        self.counted: list[tuple[Excess, Fate]] = []

    def excess(self, kind: Excess, fate: Fate, amount: float = 1) -> None:
        self.counted.append((kind, fate))


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
async def client(tally: Tally) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A session by hand, after the handshake."""
    async with serving(echo_app(EchoHost()), tally=tally) as url:
        host, _, port = url.removeprefix("ws://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"GET /v1/session HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        async with asyncio.timeout(LIMIT):
            await reader.readuntil(b"\r\n\r\n")
            yield reader, writer
        writer.close()


async def payload(reader: asyncio.StreamReader, kind: int) -> bytes:
    """That of the next frame of this kind; others are passed over."""
    while True:
        first, length = await reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await reader.readexactly(2), "big")
        data = await reader.readexactly(length)
        if first & 0x0F == kind & 0x0F:
            return data


async def test_pings_that_come_together_are_all_answered(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = client
    writer.write(frame(TEXT, START.encode()) + b"".join(frame(PING, str(number).encode()) for number in range(500)))
    assert [int(await payload(reader, 0x0A)) for _ in range(500)] == list(range(500))


async def test_a_ping_before_a_goodbye_does_no_harm(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = client
    writer.write(frame(PING, b"x") + frame(0x88, b"\x03\xe8"))
    assert await payload(reader, 0x0A) == b"x"
    assert await payload(reader, 0x08) == b"\x03\xe8"
    assert await reader.read() == b""


async def test_a_client_that_never_stops_sending_frames_is_sent_away_and_counted(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter], tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "PATIENCE", 0.3)
    reader, writer = client
    gone = asyncio.create_task(reader.read())
    while not gone.done():
        writer.write(frame(PING, b"x") * 100)
        try:
            await writer.drain()
        except OSError:
            break
    await asyncio.wait({gone})
    gone.exception()  # what was not read any more is answered by the system: the connection was reset
    assert tally.counted[0] == ("message", "waited")
    assert tally.counted[-1] == ("message", "closed")
