"""WebRTC signalling over HTTP, shaped like WHIP (docs/reference/webrtc.md)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley.errors import InvalidRequest, PreconditionFailed
from parley.server.http import guarded
from parley.transports import rtc_sdp

if TYPE_CHECKING:
    from starlette.requests import Request

    from parley.server.peers import Peers
    from parley.transports.host import Host
    from parley.transports.webrtc import WebRtcTransport

PATH = "/v1/webrtc"
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
KIND = "webrtc"


class WebRtcEndpoint:
    """The routes; ``peers`` keeps the sessions that come in by them."""

    def __init__(self, host: Host, peers: Peers) -> None:
        self._host = host
        self._peers = peers
        self._settings = peers.settings
        self.routes = [
            Route(PATH, guarded(host, self._config, tokens=True), methods=["GET"]),
            Route(PATH, guarded(host, self._offer, tokens=True), methods=["POST"]),
            Route(PATH + "/{id}", guarded(host, self._change, tokens=True), methods=["PATCH"]),
            Route(PATH + "/{id}", guarded(host, self._end, tokens=True), methods=["DELETE"]),
        ]

    # --- routes ------------------------------------------------------------------------

    async def _config(self, request: Request) -> Response:
        self._peers.library.wanted_soon()  # an offer follows
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
        offer = await sdp_body(request, SDP)
        name = self._peers.new_name()
        answer = await self._peers.open(name, self._transport, offer, address_of(request), self._host.run_session)
        headers = {"Location": f"{PATH}/{name}", "ETag": _etag(answer), "Cache-Control": "no-store"}
        return Response(answer, 201, headers, media_type=SDP)

    def _transport(self) -> WebRtcTransport:
        from parley.transports.webrtc import WebRtcTransport  # brings the library with it

        return WebRtcTransport(self._settings, self._host.bounds, self._peers.turns)

    async def _change(self, request: Request) -> Response:
        transport = self._find(request)
        kind = content_type(request)
        body = await sdp_body(request, SDP, FRAGMENT)
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
        return self._peers.find(request.path_params["id"], KIND)


def address_of(request: Request) -> str:
    """Whose request it is; empty where nobody knows."""
    return request.client.host if request.client else ""


def content_type(request: Request) -> str:
    """Without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _etag(sdp: str) -> str:
    return f'"{rtc_sdp.username_of(sdp)}"'


async def sdp_body(request: Request, *kinds: str) -> str:
    """The body, of one of these types and no longer than an offer may be. Raises InvalidRequest."""
    if content_type(request) not in kinds:
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
