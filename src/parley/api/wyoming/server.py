"""The port that Wyoming clients connect to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from parley.api.wyoming import wire
from parley.api.wyoming.connection import Connection
from parley.api.wyoming.wire import Event
from parley.errors import ConfigError
from parley.server.unsent import keep_little

if TYPE_CHECKING:
    from parley.api.wyoming.connection import Service

log = structlog.get_logger(__name__)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_WRITE_BUFFER = 65_536


class WyomingServer:
    """Takes connections until it is closed."""

    def __init__(self, service: Service, *, reuse_port: bool = False) -> None:
        self._service, self._reuse_port = service, reuse_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises ConfigError when the address can not be had."""
        settings = self._service.settings
        try:
            self._server = await asyncio.start_server(
                self._connected, settings.host, settings.port, limit=wire.LONGEST_LINE, reuse_port=self._reuse_port
            )
        except OSError as error:
            raise ConfigError(
                f"Wyoming can not listen on {settings.host}:{settings.port}: {error.strerror or error}; choose another "
                "wyoming.port."
            ) from None
        if settings.host not in _LOOPBACK:
            log.warning("everybody who can reach wyoming.port may use voices and ears: the protocol knows no keys")
        log.info("wyoming clients may connect", host=settings.host, port=self.port)

    @property
    def port(self) -> int:
        """What it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of ours: asyncio's own for a connection can not be cancelled without a traceback (Python 3.11).
        task = asyncio.create_task(self._serve(reader, writer), name="wyoming connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keep_little(writer.transport)
        writer.transport.set_write_buffer_limits(_WRITE_BUFFER)
        if len(self._tasks) > self._service.settings.connections:
            full = "All connections are taken (wyoming.connections); try again in a moment."
            writer.write(wire.packed(Event("error", {"text": full, "code": "at_capacity"})))
            writer.close()
            return
        await Connection(self._service, reader, writer).run()

    async def aclose(self) -> None:
        """Take no more, and end those there are."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
