"""``/v1/realtime/calls``: an SDP offer in, an answer out, and the address of the call to hang up by."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from parley.api.errors import error_response
from parley.api.forms import texts
from parley.api.realtime.client_events import LONGEST_WITHOUT_SOUND
from parley.audio.frame import SAMPLE_RATE
from parley.errors import InvalidRequest, NotFound, ParleyError
from parley.nesting import DEEPEST, deeper, is_text
from parley.server.http import bearer_key
from parley.server.webrtc import SDP, address_of, content_type, sdp_body
from parley.transports.rtc_sdp import MAX_OFFER_BYTES
from parley.transports.rtc_settings import FIRST_DELAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from parley.api.realtime.endpoint import Realtime
    from parley.api.realtime.requests import Requests
    from parley.messages import StartSession
    from parley.server.http import Gate, Handler
    from parley.server.peers import Peers
    from parley.transports.webrtc import WebRtcTransport

PATHS = ("/v1/realtime/calls", "/realtime/calls")
FORM = "multipart/form-data"
KIND = "realtime_call"
_NO_TELEPHONE = "Calls of telephones are not served here; a call can be hung up, and nothing else."


class Calls:
    """The routes. Who asks, and with which session they begin, ``realtime`` says; ``peers`` keeps the calls."""

    def __init__(self, realtime: Realtime, gate: Gate, peers: Peers) -> None:
        self._realtime, self._gate, self._peers = realtime, gate, peers
        self.routes = [
            route
            for path in PATHS
            for route in (
                Route(path, self._answered(self._call), methods=["POST"]),
                Route(path + "/{id}/hangup", self._answered(self._hang_up), methods=["POST"]),
                Route(path + "/{id}/{what}", self._answered(_not_here), methods=["POST"]),
            )
        ]

    def _answered(self, handler: Handler) -> Handler:
        """Who may ask is more than one key; a page from elsewhere may not, whatever it knows."""

        async def answer(request: Request) -> Response:
            try:
                self._gate.check_origin(request.headers.get("origin", ""), request.headers.get("host", ""))
                return await handler(request)
            except ParleyError as error:
                return error_response(error)

        return answer

    async def _call(self, request: Request) -> Response:
        key = bearer_key(request)
        self._realtime.check(key)  # before anything is read
        offer, wanted = await _asked(request)
        session = self._realtime.begin(key, request.query_params, wanted)
        requests = self._realtime.requests(session, paced=True)
        start = self._realtime.start(session, {"playout.delay": FIRST_DELAY / SAMPLE_RATE})
        make = partial(self._transport, requests, start)
        name = f"rtc_{self._peers.new_name()}"
        answer = await self._peers.open(name, make, offer, address_of(request), partial(self._realtime.hold, requests))
        return Response(answer, 201, {"Location": f"{PATHS[0]}/{name}", "Cache-Control": "no-store"}, media_type=SDP)

    def _transport(self, requests: Requests, start: StartSession) -> WebRtcTransport:
        from parley.api.realtime.call import RealtimeCall  # brings the library with it

        return RealtimeCall(self._peers.settings, self._realtime.bounds, self._peers.turns, requests, start)

    async def _hang_up(self, request: Request) -> Response:
        self._realtime.check(bearer_key(request))
        self._peers.find(request.path_params["id"], KIND).leave()
        return Response(status_code=200)


async def _not_here(request: Request) -> Response:
    raise NotFound(_NO_TELEPHONE)


async def _asked(request: Request) -> tuple[str, Mapping[str, Any] | None]:
    """The offer, and the session that is wanted where one is."""
    if content_type(request) != FORM:
        return await sdp_body(request, SDP, FORM), None
    form = await texts(request, ("sdp", "session"), MAX_OFFER_BYTES + LONGEST_WITHOUT_SOUND)
    if "sdp" not in form:
        raise InvalidRequest("The form has no field sdp, which holds the offer.")
    return form["sdp"], _session(form["session"]) if form.get("session") else None


def _session(text: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("The field session is no JSON.") from None
    if not isinstance(data, dict):
        raise InvalidRequest("The field session must be an object.")
    if deeper(data):
        raise InvalidRequest(f"The field session has more than {DEEPEST} lists and objects inside each other.")
    if not is_text(data):
        raise InvalidRequest("The field session holds half of a character (a lone surrogate); send valid Unicode.")
    return data
