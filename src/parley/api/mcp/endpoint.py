"""``/mcp``: the same server over streamable HTTP, in all revisions of the protocol."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.routing import Route

from parley.api.mcp.server import create_server
from parley.errors import ParleyError, TooManyRequests, UnavailableError
from parley.server.http import check, error_response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from parley.api.mcp.server import Backend
    from parley.api.settings import McpSettings
    from parley.server.http import Gate

log = structlog.get_logger(__name__)

_BESIDE = 65_536
"""Bytes of a message beside its recording."""


class McpEndpoint:
    """The route, and a task that holds the sessions of clients that have some."""

    def __init__(self, gate: Gate, settings: McpSettings, backend: Backend) -> None:
        self._gate, self._settings = gate, settings
        self._server = create_server(backend)
        self._manager: StreamableHTTPSessionManager | None = None
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._requests = 0
        self.routes = [Route("/mcp", self)]

    async def start(self) -> None:
        """From here on there are answers."""
        started = asyncio.Event()
        self._task = asyncio.create_task(self._run(started), name="MCP sessions")
        await started.wait()

    async def aclose(self) -> None:
        """End all sessions."""
        self._closing.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, started: asyncio.Event) -> None:
        while not self._closing.is_set():
            manager = StreamableHTTPSessionManager(
                self._server,
                session_idle_timeout=self._settings.idle,
                max_sessions=self._settings.sessions,
                max_request_body_size=self._settings.largest_message + _BESIDE,
            )
            try:
                async with manager.run():
                    self._manager = manager
                    started.set()
                    await self._closing.wait()
            except Exception as error:  # noqa: BLE001  (somebody else's code: its end is told, and the rest lives on)
                log.error("the MCP sessions ended by a fault and begin anew", error=type(error).__name__)
            finally:
                self._manager = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            check(self._gate, Request(scope, receive))
            if self._requests >= self._settings.requests:
                most = self._settings.requests
                raise TooManyRequests(f"All {most} places for MCP requests are taken (mcp.requests).", retry_after=2.0)
            if self._manager is None:
                raise UnavailableError("The MCP sessions are ending.")
        except ParleyError as error:
            await error_response(error)(scope, receive, send)
            return
        self._requests += 1
        try:
            with contextlib.suppress(ConnectionResetError):
                await self._manager.handle_request(scope, receive, send)
        finally:
            self._requests -= 1
