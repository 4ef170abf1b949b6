"""``/v1/realtime``: who may talk, the session that they begin with, and keys for browsers."""

from __future__ import annotations

import contextlib
import secrets as random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from parley import clock
from parley.api.errors import described, guarded
from parley.api.names import is_their_hearing_model, voice_of
from parley.api.realtime import fields
from parley.api.realtime.client_events import LONGEST_WITHOUT_SOUND
from parley.api.realtime.errors import ClientError
from parley.api.realtime.mcp_servers import check_allowed
from parley.api.realtime.mcp_tools import McpTools
from parley.api.realtime.requests import Requests
from parley.api.realtime.secrets import LONGEST, PREFIX, SHORTEST, USUAL, Secrets
from parley.api.realtime.session_object import LONGEST_NAME, SessionObject
from parley.api.realtime.transport import RealtimeTransport
from parley.audio.frame import SAMPLE_RATE
from parley.errors import InvalidRequest, NotFound, ParleyError, Unauthorized
from parley.interfaces import Transport
from parley.messages import StartSession
from parley.orders import Guest
from parley.server.asking import asking
from parley.server.http import json_body
from parley.server.keys import Holder
from parley.transports.websocket import close_code
from parley.transports.websocket_endpoint import run_watched
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

    from parley.api.realtime.endings import Endings
    from parley.api.settings import ApiSettings
    from parley.interfaces import Tools
    from parley.orders import Notice
    from parley.server.siblings import Sibling
    from parley.transports.bounds import ClientBounds
    from parley.transports.host import WebSocketHost

SUBPROTOCOL = "realtime"
_KEY_SUBPROTOCOL = "openai-insecure-api-key."
_BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
_BETA_CLOSED = 4000
_USUAL_MODEL = "gpt-realtime"
_NEWS = "client-secret"
_BETA = "The beta shape of the Realtime interface is not served; leave the header OpenAI-Beta out and use the GA shape."


class Carrier(Transport, Protocol):
    """A session's way to its client and back, in the events of this interface: a WebSocket, or a call."""

    async def told(self, notice: Notice) -> None:
        """What became of an entry of the conversation."""


def new_id(prefix: str) -> str:
    """A random one, as long as OpenAI's."""
    return f"{prefix}_{random.token_hex(10)}"


class Realtime:
    """The routes. ``speakers`` tells each model that is known with those of its speakers it lists.

    ``check`` raises NotFound for a voice that nobody has; ``wall_clock`` tells seconds since 1970; ``tools`` are the
    server's own; ``endings`` closes what a session had open; ``looks``: the language model looks at images. A key that
    was made here is good at every ``sibling`` of this process.
    """

    def __init__(
        self,
        host: WebSocketHost,
        run_session: Callable[[Transport, StartSession, Guest, Tools | None], Any],
        settings: ApiSettings,
        speakers: Callable[[], Mapping[str, Collection[str]]],
        check: Callable[[Voice], None],
        wall_clock: Callable[[], float],
        tools: Tools | None = None,
        *,
        endings: Endings,
        looks: bool = True,
        sibling: Sibling | None = None,
    ) -> None:
        self._host, self._run_session, self._settings = host, run_session, settings
        self._speakers, self._check, self._wall_clock = speakers, check, wall_clock
        self._tools, self._looks, self._endings = tools, looks, endings
        self._secrets = Secrets(lambda: random.token_urlsafe(32))
        self._sibling = sibling
        if sibling is not None:
            sibling.heard[_NEWS] = lambda told: self._secrets.learn(told, clock.now())
        self.routes: list[BaseRoute] = [
            WebSocketRoute("/v1/realtime", self._serve),
            WebSocketRoute("/realtime", self._serve),
            Route("/v1/realtime/client_secrets", guarded(host, self._client_secret), methods=["POST"]),
        ]

    # --- conversations -----------------------------------------------------------------

    async def _serve(self, websocket: WebSocket) -> None:
        headers, offered = websocket.headers, websocket.scope.get("subprotocols", ())
        try:
            self._host.check_origin(headers.get("origin", ""), headers.get("host", ""))
        except ParleyError as error:
            await websocket.send_denial_response(JSONResponse({"error": described(error)}, 403))
            return
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        with contextlib.suppress(WebSocketDisconnect):
            try:
                await self._admit(websocket)
            except ParleyError as error:
                await _refuse(websocket, described(error), close_code(error))

    async def _admit(self, websocket: WebSocket) -> None:
        offered = websocket.scope.get("subprotocols", ())
        if "realtime=v1" in websocket.headers.get("openai-beta", "") or _BETA_SUBPROTOCOL in offered:
            told = {"type": "invalid_request_error", "message": _BETA, "param": None, "code": "beta_api_shape_disabled"}
            await _refuse(websocket, told, _BETA_CLOSED)
            return
        session = self.begin(_key(websocket), websocket.query_params)
        if websocket.query_params.get("call_id"):
            raise InvalidRequest("A call has no second connection here; its events are on its own data channel.")
        requests = self.requests(session)
        transport = RealtimeTransport(
            websocket,
            requests,
            self._settings.realtime,
            self._host.bounds,
            stall_timeout=self._host.websocket.stall_timeout,
        )
        own = {
            "playout.lead": self._settings.realtime.lead,
            # Clients hand over what they have when they have it; who stops sending is silent all the same.
            "segmenter.silent_after": self._settings.realtime.silent_after,
        }
        start = self.start(session, own, sample_rate=transport.input_rate)
        await run_watched(transport, partial(self.hold, requests, transport, start))

    @property
    def bounds(self) -> ClientBounds:
        """What holds clients within bounds."""
        return self._host.bounds

    def requests(self, session: SessionObject, *, paced: bool = False) -> Requests:
        """Whoever answers one client; ``paced``: its sound goes by tracks of its own."""
        servers = partial(McpTools, self._tools)
        return Requests(session, self._voice, new_id, paced=paced, looks=self._looks, servers=servers)

    def start(
        self, session: SessionObject, own: Mapping[str, float] | None = None, sample_rate: int = SAMPLE_RATE
    ) -> StartSession:
        """How a session begins; ``own``: the settings of its way here."""
        return StartSession(
            sample_rate=sample_rate,
            voice=self._voice(session),
            language=session.manner().language,
            echo_cancelled=self._settings.realtime.echo_cancelled,
            settings={"reply.greeting": "", **(own or {})},  # a client of this interface asks for the first word
        )

    async def hold(self, requests: Requests, carrier: Carrier, start: StartSession) -> None:
        """One conversation, until it ends."""
        tools: Any = requests.servers
        guest = Guest(requests.session.manner(), carrier.told, partial(new_id, "item"))
        try:
            await self._run_session(carrier, start, guest, tools)
        finally:
            await self._endings.take(tools.aclose)

    def check(self, key: str) -> SessionObject | None:
        """With what a session begins that is opened with a client secret; None for a key. Raises Unauthorized."""
        secret = self._secrets.find(key, clock.now())
        if secret is not None:
            asking().holder = Holder(secret.key)
            return secret.session
        if key.startswith(PREFIX):
            raise Unauthorized("The client secret is not known here, or has expired.")
        self._host.check_key(key)
        return None

    def begin(self, key: str, query: Mapping[str, str], wanted: Mapping[str, Any] | None = None) -> SessionObject:
        """With what a session begins; ``wanted`` is merged in. Raises Unauthorized, NotFound, InvalidRequest."""
        session = self.check(key)
        if session is None and wanted is not None:
            return self._wanted(wanted, query.get("model", ""))
        if session is None and query.get("intent") == "transcription":
            session = SessionObject.new("transcription", query.get("model", ""))
        elif session is None:
            session = SessionObject.new("realtime", query.get("model", "") or _USUAL_MODEL)
        try:
            if wanted is not None:
                session = session.updated(wanted)
        except ClientError as error:
            raise InvalidRequest(error.message) from None
        try:
            self._voice(session)
        except ClientError as error:
            raise NotFound(error.message) from None
        return session

    def _wanted(self, wanted: Mapping[str, Any], model: str = "") -> SessionObject:
        """The session that is asked for over HTTP. Raises InvalidRequest."""
        try:
            kind: Any = fields.one_of(wanted.get("type", "realtime"), ("realtime", "transcription"), "session.type")
            usual = model or (_USUAL_MODEL if kind == "realtime" else "")
            session = SessionObject.new(kind, fields.text(wanted, "model", "session.", usual)).updated(wanted)
            self._voice(session)
        except ClientError as error:
            raise InvalidRequest(error.message) from None
        return session

    def _voice(self, session: SessionObject) -> Voice:
        """The voice that is meant, of a session that has nothing which is not allowed. Raises ClientError."""
        check_allowed(session.servers, self._settings.realtime.mcp_servers)
        names = self._settings.names
        if len(session.model) > LONGEST_NAME:
            raise ClientError(f"There is no model called {session.model[:64]!r} here.", param="model")
        if session.kind == "transcription":
            for model in (session.model, session.transcription_model):
                if not is_their_hearing_model(names.get(model, model)):
                    raise ClientError(f"There is no recogniser called {model[:64]!r} here.", param="model")
            return Voice()
        try:
            voice = voice_of(session.model, str(session.said["voice"]), self._speakers(), names)
            voice = replace(voice, speed=float(session.said["speed"]))
            self._check(voice)
        except NotFound as error:
            raise ClientError(error.message, param="session.audio.output.voice") from None
        return voice

    # --- keys --------------------------------------------------------------------------

    async def _client_secret(self, request: Request) -> Response:
        body = await json_body(request, LONGEST_WITHOUT_SOUND)
        try:
            asked = fields.objects(body, "request")
            lasts = fields.objects(asked.get("expires_after") or {"seconds": USUAL}, "expires_after")
            seconds = fields.whole({"seconds": USUAL, **lasts}, "seconds", SHORTEST, LONGEST, "expires_after.")
            wanted = fields.objects(asked.get("session") or {"type": "realtime"}, "session")
        except ClientError as error:
            raise InvalidRequest(error.message) from None
        session = self._wanted(wanted)
        value = self._secrets.new(session, seconds, clock.now(), asking().holder.key)
        if self._sibling is not None:
            await self._sibling.tell(_NEWS, self._secrets.told(value, clock.now()))
        said = {
            "value": value,
            "expires_at": int(self._wall_clock()) + seconds,
            "session": session.shown(new_id("sess")),
        }
        return JSONResponse(said, headers={"Cache-Control": "no-store"})


def _key(websocket: WebSocket) -> str:
    scheme, _, key = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    for offered in websocket.scope.get("subprotocols", ()):
        if offered.startswith(_KEY_SUBPROTOCOL):
            return str(offered[len(_KEY_SUBPROTOCOL) :])
    return ""


async def _refuse(websocket: WebSocket, told: Mapping[str, Any], code: int) -> None:
    """Say why there will be no session, and close."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.send_json({"type": "error", "event_id": new_id("event"), "error": {**told, "event_id": None}})
        await websocket.close(code, str(told["code"]))
