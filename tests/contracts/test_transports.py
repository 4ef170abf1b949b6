"""Every transport keeps the same contract, over its real wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from parley.testing.links import livekit_link, memory_link, webrtc_link, websocket_link
from parley.testing.livekit_server import LiveKitServer
from parley.testing.transports import Link, TransportContract

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TestMemory(TransportContract):
    @pytest.fixture
    async def link(self) -> AsyncIterator[Link]:
        async with memory_link() as link:
            yield link


class TestWebSocket(TransportContract):
    @pytest.fixture
    async def link(self) -> AsyncIterator[Link]:
        async with websocket_link() as link:
            yield link


class TestWebRtc(TransportContract):
    @pytest.fixture
    async def link(self) -> AsyncIterator[Link]:
        async with webrtc_link() as link:
            yield link


@pytest.fixture(scope="module")
def livekit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    with asyncio.Runner() as runner:
        server = LiveKitServer(tmp_path_factory.mktemp("livekit"))
        runner.run(server.__aenter__())
        yield server
        runner.run(server.stop())


@pytest.mark.skipif(not LiveKitServer.available(), reason="livekit-server is not installed")
class TestLiveKit(TransportContract):
    @pytest.fixture
    async def link(self, livekit_server: LiveKitServer) -> AsyncIterator[Link]:
        async with livekit_link(livekit_server) as link:
            yield link
