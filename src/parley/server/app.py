"""The orchestrator's HTTP application: health, metrics, sessions, the page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from parley import __version__
from parley.errors import Forbidden, ParleyError, Unauthorized, UnavailableError
from parley.observability.metrics import CONTENT_TYPE
from parley.server.asking import WhoAsks
from parley.server.fleet import models_in_use, slow_voices
from parley.server.http import Role, bearer_key, check, error_response, guarded
from parley.server.page_files import PageFiles
from parley.server.page_policy import page_policy
from parley.transports.websocket_endpoint import serve_websocket

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from parley.server.sessions import SessionHost

log = structlog.get_logger(__name__)

STATIC = Path(__file__).parent / "static"
"""Where the page lies once it is built."""
SESSION_PATHS = ("/v1/session", "/")

_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"permissions-policy": b"microphone=(self)",
    b"content-security-policy": page_policy().encode(),
}
"""Among them: the page runs nothing but its own scripts. What sets one of them itself keeps it."""
_MCP_ASKS = ("Mcp-Session-Id", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Last-Event-ID")
_MCP_TELLS = ("Mcp-Session-Id", "MCP-Protocol-Version")
_NO_PAGE = (
    "<!doctype html><meta charset=utf-8><title>Parley</title><p>Parley is running, but its page was not built: "
    "npm was missing when it was installed. Talk with <code>parley chat</code> instead."
)


def create_app(host: SessionHost, routes: Sequence[BaseRoute] = (), *, page: Path | None = STATIC) -> Starlette:
    """The application over ``host``; ``routes`` are those of other transports and protocols.

    ``page`` is the folder of the built page, None to serve none.
    """
    return Starlette(
        routes=[
            Route("/health", health(host)),
            *([Route("/metrics", guarded(host, metrics(host), role=Role.METRICS))] if host.settings.metrics else []),
            *(WebSocketRoute(path, _session(host)) for path in SESSION_PATHS),
            *routes,
            *page_routes(page),
        ],
        middleware=[
            Middleware(WhoAsks),
            Middleware(SafeHeaders),
            Middleware(KnownNames, host=host),
            *_other_pages(host),
        ],
        exception_handlers={ParleyError: _refused},
    )


def _other_pages(host: SessionHost) -> list[Middleware]:
    """What browsers ask before a page from one of the allowed origins may call, and what it may read of an answer."""
    if not host.settings.allowed_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=host.settings.allowed_origins,
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=(
                "Authorization",
                "Content-Type",
                "If-Match",
                "X-OpenAI-Agents-SDK",
                "X-Sandbox-Id",
                *_MCP_ASKS,
            ),
            expose_headers=("Location", "ETag", "Retry-After", *_MCP_TELLS),
        )
    ]


def health(host: SessionHost) -> Any:
    """``GET /health``: 200 once a conversation can be held, 503 with the reasons before and while stopping.

    Load balancers have no key: where there is one, whoever asks without it is told how things are, and no more.
    """

    async def answer(request: Request) -> Response:
        troubles = host.troubles()
        status = "ok" if not troubles else "draining" if host.draining else "starting"
        details = _details(host) if _may_know(host, request) else {}
        return JSONResponse(
            {"status": status, "reasons": troubles, **details}, 503 if troubles else 200, {"Cache-Control": "no-store"}
        )

    return answer


def _may_know(host: SessionHost, request: Request) -> bool:
    if host.access.asks and not bearer_key(request):
        return False  # load balancers ask all the time: that is nobody who was refused
    try:
        check(host, request, Role.METRICS)
    except (Unauthorized, Forbidden):
        return False
    return True


def _details(host: SessionHost) -> dict[str, Any]:
    voices = host.parts.voices
    return {
        "version": __version__,
        "sessions": host.sessions,
        "max_sessions": host.settings.max_sessions,
        "models": models_in_use(host.parts.models, voices),
        "workers": sorted(voices.fleet.members),
        "slow_voices": slow_voices(voices),
        "registries": [{"connected": each.connected, "detail": each.detail} for each in voices.registry_health()],
    }


def metrics(host: SessionHost) -> Any:
    """``GET /metrics``."""

    async def answer(_: Request) -> Response:
        host.metrics.set_ready(not host.troubles())
        return Response(host.metrics.exposition(), media_type=CONTENT_TYPE)

    return answer


def _session(host: SessionHost) -> Any:
    async def endpoint(websocket: WebSocket) -> None:
        await serve_websocket(websocket, host)

    return endpoint


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ParleyError)
    return error_response(error)


def page_routes(folder: Path | None) -> list[BaseRoute]:
    """The built page, or a word about where it is."""
    if folder is None:
        return []
    if (folder / "index.html").is_file():
        return [Mount("/", PageFiles(folder))]

    async def missing(_: Request) -> Response:
        return HTMLResponse(_NO_PAGE)

    return [Route("/", missing)]


class SafeHeaders:
    """Headers that every answer carries; plain ASGI, so that nothing is buffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = {name for name, _ in message["headers"]}
                ours = ((name, value) for name, value in _HEADERS.items() if name not in own)
                message["headers"] = [*message["headers"], *ours]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.debug("a client left before its request was complete")
        except asyncio.CancelledError:  # a request is cancelled by nobody but the server that stops
            log.info("a request was cut off: the server stops", path=scope["path"])
            if not started:
                await error_response(UnavailableError("The server stops."))(scope, receive, send_with_headers)


class KnownNames:
    """Answers only those who came by a name of ours; plain ASGI.

    A page whose own name was bent to this machine's address (DNS rebinding) is no stranger to itself: its requests
    name no other origin. They do name the host that the browser believes it talks to.
    """

    def __init__(self, app: ASGIApp, host: SessionHost) -> None:
        self._app = app
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["type"] in ("http", "websocket"):
                self._host.check_name(Headers(scope=scope).get("host", ""))
        except ParleyError as error:
            refusal = JSONResponse({"code": error.code, "message": error.message}, 421)
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).send_denial_response(refusal)
            else:
                await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)
