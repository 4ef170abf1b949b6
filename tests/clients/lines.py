"""A line that breaks; nothing but the standard library, for programs in other people's environments too."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Line:
    """A way to the server that can be cut."""

    def __init__(self, server: str) -> None:
        self.url = ""
        self._server = urlsplit(server)
        self._ends: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """Without a word: whoever talks over it now is alone."""
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection of a client's."""
        with contextlib.suppress(OSError):
            from_server, to_server = await asyncio.open_connection(self._server.hostname, self._server.port)
            self._ends += (writer, to_server)
            await asyncio.gather(_pass_on(reader, to_server), _pass_on(from_server, writer))


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
        target.close()


@contextlib.asynccontextmanager
async def line(server: str) -> AsyncIterator[Line]:
    """One on loopback, to the server at this URL."""
    it = Line(server)
    listening = await asyncio.start_server(it.carry, "127.0.0.1")
    it.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield it
    finally:
        listening.close()
        it.cut()
