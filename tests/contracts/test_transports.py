"""Every transport keeps the same contract, over its real wire."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from parley import clock
from parley.client import Playout, SessionClient
from parley.client.webrtc import WebRtcPeer
from parley.interfaces import Transport
from parley.messages import ClientMessage, EndSession, ServerMessage, SessionStarted, StartSession
from parley.testing.echo_host import EchoHost, echo_app, serving
from parley.testing.transports import Link, TransportContract
from parley.transports.rtc_settings import WebRtcSettings
from parley.transports.webrtc import WebRtcTransport
from parley.transports.websocket import WebSocketSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# --- WebSocket ---------------------------------------------------------------------------


class TransportHost(EchoHost):
    """Hands the transport to the test, and keeps the connection until it is over."""

    def __init__(self, settings: WebSocketSettings) -> None:
        super().__init__(settings)
        self.transport: asyncio.Future[Transport] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()

    async def run_session(self, transport: Transport, start: StartSession) -> None:
        await transport.send_message(SessionStarted("s1"))
        self.transport.set_result(transport)
        await self.over.wait()


class WebSocketEnd:
    def __init__(self, client: SessionClient) -> None:
        self.messages: list[ServerMessage] = []
        self.gone = False
        self._client = client
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self._client:
            self.messages.append(event.message)
        self.gone = True

    async def send(self, message: ClientMessage) -> None:
        await self._client.send(message)

    async def speak(self, pcm: bytes) -> None:
        await self._client.send_microphone(pcm)

    def heard(self) -> list[tuple[str, int, int]]:
        listener = self._client.listener
        assert isinstance(listener, Playout)
        listener.advance(clock.now())
        names = {number: name for name, number in self._client.numbers.items()}
        return [(names.get(piece.number, ""), piece.start_sample, piece.end_sample) for piece in listener.heard]

    async def hang_up(self) -> None:
        await self._client.__aexit__(None, None, None)

    async def vanish(self) -> None:
        connection = self._client._connection
        assert connection is not None
        connection.transport.abort()


class TestWebSocket(TransportContract):
    @pytest.fixture
    async def link(self) -> AsyncIterator[Link]:
        host = TransportHost(WebSocketSettings())
        async with serving(echo_app(host)) as url:
            client = SessionClient(url, StartSession(sample_rate=16_000))
            async with client:
                yield Link(await host.transport, WebSocketEnd(client))
                host.over.set()


# --- WebRTC ------------------------------------------------------------------------------


class WebRtcEnd:
    def __init__(self, peer: WebRtcPeer) -> None:
        self.messages: list[ServerMessage] = []
        self.gone = False
        self._peer = peer
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self._peer:
            self.messages.append(event.message)
        self.gone = True

    async def send(self, message: ClientMessage) -> None:
        self._peer.send(message)

    async def speak(self, pcm: bytes) -> None:
        self._peer.microphone.append(pcm)

    def heard(self) -> list[tuple[str, int, int]]:
        self._peer.playout.advance(clock.now())
        return [(piece.utterance_id, piece.start_sample, piece.end_sample) for piece in self._peer.playout.heard]

    async def hang_up(self) -> None:
        with contextlib.suppress(Exception):
            self._peer.send(EndSession())
        await self._peer.close()

    async def vanish(self) -> None:
        await self._peer.lose_network()


@asynccontextmanager
async def webrtc_link() -> AsyncIterator[Link]:
    settings = WebRtcSettings(connect_timeout=10.0, reconnect_grace=2.0)
    transport, peer = WebRtcTransport(settings), WebRtcPeer(settings=settings)
    watchdog = None
    try:
        await peer.connect(transport.answer)
        peer.send(StartSession(playout_reports=True))
        await transport.started()
        watchdog = asyncio.create_task(watch(transport, settings.reconnect_grace))
        yield Link(transport, WebRtcEnd(peer), notices=settings.reconnect_grace)
    finally:
        if watchdog is not None:
            watchdog.cancel()
        await peer.close()
        await transport.aclose()


async def watch(transport: WebRtcTransport, grace: float) -> None:
    """What the server's endpoint does once a second."""
    while transport.silent_for() < grace:
        await asyncio.sleep(0.1)
    transport.leave()


class TestWebRtc(TransportContract):
    @pytest.fixture
    async def link(self) -> AsyncIterator[Link]:
        async with webrtc_link() as link:
            yield link
