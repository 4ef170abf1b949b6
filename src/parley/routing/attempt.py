"""One worker's try at (the rest of) an utterance, and whether that worker is still there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from parley import clock
from parley.errors import EngineError, ParleyError, TimedOut, UnavailableError
from parley.routing.utterance import Continuation
from parley.values import Wording

if TYPE_CHECKING:
    from parley.audio.frame import AudioFrame
    from parley.interfaces import Synthesis
    from parley.routing.fleet import Member
    from parley.routing.settings import FailoverSettings
    from parley.routing.tape import TextTape
    from parley.routing.utterance import Utterance
    from parley.values import Voice

STALL = 0.1
"""Seconds by which a timer may be late before the loop counts as having been busy."""
AT_HAND = 0.2
"""Seconds of sound that are left when a worker that stopped in mid-utterance is given up: another one needs so long."""
BUSY = 3
"""Times the longest silence for which a worker that speaks for others meanwhile may let this text wait its turn."""
NOBODY_ELSE = 3
"""Times the longest wait for a first frame: so long is waited for a silent worker when there is no other."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An utterance as whoever chooses a worker sees it."""

    session_id: str
    utterance_id: str
    voice: Voice
    wording: Wording = field(default_factory=Wording)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an utterance goes."""

    member: Member
    voice: Voice


class Dispatcher(Protocol):
    """Who knows the workers: what an utterance asks of the pool, and tells it."""

    async def place(self, wanted: Wanted, failed: frozenset[str], last: ParleyError | None) -> Place:
        """Where it goes. Waits, within bounds, when nobody can speak it now; raises when nobody will."""

    def begin(self, wanted: Wanted, place: Place, text: AsyncIterable[str], suffix: str) -> Synthesis:
        """Have the worker speak; ``suffix`` tells this try from others of the same utterance."""

    def spoke(self, wanted: Wanted, place: Place) -> None:
        """Its first frame came from there."""

    def failed(self, place: Place, error: ParleyError) -> None:
        """It was not finished there."""

    def ended(self, place: Place) -> None:
        """The try is over, one way or the other."""

    def has_alternative(self, wanted: Wanted, name: str, *, substitute: bool) -> bool:
        """Whether somebody else could speak it: with the same voice, or with a ``substitute`` for it."""

    async def answers(self, place: Place) -> bool:
        """Whether the worker is there."""

    def release(self, inner: Synthesis) -> None:
        """Close a worker's stream without waiting for it: a broken worker may take its time."""

    def failed_over(self) -> None:
        """Count an utterance that goes on with another worker."""

    def gave_up(self) -> None:
        """Count one that goes on with none."""


class Owner(Protocol):
    """The utterance's shell, as its tries see it."""

    wanted: Wanted
    utterance: Utterance
    tape: TextTape

    @property
    def idle(self) -> bool:
        """Nobody can expect a frame now."""

    @property
    def at_hand(self) -> float:
        """Seconds of sound that nobody took yet."""

    @property
    def task(self) -> asyncio.Task[None]:
        """The one in which tries run, one after the other."""

    def attach(self, inner: Synthesis | None, continued: Continuation | None) -> None:
        """This one speaks now."""

    @property
    def full(self) -> bool:
        """As much is read ahead as may be."""

    def pushed(self) -> None:
        """Something is at hand."""

    async def room(self) -> None:
        """Wait until something was taken."""


class Attempt:
    """One worker's try. ``number`` counts those before it."""

    def __init__(
        self, owner: Owner, dispatcher: Dispatcher, place: Place, number: int, settings: FailoverSettings
    ) -> None:
        self._owner = owner
        self._dispatcher = dispatcher
        self._place = place
        self._number = number
        self._settings = settings
        self._first = True
        self._inner: Synthesis | None = None
        self._watch: Watch | None = None
        self._probe: asyncio.Task[None] | None = None
        self._hung: ParleyError | None = None
        self._last = 0.0

    @property
    def opened(self) -> bool:
        """The worker had the text: what happened may be the text's doing."""
        return self._inner is not None and (not self._first or self._inner.opened)

    async def run(self) -> ParleyError | None:
        """Speak. Returns what went wrong, None when the utterance is complete."""
        owner = self._owner
        suffix = f"~{self._number}" if self._number else ""
        self._last = clock.now()
        try:
            text = owner.tape.read(owner.utterance.part.resume_char)
            self._inner = inner = self._dispatcher.begin(owner.wanted, self._place, text, suffix)
            self._watch = Watch(self._patience, self._due)
            await self._pump(inner, Continuation(owner.utterance) if self._number else None)
        except ParleyError as error:
            await self._take_back_cancellation()
            return error
        except asyncio.CancelledError:
            if self._hung is None or owner.task.uncancel():
                raise
            return self._hung
        finally:
            self._end()
        return None

    async def _take_back_cancellation(self) -> None:
        """It was hung up on, but failed by itself before it noticed: what was meant for it must not hit the next."""
        if self._hung is not None:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                if self._owner.task.uncancel():
                    raise

    def _end(self) -> None:
        self._owner.attach(None, None)
        if self._watch is not None:
            self._watch.cancel()
        if self._probe is not None:
            self._probe.cancel()
        if self._inner is not None:
            self._dispatcher.release(self._inner)
        self._dispatcher.ended(self._place)

    async def _pump(self, inner: Synthesis, continued: Continuation | None) -> None:
        """Hand frames on; those of a continuation are moved to their place."""
        owner = self._owner
        push: Callable[[AudioFrame], None] = continued.push if continued is not None else owner.utterance.push
        owner.attach(inner, continued)
        async for frame in inner:
            self._alive()
            push(frame)
            owner.pushed()
            if frame.final:
                return
            if owner.full:
                await owner.room()
                self._alive()
        raise EngineError(f"The worker {self._place.member.name} broke off in mid-utterance.")

    # --- is it still there? -----------------------------------------------------------------

    def _alive(self) -> None:
        if self._first:
            self._first = False
            self._dispatcher.spoke(self._owner.wanted, self._place)
        self._last = self._place.member.heard_at = clock.now()
        if self._watch is not None:
            self._watch.deadline = self._last + self._patience

    @property
    def _patience(self) -> float:
        """A slow worker is given more time than a fast one."""
        usual = self._place.member.announcement.metrics.first_audio_p50_ms / 1000
        return max(self._settings.frame_timeout, 4 * usual)

    def _due(self) -> float | None:
        """Nothing came for a while. Seconds until the next look; None when the watch may end."""
        if self._owner.idle:
            return self._patience
        waited, limit = clock.now() - self._last, self._settings.first_frame_timeout
        name = self._place.member.name
        if waited < limit:
            if self._first:
                if self._probe is None or self._probe.done():
                    self._probe = asyncio.get_running_loop().create_task(self._ask())
                return self._patience
            if not self._others(substitute=False):
                return self._patience  # a slow voice is better than none
            if (wait := self._bearable(waited)) > 0:
                return wait
        elif waited < NOBODY_ELSE * limit and not self._others(substitute=True):
            return self._patience
        self._hang_up(TimedOut(f"The worker {name} said nothing for {waited:.1f} s."))
        return None

    def _bearable(self, waited: float) -> float:
        """Seconds for which a silence in mid-utterance still does no harm, or is no sign of a worker that hangs.

        Going on elsewhere says a word anew, so it has to be worth it: under a flood frames come late that are there.
        """
        if (left := self._owner.at_hand - AT_HAND) > 0:
            return left
        busy = clock.now() - self._place.member.heard_at < self._patience / 2 and waited < BUSY * self._patience
        return self._patience / 4 if busy else 0.0

    def _others(self, *, substitute: bool) -> bool:
        return self._dispatcher.has_alternative(self._owner.wanted, self._place.member.name, substitute=substitute)

    async def _ask(self) -> None:
        """A worker that loads a model answers; one behind a cut line does not."""
        if not await self._dispatcher.answers(self._place) and self._first:
            self._hang_up(UnavailableError(f"The worker {self._place.member.name} does not answer."))

    def _hang_up(self, why: ParleyError) -> None:
        if self._hung is None:
            self._hung = why
            self._owner.task.cancel()


class Watch:
    """A deadline that is cheap to move: the timer looks at it when it goes off.

    ``due``: seconds until the next look; None when there is to be none.
    A look that comes late says that this process was busy, and then nothing of the worker: what it sent may lie unread.
    """

    def __init__(self, patience: float, due: Callable[[], float | None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._patience = patience
        self._due = due
        self.deadline = self._when = self._loop.time() + patience
        self._timer = self._loop.call_at(self.deadline, self._look)

    def cancel(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        late = now - self._when > STALL
        if late:
            self.deadline = max(self.deadline, now + self._patience)
        elif now >= self.deadline:
            wait = self._due()
            if wait is None:
                return
            self.deadline = now + wait
        self._when = self.deadline  # the timer itself does not know: one that is due at once is none on every loop
        self._timer = self._loop.call_at(self._when, self._look)
