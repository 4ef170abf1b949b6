"""WebRTC signalling over HTTP, shaped like WHIP (docs/reference/webrtc.md)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING

import structlog
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley.errors import InvalidRequest, NotFound, ParleyError, PreconditionFailed
from parley.server.http import guarded
from parley.server.pending import PendingOffers
from parley.transports import rtc_sdp
from parley.transports.round_robin import RoundRobin
from parley.transports.rtc_seam import check_pinned
from parley.transports.webrtc import WebRtcTransport

if TYPE_CHECKING:
    from starlette.requests import Request

    from parley.transports.host import Host
    from parley.transports.rtc_settings import WebRtcSettings

PATH = "/v1/webrtc"
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"

DATAGRAMS_AT_ONCE = 8
"""In one turn of the loop, of all clients together: each takes 0.1 to 0.4 ms to decrypt, read and acknowledge."""
_WATCH_INTERVAL = 1.0

log = structlog.get_logger(__name__)


class WebRtcEndpoint:
    """The routes, and the sessions that came in by them. Close it before the loop ends."""

    def __init__(self, host: Host, settings: WebRtcSettings) -> None:
        check_pinned()
        self._host = host
        self._settings = settings
        self._sessions: dict[str, WebRtcTransport] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._turns = RoundRobin(DATAGRAMS_AT_ONCE)
        self._pending = PendingOffers(
            settings.max_pending, settings.max_pending_per_address, patience=settings.connect_timeout
        )
        self.routes = [
            Route(PATH, guarded(host, self._config), methods=["GET"]),
            Route(PATH, guarded(host, self._offer), methods=["POST"]),
            Route(PATH + "/{id}", guarded(host, self._change), methods=["PATCH"]),
            Route(PATH + "/{id}", guarded(host, self._end), methods=["DELETE"]),
        ]

    async def aclose(self) -> None:
        """Hang up on everybody."""
        if self._timer is not None:
            self._timer.cancel()
        for transport in list(self._sessions.values()):
            transport.leave()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- routes ------------------------------------------------------------------------

    async def _config(self, request: Request) -> Response:
        settings = self._settings
        servers: list[dict[str, str]] = []
        for url in settings.ice_servers:
            server = {"urls": url}
            if url.startswith("turn"):
                server |= {"username": settings.turn_username, "credential": settings.turn_password}
            servers.append(server)
        policy = "relay" if settings.relay_only else "all"
        return JSONResponse(
            {"iceServers": servers, "iceTransportPolicy": policy, "bundlePolicy": "max-bundle"},
            headers={"Cache-Control": "no-store"},
        )

    async def _offer(self, request: Request) -> Response:
        offer = await _body(request, SDP)
        with contextlib.ExitStack() as place:
            place.enter_context(self._pending.one(request.client.host if request.client else ""))
            transport = WebRtcTransport(self._settings, self._host.bounds, self._turns)
            try:
                answer = await transport.answer(offer)
            except BaseException:
                await transport.aclose()
                raise
            name = secrets.token_urlsafe(18)
            self._sessions[name] = transport
            session = self._hold(name, transport, place.pop_all())
        task = asyncio.create_task(session, name=f"webrtc-{name[:6]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._watch()
        headers = {"Location": f"{PATH}/{name}", "ETag": _etag(answer), "Cache-Control": "no-store"}
        return Response(answer, 201, headers, media_type=SDP)

    async def _change(self, request: Request) -> Response:
        transport = self._find(request)
        kind = _content_type(request)
        body = await _body(request, SDP, FRAGMENT)
        fresh = rtc_sdp.username_of(body)
        if kind == FRAGMENT and (not fresh or transport.knows(fresh)):
            self._check_match(request, transport)
            await transport.add_candidates(body)
            return Response(status_code=204)
        answer = await transport.restart(body)
        text = answer if kind == SDP else rtc_sdp.fragment_of(answer)
        return Response(text, 200, {"ETag": _etag(answer), "Cache-Control": "no-store"}, media_type=kind)

    def _check_match(self, request: Request, transport: WebRtcTransport) -> None:
        wanted = request.headers.get("if-match", "*")
        if wanted not in ("*", _etag(transport.local_sdp)):
            raise PreconditionFailed("These candidates belong to an ICE session that a restart has replaced.")

    async def _end(self, request: Request) -> Response:
        self._find(request).leave()
        return Response(status_code=200)

    def _find(self, request: Request) -> WebRtcTransport:
        transport = self._sessions.get(request.path_params["id"])
        if transport is None:
            raise NotFound("There is no such session, or it is over; POST a new offer.")
        return transport

    # --- sessions ----------------------------------------------------------------------

    async def _hold(self, name: str, transport: WebRtcTransport, place: contextlib.ExitStack) -> None:
        """One session from its first packet to its last; it gives up its place among the pending when it starts."""
        try:
            with place:
                start = await transport.started()
            await self._host.run_session(transport, start)
        except ParleyError as error:
            await transport.end_with(error)
        except Exception:
            log.exception("session failed", transport="webrtc")
            await transport.end_with(ParleyError("The session failed; the server's log says why."))
        finally:
            self._sessions.pop(name, None)
            await transport.aclose()

    def _watch(self) -> None:
        """Once a second, give up those who have not been heard for too long."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WATCH_INTERVAL, self._look)

    def _look(self) -> None:
        self._timer = None
        for transport in list(self._sessions.values()):
            if transport.connected and transport.silent_for() > self._settings.reconnect_grace:
                transport.leave()
        if self._sessions:
            self._watch()


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _etag(sdp: str) -> str:
    return f'"{rtc_sdp.username_of(sdp)}"'


async def _body(request: Request, *kinds: str) -> str:
    if _content_type(request) not in kinds:
        raise InvalidRequest(f"The Content-Type must be {' or '.join(kinds)}.")
    size = 0
    parts: list[bytes] = []
    async with contextlib.aclosing(request.stream()) as stream:
        async for part in stream:
            size += len(part)
            if size > rtc_sdp.MAX_OFFER_BYTES:
                raise InvalidRequest(f"The body may have at most {rtc_sdp.MAX_OFFER_BYTES} bytes.")
            parts.append(part)
    try:
        return b"".join(parts).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The body must be UTF-8 text.") from None
