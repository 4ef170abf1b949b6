"""WebSockets that many want at once: they wait their turn, and who wants too many is told so."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from parley.client.session import SessionClient
from parley.server.handshakes import AT_ONCE
from parley.server.settings import ServerSettings
from parley.testing.echo_host import EchoHost, echo_app, serving
from parley.transports.bounds import Uncounted

pytestmark = pytest.mark.anyio
LIMIT = 30.0


class Tally(Uncounted):
    """Remembers who was turned away."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def refused_connection(self, code: str) -> None:
        self.refused.append(code)


def settings(**changed: Any) -> ServerSettings:
    return ServerSettings(port=0, **changed)


async def ask(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """For a session, by hand."""
    host, _, port = url.removeprefix("ws://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET /v1/session HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return reader, writer


async def test_fifty_sessions_at_once_from_one_address_are_all_held() -> None:
    async with asyncio.timeout(LIMIT), serving(echo_app(EchoHost(max_sessions=50))) as url, AsyncExitStack() as stack:
        clients = await asyncio.gather(*(stack.enter_async_context(SessionClient(url)) for _ in range(50)))
        assert len({client.started.session_id for client in clients}) == 50


async def test_who_has_opened_many_waits_and_is_then_heard() -> None:
    few = settings(handshake_burst=1, handshake_rate=2)
    async with asyncio.timeout(LIMIT), serving(echo_app(EchoHost()), settings=few) as url:
        for _ in range(3):
            async with SessionClient(url) as client:
                assert client.started.session_id


async def test_who_wants_too_many_is_told_so_and_others_of_theirs_are_opened() -> None:
    tally, few = Tally(), settings(handshake_burst=1, handshake_rate=1)
    async with asyncio.timeout(LIMIT), serving(echo_app(EchoHost()), settings=few, tally=tally) as url:
        asked = [await ask(url) for _ in range(7)]
        answer = await asked[-1][0].read()
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"Retry-After: " in answer
        assert b"Your address opens WebSockets too quickly; wait a moment." in answer
        assert tally.refused == ["too_many_requests"]
        assert (await asked[1][0].readline()).startswith(b"HTTP/1.1 101 ")
        for _, writer in asked:
            writer.close()


async def test_who_has_stood_in_line_for_long_is_told_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.server.http_protocol.LONGEST_IN_LINE", 0.2)
    tally = Tally()
    async with (
        asyncio.timeout(LIMIT),
        serving(echo_app(EchoHost()), settings=settings(handshakes=1), tally=tally) as url,
    ):
        asked = [await ask(url) for _ in range(AT_ONCE + 3)]
        answer = await asked[-1][0].read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Too many want to connect at this moment; try again later." in answer
        assert set(tally.refused) == {"at_capacity"}
        for _, writer in asked:
            writer.close()


async def test_a_server_that_stops_says_so_to_those_who_wait() -> None:
    few = settings(handshake_burst=1, handshake_rate=1)
    async with asyncio.timeout(LIMIT), serving(echo_app(EchoHost()), settings=few) as url:
        first = await ask(url)
        assert (await first[0].readline()).startswith(b"HTTP/1.1 101 ")
        reader, writer = await ask(url)
        third = await ask(url)
        third[1].close()  # gives up waiting
        await asyncio.sleep(0.1)  # until the server has read what was asked: nothing says so
    assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    writer.close()
    first[1].close()
