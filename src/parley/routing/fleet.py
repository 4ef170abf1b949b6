"""The workers that are known, the way to each, and how each has done of late."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from parley import clock
from parley.errors import Draining, ParleyError, TimedOut, UnavailableError
from parley.routing.blame import is_workers_fault
from parley.routing.breaker import Breaker
from parley.routing.policy import WorkerState
from parley.values import Wording

if TYPE_CHECKING:
    from parley.interfaces import Synthesis
    from parley.registry import Announcement, Registry
    from parley.routing.settings import RoutingSettings
    from parley.rpc.values import ClonedVoice, ModelStatus, NewVoice
    from parley.values import Voice

log = logging.getLogger(__name__)


class WorkerHandles(Protocol):
    """One worker's models, as an operator handles them."""

    async def models(self) -> Sequence[ModelStatus]: ...

    async def load(self, model_id: str) -> object: ...

    async def unload(self, model_id: str) -> object: ...

    async def add_voice(self, voice: NewVoice) -> ClonedVoice: ...

    async def remove_voice(self, model_id: str, name: str) -> None: ...

    async def voices(self) -> Sequence[ClonedVoice]: ...


class WorkerLink(Protocol):
    """The way to one worker: the gRPC client, or a fake."""

    @property
    def worker(self) -> WorkerHandles: ...

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> Synthesis: ...

    async def prepare(self, *, voice: Voice, session_id: str) -> None:
        """Open the session on the worker, so that its first utterance starts at once."""

    async def end_session(self, session_id: str) -> None: ...

    async def load_model(self, model_id: str) -> None:
        """Make a model resident; returns when it is."""

    async def healthy(self) -> bool:
        """Whether the worker answers, quickly."""

    async def aclose(self) -> None: ...


Connect = Callable[["Announcement"], WorkerLink]


@dataclass(slots=True, eq=False)
class Member:
    """One worker process of the fleet."""

    announcement: Announcement
    link: WorkerLink | None = None
    breaker: Breaker = field(default_factory=Breaker)
    in_flight: int = 0
    new_sessions: int = 0
    left: bool = False
    """It is off the list; what it still speaks may end."""
    heard_at: float = 0.0
    """When it last said something, whoever that was for."""
    questioned: bool = False
    """It is being asked whether it is there."""

    @property
    def name(self) -> str:
        return self.announcement.name

    def state(self, now: float) -> WorkerState:
        """For the policy."""
        breaker = self.breaker
        return WorkerState(
            self.announcement,
            self.in_flight,
            self.new_sessions,
            usable=breaker.allows(now),
            suspect=not breaker.trusts(now),
        )


class Fleet:
    """Follows the registries. ``start`` it inside the loop that uses it, ``aclose`` it at the end."""

    def __init__(self, registries: Sequence[Registry], settings: RoutingSettings, connect: Connect) -> None:
        self._registries = tuple(registries)
        self._settings = settings
        self._connect = connect
        self._lists: list[tuple[Announcement, ...]] = [() for _ in registries]
        self._members: dict[str, Member] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loading: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()
        self._version = 0
        self.known = asyncio.Event()
        """Set once a worker is known."""

    def start(self) -> None:
        """Begin to follow the registries. Safe to call twice."""
        if not self._tasks:
            for index in range(len(self._registries)):
                self._spawn(self._follow(index), f"fleet {index}")

    async def aclose(self) -> None:
        """Let go of the registries' lists and of every worker."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        members, self._members = self._members, {}
        for member in members.values():
            if member.link is not None:
                await member.link.aclose()

    @property
    def members(self) -> dict[str, Member]:
        """By name; not to be changed."""
        return self._members

    def states(self) -> list[WorkerState]:
        """What the policy chooses from."""
        now = clock.now()
        return [member.state(now) for member in self._members.values()]

    def link(self, member: Member) -> WorkerLink:
        """The way to a worker; a connection is made on first use."""
        if member.link is None:
            member.link = self._connect(member.announcement)
        return member.link

    async def changed(self, timeout: float) -> bool:
        """Wait until a worker came, left, changed or became free. False when nothing did in time."""
        event = self._changed
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
        except TimeoutError:
            return False
        return True

    # --- what happened at a worker ----------------------------------------------------

    def began(self, member: Member, *, new_session: bool) -> None:
        """An utterance goes there."""
        member.in_flight += 1
        member.new_sessions += new_session
        member.breaker = member.breaker.tried(clock.now())

    def ended(self, member: Member) -> None:
        """It is over, one way or the other."""
        member.in_flight -= 1
        member.breaker = member.breaker.abandoned()
        if member.left and not member.in_flight:
            self._close(member)
        self.notify()

    def succeeded(self, member: Member) -> None:
        """The worker made audio."""
        member.breaker = member.breaker.succeeded()

    def failed(self, member: Member, error: ParleyError) -> None:
        """The worker failed an utterance. What is the caller's own fault is not charged to it, nor is want of room.

        A failure counts against the worker as a whole only when it cannot be reached: an utterance that breaks or
        that nothing comes of may be the text's doing, and a model that cannot be read is only that model.
        """
        if isinstance(error, Draining):
            member.announcement = replace(member.announcement, draining=True)  # until it says otherwise
        if not is_workers_fault(error):
            return
        if isinstance(error, TimedOut) and not member.questioned:
            member.questioned = True
            self._spawn(self._question(member), f"question {member.name}")
        self._charge(member, error, gone=type(error) is UnavailableError)

    async def _question(self, member: Member) -> None:
        """Nothing came of an utterance: the worker may be gone, or only that utterance's text be at fault."""
        try:
            if not await self.link(member).healthy():
                self._charge(member, UnavailableError(f"The worker {member.name} does not answer."), gone=True)
        finally:
            member.questioned = False

    def _charge(self, member: Member, error: ParleyError, *, gone: bool) -> None:
        before = member.breaker
        member.breaker = before.failed(clock.now(), self._settings.breaker, gone=gone)
        if member.breaker.opened > before.opened:
            how = "left alone" if gone else "avoided"
            log.warning("The worker %s is %s for a while: %s", member.name, how, error)
            # whoever waits for a worker may try it then
            asyncio.get_running_loop().call_at(member.breaker.retry_at, self.notify)

    def load(self, member: Member, model_id: str) -> None:
        """Have a worker load a model in the background; asking twice loads once."""
        if (member.name, model_id) not in self._loading:
            self._loading.add((member.name, model_id))
            self._spawn(self._load(member, model_id), f"load {model_id}")

    async def _load(self, member: Member, model_id: str) -> None:
        try:
            await self.link(member).load_model(model_id)
        except ParleyError as error:
            log.warning("The worker %s could not load %s: %s", member.name, model_id, error)
        finally:
            self._loading.discard((member.name, model_id))

    # --- the list ------------------------------------------------------------------------

    async def _follow(self, index: int) -> None:
        async with aclosing(self._registries[index].watch()) as lists:
            async for announcements in lists:
                self._lists[index] = announcements
                self._update()

    def _update(self) -> None:
        listed = {said.name: said for said in (said for found in self._lists for said in found)}
        for name in [name for name in self._members if name not in listed]:
            self._drop(self._members.pop(name))
        for name, said in listed.items():
            member = self._members.get(name)
            if member is None:
                self._members[name] = Member(said)
            elif _process(member.announcement) != _process(said):
                self._drop(member)  # the same name, another process: nothing of the old one is true
                self._members[name] = Member(said)
            else:
                if member.announcement.metrics != said.metrics:
                    member.new_sessions = 0
                member.announcement = said
        if self._members:
            self.known.set()
        self.notify()

    def _drop(self, member: Member) -> None:
        """What it still speaks ends first, or fails by itself."""
        member.left = True
        if not member.in_flight:
            self._close(member)

    def _close(self, member: Member) -> None:
        link, member.link = member.link, None
        if link is not None:
            self._spawn(link.aclose(), "close link")

    def notify(self) -> None:
        """Let whoever waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _process(said: Announcement) -> tuple[str, str, str]:
    """What two processes of the same name never have in common."""
    return said.address, said.instance, said.local_socket
