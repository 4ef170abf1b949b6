"""One utterance, spoken by as many workers as it takes: the shell around ``utterance``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame
from parley.errors import CapacityError, EngineError, NotFound, ParleyError
from parley.routing.attempt import Attempt, Wanted
from parley.routing.blame import is_workers_fault, worth_another
from parley.routing.casualties import Casualties
from parley.routing.tape import TextTape
from parley.routing.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from parley.interfaces import Synthesis
    from parley.routing.attempt import Dispatcher, Place
    from parley.routing.fleet import Member
    from parley.routing.settings import FailoverSettings
    from parley.routing.utterance import Continuation

log = logging.getLogger(__name__)

PAUSE_LIMIT = 0.5
"""Seconds for a worker to answer a pause: playout is silent already, only the engine runs on meanwhile."""


class PooledSynthesis:
    """``interfaces.Synthesis`` over the fleet. Reads ahead, so that a worker's death falls on a word boundary."""

    def __init__(
        self, dispatcher: Dispatcher, text: AsyncIterable[str], wanted: Wanted, settings: FailoverSettings
    ) -> None:
        self.wanted = wanted
        self.utterance = Utterance(wanted.utterance_id)
        self.tape = TextTape(text)
        self._dispatcher = dispatcher
        self._settings = settings
        self._limit = max(2, round(settings.read_ahead * SAMPLE_RATE / FRAME_SAMPLES))
        self._continued: Continuation | None = None
        self._inner: Synthesis | None = None
        self._paused: Synthesis | None = None
        self._ready = asyncio.Event()
        self._space = asyncio.Event()
        self._done = self._closed = False
        self._error: BaseException | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"utterance {wanted.utterance_id}")

    # --- Synthesis -----------------------------------------------------------------------

    @property
    def opened(self) -> bool:
        """Some worker has text."""
        return bool(self.utterance) or (self._inner is not None and self._inner.opened)

    def __aiter__(self) -> AsyncIterator[AudioFrame]:
        return self

    async def __anext__(self) -> AudioFrame:
        while not self.utterance:
            if self._closed:
                raise StopAsyncIteration
            if self._done:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        frame = self.utterance.take()
        if len(self.utterance) == self._limit - 1:
            self._space.set()
        return frame

    async def pause(self) -> int:
        """Hold synthesis. Returns the last sequence made, -1 for none."""
        inner, continued = self._inner, self._continued
        at_hand = self.utterance.held // FRAME_SAMPLES - 1
        if inner is None or self._done:
            return at_hand
        self._paused = inner
        try:
            async with asyncio.timeout(PAUSE_LIMIT):
                made = await inner.pause()
        except (ParleyError, TimeoutError):
            made = -1  # it is about to be found out; what is at hand counts
        if continued is not None and made >= 0:
            made += continued.shift.sequence - continued.shift.skip
        return max(made, self.utterance.held // FRAME_SAMPLES - 1)

    async def resume(self) -> None:
        """Go on from the next frame."""
        inner, self._paused = self._paused, None
        if inner is not None and inner is self._inner:
            try:
                await inner.resume()
            except ParleyError as error:
                log.debug("A worker did not hear that it may go on: %s", error)  # its stream ends too, and says why

    async def aclose(self) -> None:
        """Stop, free everything."""
        self._closed = True
        self.utterance.drop()
        self._ready.set()
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self.tape.aclose()

    # --- one attempt after the other -------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._speak()
        except Exception as error:  # noqa: BLE001  (our own code: what it raises belongs to whoever iterates)
            self._error = error
        finally:
            self._done = True
            self._ready.set()

    async def _speak(self) -> None:
        casualties, failed, last = Casualties(), frozenset[str](), None
        forgiven: set[Member] = set()
        while True:
            place = await self._dispatcher.place(self.wanted, failed, last)
            attempt = Attempt(self, self._dispatcher, place, casualties.attempts, self._settings)
            last = await attempt.run()
            if last is None:
                return
            if self.tape.error is not None:
                raise self.tape.error  # the text broke off: nothing that a worker did
            self._dispatcher.failed(place, last)
            if not worth_another(last):
                raise last
            broke = attempt.opened and is_workers_fault(last)
            casualties = casualties.one_more(broke=broke, held=self.utterance.held, settings=self._settings)
            if casualties.hopeless(self._settings):
                await self._give_up(place, last, casualties, failed)
            if isinstance(last, NotFound) and place.member not in forgiven:
                forgiven.add(place.member)  # it may have been started again since: it is told of the session anew
            else:
                failed |= {place.member.name}
            self._cut(place, last)
            if not await self.tape.words_from(self.utterance.part.resume_char):
                self._finish()
                return

    async def _give_up(self, place: Place, last: ParleyError, casualties: Casualties, failed: frozenset[str]) -> None:
        """Raise why; text that breaks workers is apologised for first."""
        if isinstance(last, CapacityError):
            raise last
        self._dispatcher.gave_up()
        if casualties.poisonous:
            await self._apologise(place, last, failed | {place.member.name})
        why = "the text broke two workers" if casualties.poisonous else "too many workers failed"
        raise EngineError(f"The utterance is given up, because {why}. The last one said: {last}") from last

    async def _apologise(self, place: Place, error: ParleyError, failed: frozenset[str]) -> None:
        """Have another worker say so."""
        self._cut(place, error)
        if not self._settings.apology:
            return
        text, self.tape = self.tape, TextTape(_only(self._settings.apology))
        self.utterance.apologise()
        await text.aclose()
        try:
            other = await self._dispatcher.place(self.wanted, failed, error)
            await Attempt(self, self._dispatcher, other, 1 + len(failed), self._settings).run()
        except ParleyError as trouble:
            log.debug("Nobody could apologise: %s", trouble)

    def _cut(self, place: Place, error: ParleyError) -> None:
        """Keep whole words only, and know where the next worker begins."""
        self.utterance.cut(self.tape.text)
        self._dispatcher.failed_over()
        self._log_failure(place.member, error)

    def _log_failure(self, member: Member, error: ParleyError) -> None:
        """Tell a worker that has no room from one that breaks off."""
        where = {"session_id": self.wanted.session_id, "utterance_id": self.wanted.utterance_id}
        held, delivered = self.utterance.held, self.utterance.delivered
        if isinstance(error, CapacityError) and not held:
            log.warning("The worker %s refused the utterance: %s", member.name, error, extra=where)
            return
        left = (held - delivered) * 1000 // SAMPLE_RATE
        log.warning(
            "The worker %s failed in mid-utterance with %d ms at hand: %s", member.name, left, error, extra=where
        )

    def _finish(self) -> None:
        if self.tape.error is not None:
            raise self.tape.error
        self.utterance.end()
        self._ready.set()

    # --- for the attempt (``attempt.Owner``) ---------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nobody can expect a frame now: held, full, or all text that came is spoken."""
        if self._paused is not None or self.full:
            return True
        return not self.tape.ended and self.utterance.waits(self.tape.text)

    @property
    def at_hand(self) -> float:
        """Seconds of sound that nobody took yet."""
        return (self.utterance.held - self.utterance.delivered) / SAMPLE_RATE

    @property
    def task(self) -> asyncio.Task[None]:
        return self._task

    def attach(self, inner: Synthesis | None, continued: Continuation | None) -> None:
        """This one speaks now."""
        self._inner, self._continued = inner, continued

    @property
    def full(self) -> bool:
        """As much is read ahead as may be."""
        return len(self.utterance) >= self._limit

    def pushed(self) -> None:
        """Something is at hand."""
        self._ready.set()

    async def room(self) -> None:
        """Wait until something was taken."""
        while self.full:
            self._space.clear()
            await self._space.wait()


async def _only(text: str) -> AsyncGenerator[str, None]:
    yield text
