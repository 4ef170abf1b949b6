"""Who may talk, how many at a time, and what each conversation is made of."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from parley import clock, tracing
from parley.audio.resample import Resampler, microphone_resampler
from parley.conversation import History
from parley.errors import CapacityError, ParleyError, Unauthorized, UnavailableError
from parley.messages import SessionEnded, StartSession, VoiceChanged
from parley.observability.turn_traces import TurnTraces
from parley.registry.snapshots import SessionSnapshot
from parley.server.access import Access
from parley.server.at_work import AtWork
from parley.server.engine_parts import EngineParts
from parley.server.strain import Strain
from parley.session.decide.budget import Reaction
from parley.session.log import BudgetReacted, ReplyOver, ToolCalled, Transition, TurnClosed
from parley.session.pressure import Relief
from parley.session.settings import SessionSettings
from parley.text.speech.lexicon import check_lexicon
from parley.transports.bounds import ClientBounds
from parley.transports.client_settings import ClientSettings
from parley.transports.websocket_settings import WebSocketSettings
from parley.values import Role

if TYPE_CHECKING:
    from parley.conversation import Item
    from parley.interfaces import (
        EchoGuard,
        EndOfTurnModel,
        InterruptionModel,
        LanguageModel,
        Recognizer,
        Tools,
        Transport,
        VoiceActivityDetector,
    )
    from parley.observability.metrics import Metrics
    from parley.orders import Guest
    from parley.registry.snapshots import SnapshotStore
    from parley.routing.pool import PooledSynthesizer
    from parley.server.settings import ServerSettings
    from parley.session.engine import SessionEngine
    from parley.session.log import LogEntry
    from parley.values import Voice

log = structlog.get_logger(__name__)

_LOOK_INTERVAL = 5.0
"""Seconds between two looks at whether anybody is still talking."""

_OTHERS = 5.0
"""Seconds of a drain that texts and recordings of other people's clients have to end: most are shorter."""


def _host_of(origin: str) -> str | None:
    """host[:port] of an Origin header in lower case; None when a stranger wrote nonsense into it."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _name_of(host: str) -> str:
    """The name in ``name:port``, in lower case; empty for nonsense."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_ours(name: str) -> bool:
    """True for addresses and for names that no stranger can own: localhost, this machine's, those without a dot."""
    if name.endswith((".localhost", ".local")) or "." not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == socket.gethostname().lower()
    return True


def as_they_are(parts: EngineParts, _: ExitStack) -> EngineParts:
    """Change nothing: ``Parts.wrap`` where nobody records."""
    return parts


@dataclass(frozen=True, slots=True)
class Parts:
    """What conversations are made of: the first group is shared, the second is made for each."""

    recognizer: Recognizer
    language_model: LanguageModel
    voices: PooledSynthesizer
    end_of_turn: EndOfTurnModel | None = None
    snapshots: SnapshotStore | None = None
    tools: Tools | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    """What they are called, for people: kind (ears, voice, turn, llm) -> name."""

    relief: Relief = field(default_factory=Relief)
    """Who else could hear and speak when answers come too late."""

    make_vad: Callable[[], VoiceActivityDetector] = field(kw_only=True)
    make_microphone: Callable[[int], Resampler] = microphone_resampler
    """From the transport's rate to what is listened to."""
    make_echo_guard: Callable[[StartSession], EchoGuard | None] = lambda _: None
    overhear: Callable[[], InterruptionModel | None] = lambda: None
    """What hears nods and wishes for the floor in what is said over a reply."""
    wrap: Callable[[EngineParts, ExitStack], EngineParts] = as_they_are
    """Changes what an engine is made of: how a recorder gets between the engine and its seams."""


class SessionHost:
    """Builds an engine for every participant that a transport brings, within limits.

    Everything in ``parts`` is opened and closed by whoever made it.
    """

    def __init__(
        self,
        settings: ServerSettings,
        parts: Parts,
        metrics: Metrics,
        *,
        session: SessionSettings = SessionSettings(),  # noqa: B008  (frozen)
        clients: ClientSettings = ClientSettings(),  # noqa: B008  (frozen)
        websocket: WebSocketSettings = WebSocketSettings(),  # noqa: B008  (frozen)
        access: Access | None = None,
    ) -> None:
        check_lexicon(session.text.lexicon, "session.text.lexicon")
        self.settings = settings
        self.websocket = websocket
        self.parts = parts
        self.metrics = metrics
        self.bounds = ClientBounds(clients, metrics)
        self.access = access or Access(settings)
        self.draining = False
        self.waiting_for: list[str] = []
        """What is still being loaded, in words; no session is taken while there is anything."""
        self.at_work = AtWork()
        """What is done for other people's clients."""
        self._session_settings = session
        self._running: dict[str, SessionEngine] = {}
        self.strain = Strain()
        """In which of them nothing more can be done about answers that come too late."""
        self._replaced: set[str] = set()
        """Those of them that somebody goes on with elsewhere."""
        self._opening = 0
        self.in_line = 0
        """Who wait until a conversation of theirs is opened, and may be gone already."""
        self._empty = asyncio.Event()
        self._empty.set()

    # --- who may talk ------------------------------------------------------------------

    def check_origin(self, origin: str, host: str) -> None:
        """Raise Unauthorized when a page from ``origin`` (empty: not a browser) may not use ``host``."""
        if not origin or "*" in self.settings.allowed_origins or origin in self.settings.allowed_origins:
            return
        if _host_of(origin) != host.lower():
            raise Unauthorized(
                f"Pages from {origin} may not use this server; its setting server.allowed_origins says who may."
            )

    def check_name(self, host: str) -> None:
        """Raise Unauthorized for who came by the name of somebody else (``host``: name and port; empty for none).

        Where a key is needed, a page that took over a name has none; and nobody has a certificate for a stranger's.
        """
        settings = self.settings
        if self.access.asks or settings.tls_cert or not host or "*" in settings.allowed_hosts:
            return
        name = _name_of(host)
        known = {*settings.allowed_hosts, *(_name_of(_host_of(origin) or "") for origin in settings.allowed_origins)}
        if not name or not (_is_ours(name) or name in known):
            raise Unauthorized(
                f"This server does not know the name {name or 'that you used'}; server.allowed_hosts says which it has."
            )

    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None:
        """Raise Unauthorized when the key is missing or wrong, Forbidden when it opens other things than this."""
        self.access.check(key, role, tokens=tokens)

    # --- health ------------------------------------------------------------------------

    @property
    def sessions(self) -> int:
        """Conversations that are held or being opened."""
        return len(self._running) - len(self._replaced) + self._opening

    def troubles(self) -> list[str]:
        """Why no conversation can be held just now; empty when one can."""
        if self.draining:
            return ["The server is stopping and takes no new conversations."]
        troubles = [f"Still waiting for {what}." for what in self.waiting_for]
        if not self.parts.voices.fleet.members:
            troubles.append("No worker is there that could speak.")
        return troubles

    # --- conversations -----------------------------------------------------------------

    async def run_session(
        self, transport: Transport, start: StartSession, guest: Guest | None = None, tools: Tools | None = None
    ) -> None:
        """Hold one conversation until it ends. CapacityError or UnavailableError before it has begun.

        ``guest``: its client knows the conversation entry by entry, and begins a new one. ``tools``: in place of the
        server's own.
        """
        try:
            self._check_open()
            self.access.may_begin(start.resume_session)
            known = await self._remembered(start) if guest is None else None
            history = History(known or (), limit=self._history_limit) if guest is None else self._new_history(guest)
            self._check_places(goes_on=known is not None)
            await self._stand_in_line(keeps_its_place=known is not None)
            self._check_open()
            self._check_places(goes_on=known is not None)  # those who wait hold no place: they may be gone already
            self._opening += 1
            self._empty.clear()
            try:
                session = await self._open(transport, start, history, guest, tools, goes_on=known is not None)
            finally:
                self._opening -= 1
                self._check_empty()
        except ParleyError as error:
            self.metrics.session_refused(error.code)
            raise
        await self._hold(session, transport.kind)

    def _check_open(self) -> None:
        if troubles := self.troubles():
            raise UnavailableError(" ".join(troubles))

    def _check_places(self, *, goes_on: bool = False) -> None:
        """Raise CapacityError where there is no place. A conversation that only ``goes_on`` is no new load."""
        if not goes_on and self.strain.too_much(self._running, self._replaced, clock.now()):
            raise CapacityError("The conversations that are held get their answers too late already; try again later.")
        if self.sessions >= self.settings.max_sessions:
            raise CapacityError(f"All {self.settings.max_sessions} conversations are taken; try again later.")

    async def _stand_in_line(self, *, keeps_its_place: bool) -> None:
        """What follows takes some milliseconds: one after the other. Who goes on with a conversation had a place."""
        self.in_line += 1
        self._opening += keeps_its_place
        try:
            await self.bounds.crowd.pass_through()
        finally:
            self.in_line -= 1
            self._opening -= keeps_its_place

    def _new_history(self, guest: Guest) -> History:
        return History(limit=self._history_limit, name=guest.name, keep_empty=True)

    async def _open(
        self,
        transport: Transport,
        start: StartSession,
        history: History,
        guest: Guest | None,
        tools: Tools | None,
        *,
        goes_on: bool,
    ) -> _Session:
        session_id = secrets.token_urlsafe(16)
        session = _Session(session_id, transport, self)
        stack = session.stack
        try:
            await self.access.begin(session_id, start.resume_session, known=goes_on)
            parts = EngineParts(
                transport=transport,
                start=start,
                session_id=session_id,
                microphone=self.parts.make_microphone(transport.input_rate),
                vad=self.parts.make_vad(),
                recognizer=self.parts.recognizer.for_session(),
                language_model=self.parts.language_model,
                synthesizer=self.parts.voices,
                settings=self._session_settings,
                history=history,
                echo=None if start.echo_cancelled else self.parts.make_echo_guard(start),
                end_of_turn=self.parts.end_of_turn,
                interruption=self.parts.overhear(),
                tools=tools or self.parts.tools,
                observer=session,
                guest=guest,
                relief=self.parts.relief.for_session(),
            )
            session.engine = self.parts.wrap(parts, stack).engine()
            session.engine.voice = await self.parts.voices.open_session(
                session_id, start.voice, observer=session.voice_changed
            )
        except BaseException:  # our own code, a cancelled client among it: what was opened is closed
            stack.close()
            await self.access.undo(session_id)
            raise
        stack.callback(self.access.release, session_id)
        return session

    @property
    def _history_limit(self) -> int:
        return self._session_settings.limits.max_history

    async def _remembered(self, start: StartSession) -> tuple[Item, ...] | None:
        """What was said before, when the client names a session that still runs here or is still remembered."""
        store = self.parts.snapshots
        if store is None or not start.resume_session or not self.access.may_take_over(start.resume_session):
            return None
        items = await self._taken_over(start.resume_session)
        if items is None and (snapshot := await store.load(start.resume_session)) is not None:
            items = snapshot.items
        return items

    async def _taken_over(self, session_id: str) -> tuple[Item, ...] | None:
        """End a session that somebody goes on with, whose connection may hang; its history, None when there is none.

        It gives up its place at once. Telling its client may take a moment, which nobody waits for.
        """
        old = self._running.get(session_id)
        if old is None:
            return None
        self._replaced.add(session_id)
        self.access.release(session_id)
        old.end("The conversation goes on over another connection.")
        await old.settled.wait()
        return old.history.items

    async def _hold(self, session: _Session, kind: str) -> None:
        began, code = clock.now(), ""
        self._running[session.session_id] = session.engine
        self._empty.clear()
        self.metrics.session_started(kind)
        self.access.began(session.session_id, kind)
        structlog.contextvars.bind_contextvars(session_id=session.session_id[:8])
        log.info("session started", transport=kind, sessions=len(self._running))
        try:
            await session.run()
        except ParleyError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            raise
        except Exception:  # our own code: counted and logged here, told to the client by the transport
            code = "internal"
            log.exception("session failed")
            raise
        finally:
            del self._running[session.session_id]
            self.strain.forget(session.session_id)
            self._replaced.discard(session.session_id)
            self._check_empty()
            length = clock.now() - began
            self.metrics.session_ended(length, code)
            self.access.ended(session.session_id, length, code)
            log.info("session ended", seconds=round(length, 1), error=code or None)

    def _check_empty(self) -> None:
        if not self._running and not self._opening:
            self._empty.set()

    # --- the end -----------------------------------------------------------------------

    async def drain(self, seconds: float) -> bool:
        """Take nobody new, let conversations go on for ``seconds``, then end them. False when some had to be.

        What is done for other people's clients has a few seconds of it, then it is cut off.
        """
        self.draining = True
        self.metrics.set_ready(False)
        self.at_work.close()
        others, empty = await asyncio.gather(self.at_work.ended(min(seconds, _OTHERS)), self._wait_until_empty(seconds))
        if empty:
            return others
        for engine in list(self._running.values()):
            engine.end(SessionEnded("The server stops.", resume=True))
        await self._wait_until_empty(2.0)
        return False

    async def _wait_until_empty(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True


class _Session:
    """One conversation and what surrounds it: its observer, its snapshots, its idle limit."""

    engine: SessionEngine

    def __init__(self, session_id: str, transport: Transport, host: SessionHost) -> None:
        self.session_id = session_id
        self.stack = ExitStack()
        self._transport = transport
        self._host = host
        self._begun = False
        self._news: VoiceChanged | None = None
        self._active = clock.now()
        self._lateness = 0.0
        self._traces = TurnTraces(session_id) if tracing.is_collecting() else None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """The conversation, and its end whatever happens."""
        timer = asyncio.get_running_loop().call_later(_LOOK_INTERVAL, self._look)
        self._timer = timer
        try:
            with self.stack:
                await self.engine.run()
        finally:
            if self._traces is not None:
                self._traces.close()
            self._timer.cancel()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._save()
            await self._host.parts.voices.end_session(self.session_id)

    def voice_changed(self, voice: Voice, note: str) -> None:
        """Another voice speaks than the one that was asked for: tell the participant (``routing.pool``)."""
        self._news = VoiceChanged(voice, note)
        if self._begun:
            self._tell()

    def _tell(self) -> None:
        if self._news is not None:
            self._spawn(partial(self._transport.send_message, self._news))
            self._news = None

    # --- as an observer ----------------------------------------------------------------

    def logged(self, entry: LogEntry) -> None:
        """Look over the session's shoulder (``session.log.Observer``)."""
        self._host.metrics.logged(entry)
        if self._traces is not None:
            self._traces.logged(entry)
        if not self._begun:  # "started" is the first message of a session; whatever came up before waits for it
            self._begun = True
            self._tell()
        if isinstance(entry, Transition | TurnClosed):
            self._active = clock.now()
        if isinstance(entry, BudgetReacted) and entry.reaction == Reaction.REFUSE.value:
            self._host.strain.reacted(self.session_id, entry.stage, clock.now(), on=entry.on)
        if isinstance(entry, ReplyOver) and entry.turn:
            self._host.strain.turned(self.session_id, clock.now())
        if isinstance(entry, ReplyOver | TurnClosed | ToolCalled):
            self._spawn(self._save)

    def frame_sent(self, lateness: float) -> None:
        """Count it, and note that the agent is talking (``session.log.Observer``)."""
        self._host.metrics.frame_sent(lateness, self._lateness)
        self._lateness = lateness

    # --- housekeeping ------------------------------------------------------------------

    def _look(self) -> None:
        limit = self._host.settings.session_idle
        if limit and clock.now() - self._active > limit:
            self.engine.end("Nobody has said anything for a long time.")
            return
        if self._host.parts.snapshots is not None:
            self._spawn(partial(self._host.parts.snapshots.renew, self.session_id))
        self._timer = asyncio.get_running_loop().call_later(_LOOK_INTERVAL, self._look)

    async def _save(self) -> None:
        """Keep the history, so that a client that comes back goes on with it."""
        store = self._host.parts.snapshots
        if store is None:
            return
        items = tuple(replace(item) for item in self.engine.history.items)  # as they are now
        if items:
            await store.save(SessionSnapshot(self.session_id, items))

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(work), name=f"session {self.session_id[:8]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _quietly(work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    try:
        await work()  # begun here: who is cancelled before the first step has begun nothing
    except ParleyError as error:
        log.debug("a session's errand failed", reason=error.message)
