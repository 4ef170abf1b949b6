"""Orchestrator processes that share a port: a request about what another one keeps reaches that one.

The system gives each connection to any of them. What one of them made bears its number: the addresses of WebRTC
sessions and of calls, and the ids of MCP sessions. A request that names another's is passed on to that one, over a
socket in a folder that nobody else may enter; and what all of them have to know, such as a browser's key, is told.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from parley.errors import ParleyError, UnavailableError
from parley.server.http import error_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

MCP_SESSION = "mcp-session-id"
_TOLD = "/told/"
_KEPT = re.compile(r"/v1/webrtc/(\d{1,3})\.|(?:/v1)?/realtime/calls/rtc_(\d{1,3})\.")
_MARKED = re.compile(r"(\d{1,3})\.(.*)")
_PATIENCE = {"connect": 2.0, "pool": 2.0, "write": 30.0, "read": None}
"""Seconds; an MCP client that waits for news is answered when there are some."""
_BETWEEN_TWO = (b"connection", b"keep-alive", b"transfer-encoding", b"te", b"upgrade", b"date", b"server")
"""Headers of one connection, not of what is said over it."""


def keeper(path: str, mcp_session: str = "") -> int | None:
    """The number of who keeps what a request is about; None where anybody may answer."""
    kept = _KEPT.match(path)
    if kept:
        return int(kept[1] or kept[2])
    marked = _MARKED.fullmatch(mcp_session) if path == "/mcp" else None
    return int(marked[1]) if marked else None


class Sibling:
    """This process, ``number`` among those whose sockets lie in ``folder``. Close it before the loop ends."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self.number = folder, number
        self.heard: dict[str, Callable[[Any], None]] = {}
        """What is done with each thing that the others tell. May raise ParleyError, which they hear."""
        self._ways: dict[Path, Any] = {}

    @property
    def mark(self) -> str:
        """What the names of all that is kept here begin with."""
        return f"{self.number}."

    def listen(self) -> socket.socket:
        """Where the others are heard."""
        path = self._path(self.number)
        path.unlink(missing_ok=True)  # of one that had this number before
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        sock.listen()
        return sock

    async def tell(self, what: str, data: Any) -> None:
        """Tell all others; one that has just ended need not know. Raises UnavailableError when one does not take it."""
        import httpx2 as httpx

        body = json.dumps(data).encode()
        for path in sorted(self._folder.iterdir()):
            if path == self._path(self.number):
                continue
            try:
                answer = await self._way(path).handle_async_request(_request("POST", f"{_TOLD}{what}".encode(), body))
                await answer.aclose()
            except httpx.TransportError:
                continue
            if answer.status_code >= 400:
                raise UnavailableError("Another process of this server has no room for it; try again later.")

    async def aclose(self) -> None:
        """Nothing more is passed on."""
        for way in self._ways.values():
            await way.aclose()

    # --- as applications ---------------------------------------------------------------

    def passing_on(self, app: ASGIApp) -> ASGIApp:
        """``app`` for the shared port: what another one keeps is asked of that one."""
        marked = self._marked(app)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            owner = None
            if scope["type"] == "http":
                request = Request(scope)
                owner = keeper(scope["path"], request.headers.get(MCP_SESSION, ""))
            if owner is None or owner == self.number or not await self._passed(owner, scope, receive, send):
                await marked(scope, receive, send)

        return answer

    def for_others(self, app: ASGIApp) -> ASGIApp:
        """``app`` for what the others pass on or tell; it passes nothing on itself."""
        marked = self._marked(app)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"].startswith(_TOLD):
                await (await self._take(Request(scope, receive)))(scope, receive, send)
            else:
                await marked(scope, receive, send)

        return answer

    async def _take(self, request: Request) -> Response:
        try:
            self.heard[request.url.path.removeprefix(_TOLD)](await request.json())
        except ParleyError as error:
            return error_response(error)
        return JSONResponse({})

    def _marked(self, app: ASGIApp) -> ASGIApp:
        """Ids of MCP sessions bear our number outside, and none inside."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] != "/mcp":
                await app(scope, receive, send)
                return
            headers = MutableHeaders(raw=list(scope["headers"]))
            if marked := _MARKED.fullmatch(headers.get(MCP_SESSION, "")):
                headers[MCP_SESSION] = marked[2]

            async def send_marked(message: Message) -> None:
                if message["type"] == "http.response.start":
                    told = MutableHeaders(raw=list(message["headers"]))
                    if MCP_SESSION in told:
                        told[MCP_SESSION] = self.mark + told[MCP_SESSION]
                    message = {**message, "headers": told.raw}
                await send(message)

            await app({**scope, "headers": headers.raw}, receive, send_marked)

        return answer

    # --- on its way --------------------------------------------------------------------

    async def _passed(self, owner: int, scope: Scope, receive: Receive, send: Send) -> bool:
        """Have the owner answer, for as long as the client waits. False where there is none, and nothing was read."""
        import httpx2 as httpx

        path = self._path(owner)
        if not path.exists():
            return False
        read = asyncio.Event()
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        request = _request(scope["method"], target, _body(receive, read), _headers(scope))
        answering = asyncio.ensure_future(self._answered(self._way(path), request, send))
        leaving = asyncio.ensure_future(_gone(receive, read))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        except httpx.ConnectError:
            return False
        except ClientDisconnect:
            return True
        except httpx.TransportError:
            log.warning("another process did not answer what was passed on to it", number=owner)
            await error_response(UnavailableError("The process that keeps it has ended; begin anew."))(
                scope, receive, send
            )
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        return True

    async def _answered(self, way: Any, request: Any, send: Send) -> None:
        answer = await way.handle_async_request(request)
        try:
            headers = [(name.lower(), value) for name, value in answer.headers.raw]
            kept = [(name, value) for name, value in headers if name not in _BETWEEN_TWO]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for piece in answer.stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()

    def _path(self, number: int) -> Path:
        return self._folder / str(number)

    def _way(self, path: Path) -> Any:
        import httpx2 as httpx

        if path not in self._ways:
            limits = httpx.Limits(max_keepalive_connections=0)  # who listens there now may be another one
            self._ways[path] = httpx.AsyncHTTPTransport(uds=str(path), verify=False, limits=limits)
        return self._ways[path]


def _request(method: str, target: bytes, content: Any, headers: Any = None) -> Any:
    import httpx2 as httpx

    url = httpx.URL("http://sibling").copy_with(raw_path=target)
    return httpx.Request(method, url, headers=headers, content=content, extensions={"timeout": _PATIENCE})


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """As they came, with the client's address in place of what it says of itself."""
    kept = [(name, value) for name, value in scope["headers"] if not name.startswith(b"x-forwarded-")]
    address = scope["client"][0] if scope.get("client") else ""
    return [*(pair for pair in kept if pair[0] not in _BETWEEN_TWO), (b"x-forwarded-for", address.encode())]


async def _body(receive: Receive, read: asyncio.Event) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        yield message.get("body", b"")
    read.set()


async def _gone(receive: Receive, read: asyncio.Event) -> None:
    """Once the client has said everything, it can only leave."""
    await read.wait()
    while (await receive())["type"] != "http.disconnect":
        pass
