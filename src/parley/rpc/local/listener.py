"""Takes connections at a Unix socket until it is told to stop, and leaves none half made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_PAUSE = 0.5
"""Seconds before the next try where the process has no descriptor left for a connection."""


class Listener:
    """Gives each connection a protocol of its own. ``aclose`` it.

    asyncio's server forgets a connection that it has accepted but not yet handed over when it is closed: its socket
    stays open, and whoever is at the other end waits.
    """

    def __init__(self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        listening.setblocking(False)
        self._socket, self._protocol = listening, protocol
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._watch()

    async def aclose(self) -> None:
        """Take no more; those that were taken have their protocol by then."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _watch(self) -> None:
        self._loop.add_reader(self._socket, self._arrived)

    def _arrived(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # too many open files: looking again at once would keep the loop
            self._loop.remove_reader(self._socket)
            self._again = self._loop.call_later(_PAUSE, self._watch)
            return
        task = self._loop.create_task(self._take(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _take(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # whoever it was has left
            connection.close()
