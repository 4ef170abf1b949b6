"""uvicorn's WebSocket protocol with one promise more: a connection that is over lets go of its socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    import asyncio

WRITE_BUFFER = 32 * 1024
"""Bytes that may wait for the socket before sending blocks: a third of a second of audio."""
LINGER = 3.0
"""Seconds that an ended connection may take to get rid of what it still has to send."""


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """For ``uvicorn.Config(ws=...)``.

    A client that stops reading is dropped by the session's watchdog, but a polite close would wait for
    that very client to read; so the socket is cut off when it has not gone by itself.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).set_write_buffer_limits(high=WRITE_BUFFER)
        super().connection_made(transport)

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            if not self.disconnected:
                self.loop.call_later(LINGER, self._cut_off)

    def _cut_off(self) -> None:
        if not self.disconnected:
            self.transport.abort()
