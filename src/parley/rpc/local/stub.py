"""The way to a worker: over its socket where it is on this machine, else over gRPC."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from parley.rpc.local.calls import LocalChannel, Metadata
from parley.rpc.local.folder import find

_log = logging.getLogger(__name__)


class NearestStub:
    """The calls of a session, each by the nearest way that is open when it begins.

    The socket is looked for when a session is opened; a session that was opened on one way speaks on the other too.
    """

    def __init__(self, far: Any, socket_name: str) -> None:
        """``far``: the gRPC stub. ``socket_name``: as the worker says, empty when it has none for us."""
        self._far = far
        self._name = socket_name
        self._near: LocalChannel | None = None
        self._connecting: asyncio.Task[None] | None = None

    @property
    def is_local(self) -> bool:
        """The next call goes over the socket."""
        return self._near is not None and self._near.usable

    async def StartSession(self, request: Any, *, timeout: float, metadata: Metadata) -> Any:
        """Open a session; a connection first."""
        if self._name and not self.is_local:
            await self._connect()
        return await self._stub.StartSession(request, timeout=timeout, metadata=metadata)

    async def EndSession(self, request: Any, *, timeout: float, metadata: Metadata) -> Any:
        """Close a session."""
        return await self._stub.EndSession(request, timeout=timeout, metadata=metadata)

    async def Control(self, request: Any, *, timeout: float, metadata: Metadata) -> Any:
        """Hold, continue or stop what a session speaks."""
        return await self._stub.Control(request, timeout=timeout, metadata=metadata)

    def Synthesize(self, *, metadata: Metadata) -> Any:
        """Open an utterance's stream."""
        return self._stub.Synthesize(metadata=metadata)

    async def aclose(self) -> None:
        """Hang up the socket; the gRPC channel is its owner's."""
        self._name = ""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait((self._connecting,))
        if self._near is not None:
            self._near.close()

    @property
    def _stub(self) -> Any:
        return self._near if self.is_local else self._far

    async def _connect(self) -> None:
        """Once for all who ask meanwhile; who gives up asking does not end it for the others."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._try(), name="connect to a worker's socket")
        await asyncio.shield(self._connecting)

    async def _try(self) -> None:
        path = find(self._name)
        if path is None:
            self._name = ""  # it is on another machine; there it stays
            return
        channel = LocalChannel()
        try:
            await channel.connect(path)
        except (OSError, TimeoutError) as error:
            _log.debug("A worker's socket does not answer, so gRPC is used: %s", error)
            return
        self._near = channel
