"""``/mcp``: the same server over streamable HTTP, in all revisions of the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

import structlog
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.routing import Route

from parley.api.mcp.server import create_server
from parley.api.places import Shares
from parley.errors import InvalidRequest, ParleyError, UnavailableError
from parley.server.http import check, error_response

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from parley.api.mcp.server import Backend
    from parley.api.settings import McpSettings
    from parley.server.http import Gate

log = structlog.get_logger(__name__)

_BESIDE = 65_536
"""Bytes of a message beside its recording and its text."""
_LONGEST_CHARACTER = 12
"""Bytes of one, written as two escapes."""
_LONG = re.compile(rb'"[A-Za-z0-9+/=\\]{4096,}"')
"""What may be a recording, and is read in no time."""


class McpEndpoint:
    """The route, and a task that holds the sessions of clients that have some."""

    def __init__(self, gate: Gate, settings: McpSettings, backend: Backend) -> None:
        self._gate, self._settings = gate, settings
        self._server = create_server(backend)
        self._manager: StreamableHTTPSessionManager | None = None
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._requests = Shares(settings.requests, "MCP requests", "mcp.requests")
        self._waiting = Shares(settings.sessions, "MCP clients that wait for news", "mcp.sessions")
        self._beside = _BESIDE + _LONGEST_CHARACTER * settings.longest_text
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
        request = Request(scope, receive)
        places = self._waiting if request.method == "GET" else self._requests
        try:
            check(self._gate, request)
            with places.one(request.client.host if request.client else ""):
                await self._answer(scope, receive, send)
        except ParleyError as error:
            await error_response(error)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._manager is None:
            raise UnavailableError("The MCP sessions are ending.")
        with contextlib.suppress(ConnectionResetError):
            await self._manager.handle_request(scope, _bounded(receive, self._beside), send)


def _bounded(receive: Receive, most: int) -> Receive:
    """Raises InvalidRequest at the end of a body of more than ``most`` bytes beside its recording.

    It is read on the loop of all conversations, where a megabyte of brackets would take a quarter of a second.
    """
    body = bytearray()

    async def next_part() -> Message:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            beside = len(body) - sum(len(found[0]) for found in _LONG.finditer(body))
            body.clear()
            if beside > most:
                raise InvalidRequest(f"A message has at most {most} bytes beside its recording; this one has {beside}.")
        return message

    return next_part
