"""LiveKit rooms as a way in: a worker that takes jobs, and tokens for those who want to talk.

The orchestrator registers under an agent name; a room whose token (or dispatch request) names it
gets one session of our session core. Media runs on the orchestrator's own loop: the job's thread,
which LiveKit's worker insists on, only waits for the session to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import secrets
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley.errors import ConfigError, ParleyError, UnavailableError
from parley.hints import install
from parley.server.http import guarded, json_body
from parley.server.livekit_asked import LARGEST, Asked, asked
from parley.transports.livekit import CLIENT_ATTRIBUTE, LiveKitTransport

if TYPE_CHECKING:
    from starlette.requests import Request

    from parley.transports.host import Gate, Sessions
    from parley.transports.livekit_settings import LiveKitSettings

try:
    from livekit import agents, api
except ImportError as error:  # pragma: no cover
    raise ConfigError(f"LiveKit support is missing; install it with: {install('livekit')}.") from error

PATH = "/v1/livekit/token"
_FULL = 0.999
_STOP_TIMEOUT = 10.0

log = structlog.get_logger(__name__)


class LiveKitWorker:
    """This orchestrator as LiveKit's dispatch sees it: ``await worker.start()``, ``drain()``, ``aclose()``.

    ``load`` tells how busy it is, 0 to 1; at 1 it is given no more jobs.
    """

    def __init__(self, host: Sessions, settings: LiveKitSettings, *, load: Callable[[], float]) -> None:
        check_settings(settings)
        self._host = host
        self._settings = settings
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._server = agents.AgentServer(
            job_executor_type=agents.JobExecutorType.THREAD,
            load_fnc=self._current_load,
            load_threshold=_FULL,
            num_idle_processes=1,
            max_retry=sys.maxsize,  # it is away for as long as it is away
            drain_timeout=max(1, round(settings.drain)),
            ws_url=settings.url,
            api_key=settings.api_key,
            api_secret=settings.api_secret,
            host="127.0.0.1",
            port=0,
            http_proxy=None,
        )
        self._server.rtc_session(self._job, agent_name=settings.agent_name)
        self._registered = asyncio.Event()
        self._server.on("worker_registered", lambda *_: self._registered.set())
        self._running: asyncio.Task[None] | None = None
        self._sessions: set[LiveKitTransport] = set()

    async def start(self) -> None:
        """Register, and go on trying while the LiveKit server is away."""
        logging.getLogger("livekit.agents").addFilter(_knows_that_we_join_ourselves)
        self._running = asyncio.create_task(self._run(), name="livekit-worker")

    async def registered(self) -> None:
        """Wait until the LiveKit server knows this worker."""
        await self._registered.wait()

    @property
    def ready(self) -> bool:
        """Whether the LiveKit server would give us a job now."""
        return self._registered.is_set() and not self._server._connecting

    @property
    def sessions(self) -> int:
        """Conversations in rooms right now."""
        return len(self._sessions)

    async def _run(self) -> None:
        try:
            await self._server.run()
        except Exception as error:  # noqa: BLE001  (somebody else's code, the SDK; the other ways in go on)
            log.error("the LiveKit server cannot be used", url=self._settings.url, error=str(error))

    async def drain(self) -> None:
        """Take no more jobs; returns when the running sessions are over, or when time is up."""
        if self._running is not None and not self._running.done():
            with contextlib.suppress(TimeoutError):
                await self._server.drain()

    async def aclose(self) -> None:
        """End the sessions and leave the LiveKit server."""
        for transport in list(self._sessions):
            transport.leave()
        if self._running is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self._server.aclose()
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        logging.getLogger("livekit.agents").removeFilter(_knows_that_we_join_ourselves)

    def _current_load(self, *_: object) -> float:
        return min(1.0, max(0.0, self._load()))

    async def _job(self, context: Any) -> None:
        """Runs on the job's thread: have the session held on our loop, and wait."""
        room, identity = context.job.room.name, context.local_participant_identity
        session = asyncio.run_coroutine_threadsafe(self._hold(room, identity), self._loop)
        try:
            await asyncio.wrap_future(session)
        finally:
            session.cancel()
            context.shutdown("session over")

    async def _hold(self, room: str, identity: str) -> None:
        """One job, one session."""
        transport = LiveKitTransport(self._settings, self._host.bounds)
        self._sessions.add(transport)
        try:
            await transport.join(self._settings.url, agent_token(self._settings, room, identity))
            start = await transport.started()
            await self._host.run_session(transport, start)
        except ParleyError as error:
            await transport.end_with(error)
        except Exception:  # our own code: the session ends, the server goes on
            log.exception("session failed", transport="livekit")
            await transport.end_with(ParleyError("The session failed; the server's log says why."))
        finally:
            self._sessions.discard(transport)
            await transport.aclose()


class LiveKitEndpoint:
    """The token route. A token opens one fresh room, for one participant, for a short while.

    ``ready``: whether an agent would come; a room that opens while there is none never gets one.
    """

    def __init__(self, gate: Gate, settings: LiveKitSettings, *, ready: Callable[[], bool] = lambda: True) -> None:
        check_settings(settings)
        self._settings = settings
        self._ready = ready
        self.routes = [Route(PATH, guarded(gate, self._token), methods=["POST"])] if settings.tokens else []

    async def _token(self, request: Request) -> Response:
        """For a client of ours, or for one that knows LiveKit but not Parley: no start message is awaited of it.

        The second kind asks as LiveKit's own token endpoints are asked, with an object, or by ``?client=stock``.
        """
        if not self._ready():
            raise UnavailableError("The LiveKit server is away, or does not know this orchestrator yet; try again.")
        room, identity = f"parley-{secrets.token_urlsafe(9)}", f"participant-{secrets.token_hex(4)}"
        in_words = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        wanted = asked(await json_body(request, LARGEST), self._settings.agent_name) if in_words else None
        if wanted is None and request.query_params.get("client") == "stock":
            wanted = Asked()
        token = participant_token(self._settings, room, identity, wanted)
        url = self._settings.public_url or self._settings.url
        body = {"url": url, "token": token, "room": room, "identity": identity}
        # As LiveKit's own token endpoints answer, those of today and those of its starter applications.
        body |= {"server_url": url, "participant_token": token}
        if in_words:
            name = wanted.name if wanted is not None else ""
            body |= {"serverUrl": url, "participantToken": token, "roomName": room, "participantName": name or identity}
        return JSONResponse(body, 201 if in_words else 200, {"Cache-Control": "no-store"})


def check_settings(settings: LiveKitSettings) -> None:
    """Raise ConfigError when the LiveKit server is named without its key."""
    if not settings.url.startswith(("ws://", "wss://", "http://", "https://")):
        raise ConfigError("livekit.url must be the LiveKit server's address, such as ws://127.0.0.1:7880.")
    if not settings.api_key or not settings.api_secret:
        raise ConfigError("livekit.api_key and livekit.api_secret must be those of the LiveKit server.")


def participant_token(settings: LiveKitSettings, room: str, identity: str, stock: Asked | None = None) -> str:
    """A token to join ``room`` within the next ``token_ttl`` seconds; our agent is sent there too.

    ``stock``: what a client asks for that does not know Parley.
    """
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_publish=True,
        can_publish_sources=["microphone"],
        can_publish_data=True,
        can_subscribe=True,
    )
    configuration = api.RoomConfiguration(
        empty_timeout=30,
        departure_timeout=20,
        agents=[api.RoomAgentDispatch(agent_name=settings.agent_name)],
    )
    token = _token(settings, identity).with_grants(grants).with_room_config(configuration)
    if stock is not None:
        token = token.with_name(stock.name).with_metadata(stock.metadata)
    attributes = {CLIENT_ATTRIBUTE: "1"} if stock is None else dict(stock.attributes)
    return str((token.with_attributes(attributes) if attributes else token).to_jwt())


def agent_token(settings: LiveKitSettings, room: str, identity: str) -> str:
    """The agent's own token for the room that it was sent to."""
    grants = api.VideoGrants(room_join=True, room=room, agent=True, can_update_own_metadata=True)
    return str(_token(settings, identity).with_kind("agent").with_grants(grants).to_jwt())


def _token(settings: LiveKitSettings, identity: str) -> Any:
    token: Any = api.AccessToken(settings.api_key, settings.api_secret)
    return token.with_identity(identity).with_ttl(dt.timedelta(seconds=settings.token_ttl))


def _knows_that_we_join_ourselves(record: logging.LogRecord) -> bool:
    """Drop the worker's complaint that a job did not join its room: our transport does."""
    return "connection was not established" not in record.msg and "without establishing a connection" not in record.msg
