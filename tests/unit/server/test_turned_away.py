"""Connections that were turned away, and a server that stops before they are gone."""

from __future__ import annotations

import pytest
from tests.unit.server.sockets import REQUEST, Socket
from uvicorn.server import ServerState

from parley.errors import TooManyRequests
from parley.server.connections import Connections
from parley.server.runner import uvicorn_config
from parley.server.settings import ServerSettings
from parley.transports.bounds import Uncounted

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_handshake_that_was_refused_does_not_spoil_the_stop_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(self: Connections, address: str, now: float) -> float:
        raise TooManyRequests("too many", retry_after=1.0)

    monkeypatch.setattr(Connections, "handshake", refused)
    config = uvicorn_config(lambda *_: None, ServerSettings(), tally=Uncounted(), max_message_bytes=65_536)  # type: ignore[arg-type,return-value]
    config.load()
    state, socket = ServerState(), Socket()
    protocol = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[operator,call-arg]
    protocol.connection_made(socket)
    protocol.data_received(REQUEST)
    assert socket.sent.startswith(b"HTTP/1.1 429")
    assert protocol in state.connections  # so that its client can read why
    protocol.shutdown()
    assert socket.closed
