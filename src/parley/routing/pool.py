"""The fleet as one Synthesizer: each utterance finds its worker, and another one when that dies."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import Counter, OrderedDict
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from parley import clock
from parley.errors import CapacityError, EngineError, NotFound, ParleyError, RequestError, TimedOut, UnavailableError
from parley.routing.admission import Refused, WaitingRoom
from parley.routing.attempt import Place, Wanted
from parley.routing.fleet import Connect, Fleet, Member
from parley.routing.policy import Refusal, Request, Route, route
from parley.routing.synthesis import PooledSynthesis
from parley.routing.voices import missing
from parley.values import Voice, Wording

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from parley.interfaces import Synthesis
    from parley.registry import Registry, RegistryHealth
    from parley.routing.settings import ModeSettings, RoutingSettings

log = logging.getLogger(__name__)

MAX_SESSIONS = 100_000
"""Sessions whose worker is remembered; the longest unused one is forgotten first."""

LOOK_AGAIN = 0.05
"""Seconds after which who waits for a full worker looks again, news or not."""

VoiceObserver = Callable[[Voice, str], None]
"""Told (voice, note) when another voice speaks than the one that was asked for; the note is empty when it is back."""


@dataclass(slots=True)
class PoolStats:
    """Counters since the start."""

    utterances: int = 0
    failovers: int = 0
    """Utterances that went on with another worker, or began anew with one."""
    given_up: int = 0
    refused: int = 0
    """For want of capacity."""
    stood_in: int = 0
    """Spoken by another voice than the one that was asked for."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why a worker was chosen (``policy.Reason``), and how often."""


@dataclass(slots=True)
class _Session:
    """What is remembered of a session between its utterances."""

    worker: Member | None = None
    asked: Voice = Voice()
    spoken: Voice | None = None
    """The voice that ``asked`` turned out to be; None until it has spoken."""
    family: str = ""
    note: str = ""
    mode: ModeSettings | None = None
    observer: VoiceObserver | None = None


class PooledSynthesizer:
    """``interfaces.Synthesizer`` over every worker that the registries know.

    Use it inside one event loop: ``start()``, then ``synthesize``; ``aclose()`` at the end.
    """

    def __init__(
        self,
        registries: Sequence[Registry],
        settings: RoutingSettings,
        connect: Connect,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.registries = tuple(registries)
        self.fleet = Fleet(registries, settings, connect)
        self.stats = PoolStats()
        self._chance = chance
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._room = WaitingRoom(settings.queue, settings.queue_patience)
        self._tickets = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self) -> None:
        """Begin to follow the registries. Safe to call twice."""
        self.fleet.start()

    # --- Synthesizer -----------------------------------------------------------------------

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> Synthesis:
        """Speak ``text`` as its pieces arrive. Errors come out of the iteration."""
        if self._closed:
            raise UnavailableError("The voices are being shut down.")
        self.fleet.start()
        self.stats.utterances += 1
        return PooledSynthesis(self, text, Wanted(session_id, utterance_id, voice, wording), self.settings.failover)

    def check(self, voice: Voice) -> None:
        """Raise NotFound for a voice that no worker has said to have. While no worker is known, every one passes."""
        if why := missing(voice, [member.announcement for member in self.fleet.members.values()]):
            raise NotFound(why)

    async def aclose(self) -> None:
        """Let go of every worker."""
        self._closed = True
        await self.fleet.aclose()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- sessions --------------------------------------------------------------------------

    async def open_session(
        self, session_id: str, voice: Voice, *, mode: ModeSettings | None = None, observer: VoiceObserver | None = None
    ) -> Voice:
        """Find the session's worker before it speaks, and have the model ready there. Optional.

        Returns the voice that will speak. Raises CapacityError, NotFound or UnavailableError: the moment to
        refuse a session is before it began.
        """
        self.fleet.start()
        session = self._session(session_id)
        session.mode, session.observer = mode, observer
        failed: frozenset[str] = frozenset()
        last: ParleyError | None = None
        while True:
            try:
                chosen = await self._route(self._request(session, voice, failed, None), sticky=False)
            except ParleyError as error:
                raise (last or error) from error
            place = self._taken(chosen, session)
            try:
                await self.fleet.link(place.member).prepare(voice=place.voice, session_id=session_id)
            except (UnavailableError, TimedOut, CapacityError, EngineError, NotFound) as error:
                # NotFound: it has not what it announced, which is no reason to refuse whom another can serve
                self.fleet.failed(place.member, error)
                again = place.member.name in failed and isinstance(error, EngineError | NotFound)
                failed |= {place.member.name}
                last = error
                if again or len(failed) >= self.settings.failover.max_attempts:
                    raise
            else:
                session.worker = place.member
                self._tell(session, chosen)
                return place.voice
            finally:
                self.fleet.ended(place.member)

    def observe(self, session_id: str, observer: VoiceObserver) -> None:
        """Have somebody told when another voice speaks than the one that was asked for."""
        self._session(session_id).observer = observer

    async def end_session(self, session_id: str) -> None:
        """The session is over: its worker can free what it held for it."""
        session = self._sessions.pop(session_id, None)
        if session is not None and session.worker is not None and session.worker.link is not None:
            await session.worker.link.end_session(session_id)

    def _session(self, session_id: str) -> _Session:
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = _Session()
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        else:
            self._sessions.move_to_end(session_id)
        return session

    # --- what an utterance asks of the pool (``attempt.Dispatcher``) --------------------------

    async def place(self, wanted: Wanted, failed: frozenset[str], last: ParleyError | None) -> Place:
        """Where it goes. Waits, within bounds, when nobody can speak it now; raises when nobody will."""
        session = self._session(wanted.session_id)
        request = self._request(session, wanted.voice, failed, last)
        try:
            chosen = await self._route(request, sticky=bool(request.sticky))
        except ParleyError as error:
            raise (last or error) from error
        place = self._taken(chosen, session)
        self._tell(session, chosen)
        return place

    def begin(self, wanted: Wanted, place: Place, text: AsyncIterable[str], suffix: str) -> Synthesis:
        """Have the worker speak; ``suffix`` tells this try from others of the same utterance."""
        return self.fleet.link(place.member).synthesize(
            text,
            voice=place.voice,
            session_id=wanted.session_id,
            utterance_id=wanted.utterance_id + suffix,
            wording=wanted.wording,
        )

    def spoke(self, wanted: Wanted, place: Place) -> None:
        """Its first frame came: the session belongs to that worker now."""
        self.fleet.succeeded(place.member)
        session = self._session(wanted.session_id)
        before, session.worker = session.worker, place.member
        if before is not None and before is not place.member and before.link is not None:
            self._spawn(partial(before.link.end_session, wanted.session_id))
        if not session.note:
            model = place.member.announcement.model(place.voice.model)
            session.asked, session.spoken = wanted.voice, place.voice
            session.family = model.family if model else session.family

    def failed(self, place: Place, error: ParleyError) -> None:
        """It was not finished there."""
        self.fleet.failed(place.member, error)

    def ended(self, place: Place) -> None:
        """The try is over, one way or the other."""
        self.fleet.ended(place.member)

    async def answers(self, place: Place) -> bool:
        """Whether the worker is there."""
        return await self.fleet.link(place.member).healthy()

    def failed_over(self) -> None:
        """Count an utterance that goes on with another worker."""
        self.stats.failovers += 1

    def gave_up(self) -> None:
        """Count one that goes on with none."""
        self.stats.given_up += 1

    def has_alternative(self, wanted: Wanted, name: str, *, substitute: bool) -> bool:
        """Whether somebody else could speak it: with the same voice, or with a ``substitute`` for it."""
        session = self._session(wanted.session_id)
        request = self._request(session, wanted.voice, frozenset((name,)), None)
        other = route(replace(request, substitute=substitute), self.fleet.states(), self._chance)
        return isinstance(other, Route)

    def release(self, inner: Synthesis) -> None:
        """Close a worker's stream without waiting for it."""
        self._spawn(inner.aclose)

    # --- finding a worker ------------------------------------------------------------------

    def _request(self, session: _Session, voice: Voice, failed: frozenset[str], last: ParleyError | None) -> Request:
        known = session.spoken if session.spoken is not None and session.asked == voice else None
        worker = session.worker
        return Request(
            voice=known or voice,
            mode=session.mode or self.settings.mode_settings(),
            sticky=worker.name if worker is not None and self.settings.sticky else "",
            exclude=failed,
            fallback=self.settings.fallback,
            substitute=known is not None or not (last is None or isinstance(last, RequestError)),
            family=session.family,
            crowded=self.settings.crowded,
            policy=self.settings.policy,
        )

    async def _route(self, request: Request, *, sticky: bool) -> Route:
        chosen = route(request, self.fleet.states(), self._chance)
        if isinstance(chosen, Route) and (sticky or not len(self._room)):
            return chosen
        if isinstance(chosen, Route) or chosen.reason == "full":
            return await self._queue(request)
        return await self._wait(request, chosen)

    async def _queue(self, request: Request) -> Route:
        """Everybody is full: wait in line, or be refused at the door."""
        ticket = str(next(self._tickets))
        deadline = self._room.join(ticket, clock.now())
        if isinstance(deadline, Refused):
            self.stats.refused += 1
            raise CapacityError("Every worker is full and many wait already.", retry_after=deadline.retry_after)
        try:
            while (left := deadline - clock.now()) > 0:
                await self.fleet.changed(min(left, LOOK_AGAIN))
                if self._room.first() == ticket:
                    chosen = route(_forgiving(request), self.fleet.states(), self._chance)
                    if isinstance(chosen, Route):
                        self._room.served(ticket, clock.now())
                        return chosen
        finally:
            self._room.leave(ticket)
            self.fleet.notify()  # the next in line may look
        self.stats.refused += 1
        raise CapacityError("Every worker is full; none became free in time.", retry_after=self.settings.queue_patience)

    async def _wait(self, request: Request, refusal: Refusal) -> Route:
        """Nobody there: a worker may be starting, or coming back."""
        deadline = clock.now() + self.settings.failover.patience
        while refusal.reason == "unavailable" or request.exclude or not self.fleet.members:
            left = deadline - clock.now()
            if left <= 0:
                break
            # a worker that failed this utterance is better than none, once its breaker lets it try
            chosen = route(_forgiving(request), self.fleet.states(), self._chance)
            if isinstance(chosen, Refusal) and await self.fleet.changed(left):
                chosen = route(_forgiving(request), self.fleet.states(), self._chance)
            if isinstance(chosen, Route):
                return chosen
            refusal = chosen
        if refusal.reason == "not_found":
            self.check(request.voice)  # says more exactly what is missing, where it is the voice itself
            raise NotFound(refusal.message)
        if refusal.reason == "full":
            raise CapacityError(refusal.message)
        raise UnavailableError(refusal.message)

    def _taken(self, chosen: Route, session: _Session) -> Place:
        member = self.fleet.members[chosen.worker]
        self.stats.reasons[chosen.reason] += 1
        log.debug("worker chosen", extra={"worker": chosen.worker, "model": chosen.voice.model, "why": chosen.reason})
        self.fleet.began(member, new_session=session.worker is not member)
        if chosen.load is not None:
            worker, model_id = chosen.load
            self.fleet.load(self.fleet.members[worker], model_id)
        return Place(member, chosen.voice)

    def _tell(self, session: _Session, chosen: Route) -> None:
        if chosen.note:
            self.stats.stood_in += 1
        if chosen.note != session.note:
            session.note = chosen.note
            if session.observer is not None:
                session.observer(chosen.voice, chosen.note)

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()  # begun here: who is cancelled before the first step has begun nothing
        except ParleyError as error:
            log.debug("A worker did not hear that it is no longer needed: %s", error)

    # --- for health and metrics -----------------------------------------------------------------

    def registry_health(self) -> list[RegistryHealth]:
        """Of each registry, in order."""
        return [registry.health for registry in self.registries]


def _forgiving(request: Request) -> Request:
    return replace(request, exclude=frozenset())
