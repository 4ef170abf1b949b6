"""One utterance, spoken by as many workers as it takes."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parley import clock
from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, AudioFrame, WordMark
from parley.errors import (
    CapacityError,
    ConfigError,
    Draining,
    EngineError,
    NotFound,
    ParleyError,
    PreconditionFailed,
    RequestError,
    TimedOut,
    UnavailableError,
)
from parley.routing.casualties import Casualties
from parley.routing.continuation import Cut, Shift, cut, has_words, skipped_frames, trim
from parley.routing.tape import TextTape

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable

    from parley.interfaces import Synthesis
    from parley.routing.fleet import Member
    from parley.routing.pool import PooledSynthesizer
    from parley.routing.settings import FailoverSettings
    from parley.values import Voice

log = logging.getLogger(__name__)

SILENCE = bytes(FRAME_BYTES)
PAUSE_LIMIT = 0.5
"""Seconds for a worker to answer a pause: playout is silent already, only the engine runs on meanwhile."""
STALL = 0.1
"""Seconds by which a timer may be late before the loop counts as having been busy."""
NOBODY_ELSE = 3
"""Times the longest wait for a first frame: so long is waited for a silent worker when there is no other."""
LEAD_IN = 50
"""Frames in which the first word of a continued utterance must have begun."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an utterance goes."""

    member: Member
    voice: Voice


class PooledSynthesis:
    """``interfaces.Synthesis`` over the fleet. Reads ahead, so that a worker's death falls on a word boundary."""

    def __init__(
        self, pool: PooledSynthesizer, text: AsyncIterable[str], voice: Voice, session_id: str, utterance_id: str
    ) -> None:
        self.voice = voice
        self.session_id = session_id
        self.utterance_id = utterance_id
        self._pool = pool
        self._settings: FailoverSettings = pool.settings.failover
        self._limit = max(2, round(self._settings.read_ahead * SAMPLE_RATE / FRAME_SAMPLES))
        self._tape = TextTape(text)
        self._frames: deque[AudioFrame] = deque()
        self._marks: list[WordMark] = []
        self._early: list[WordMark] = []
        self._delivered = 0
        self._held = 0
        self._part = Cut(0, 0)
        self._shift: Shift | None = None
        self._inner: Synthesis | None = None
        self._paused: Synthesis | None = None
        self._ready = asyncio.Event()
        self._space = asyncio.Event()
        self._done = self._closed = self._apologising = False
        self._error: BaseException | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"utterance {utterance_id}")

    # --- Synthesis -----------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[AudioFrame]:
        return self

    async def __anext__(self) -> AudioFrame:
        while not self._frames:
            if self._closed:
                raise StopAsyncIteration
            if self._done:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        frame = self._frames.popleft()
        self._delivered = frame.end_sample
        if len(self._frames) == self._limit - 1:
            self._space.set()
        return frame

    async def pause(self) -> int:
        """Hold synthesis. Returns the last sequence made, -1 for none."""
        inner, shift = self._inner, self._shift
        if inner is not None and not self._done:
            self._paused = inner
            try:
                async with asyncio.timeout(PAUSE_LIMIT):
                    made = await inner.pause()
            except (ParleyError, TimeoutError):
                made = -1  # it is about to be found out; what is at hand counts
            if shift is not None and made >= 0:
                made += shift.sequence - shift.skip
            return max(made, self._held // FRAME_SAMPLES - 1)
        return self._held // FRAME_SAMPLES - 1

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
        self._frames.clear()
        self._ready.set()
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._tape.aclose()

    # --- one attempt after the other -------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._speak()
        except Exception as error:  # noqa: BLE001  (it belongs to whoever iterates)
            self._error = error
        finally:
            self._done = True
            self._ready.set()

    async def _speak(self) -> None:
        casualties, failed, last = Casualties(), frozenset[str](), None
        forgiven: set[Member] = set()
        while True:
            place = await self._pool.place(self, failed, last)
            attempt = _Attempt(self, place, casualties.attempts)
            last = await attempt.run()
            if last is None:
                return
            if self._tape.error is not None:
                raise self._tape.error  # the text broke off: nothing that a worker did
            self._pool.fleet.failed(place.member, last)
            if not _worth_another(last):
                raise last
            broke = attempt.opened and _breakage(last)
            casualties = casualties.one_more(broke=broke, held=self._held, settings=self._settings)
            if casualties.hopeless(self._settings):
                if isinstance(last, CapacityError):
                    raise last
                self._pool.stats.given_up += 1
                if casualties.poisonous:
                    await self._apologise(place.member, last, failed | {place.member.name})
                why = "the text broke two workers" if casualties.poisonous else "too many workers failed"
                raise EngineError(f"The utterance is given up, because {why}. The last one said: {last}") from last
            if isinstance(last, NotFound) and place.member not in forgiven:
                forgiven.add(place.member)  # it may have been started again since: it is told of the session anew
            else:
                failed |= {place.member.name}
            self._cut(place.member, last)
            if not await self._tape.words_from(self._part.resume_char):
                self._finish()
                return

    async def _apologise(self, member: Member, error: ParleyError, failed: frozenset[str]) -> None:
        """Have another worker say so. These words are none of the utterance's: no marks, no final frame."""
        self._cut(member, error)
        if not self._settings.apology:
            return
        text, self._tape = self._tape, TextTape(_only(self._settings.apology))
        self._part, self._marks, self._apologising = Cut(self._part.end_sample, 0), [], True
        await text.aclose()
        try:
            await _Attempt(self, await self._pool.place(self, failed, error), 1 + len(failed)).run()
        except ParleyError as trouble:
            log.debug("Nobody could apologise: %s", trouble)

    def _cut(self, member: Member, error: ParleyError) -> None:
        """Keep whole words only, and know where the next worker begins."""
        part = self._part
        marks = [mark for mark in self._marks if mark.text_start >= part.resume_char]
        self._part = new = cut(
            self._tape.text,
            marks,
            delivered=self._delivered,
            held=self._held,
            from_char=part.resume_char,
            from_sample=part.frames * FRAME_SAMPLES,
        )

        def stays(mark: WordMark) -> bool:
            return mark.text_start < new.resume_char or (new.spoken > 0 and mark.text_start == new.resume_char)

        kept = trim(self._frames, new.end_sample)
        self._frames = deque(
            frame if all(map(stays, frame.marks)) else replace(frame, marks=tuple(filter(stays, frame.marks)))
            for frame in kept
        )
        self._marks = [mark for mark in self._marks if stays(mark)]
        self._early.clear()
        self._held = new.frames * FRAME_SAMPLES
        self._pool.stats.failovers += 1
        self._log_failure(member, error)

    def _log_failure(self, member: Member, error: ParleyError) -> None:
        """Tell a worker that has no room from one that breaks off."""
        where = {"session_id": self.session_id, "utterance_id": self.utterance_id}
        if isinstance(error, CapacityError) and not self._held:
            log.warning("The worker %s refused the utterance: %s", member.name, error, extra=where)
            return
        left = (self._held - self._delivered) * 1000 // SAMPLE_RATE
        log.warning(
            "The worker %s failed in mid-utterance with %d ms at hand: %s", member.name, left, error, extra=where
        )

    def _finish(self) -> None:
        """Every word is there; only the end was missing."""
        if self._tape.error is not None:
            raise self._tape.error
        if self._frames:
            self._frames[-1] = replace(self._frames[-1], final=True)
        else:
            self.push(
                AudioFrame(
                    SILENCE,
                    utterance_id=self.utterance_id,
                    sequence=self._held // FRAME_SAMPLES,
                    start_sample=self._held,
                    final=True,
                )
            )

    # --- for the attempt --------------------------------------------------------------------

    @property
    def pool(self) -> PooledSynthesizer:
        return self._pool

    @property
    def part(self) -> Cut:
        """Where the current attempt begins."""
        return self._part

    @property
    def tape(self) -> TextTape:
        return self._tape

    @property
    def full(self) -> bool:
        """As much is read ahead as may be."""
        return len(self._frames) >= self._limit

    @property
    def idle(self) -> bool:
        """Nobody can expect a frame now: held, full, or all text that came is spoken."""
        if self._paused is not None or self.full:
            return True
        if self._tape.ended:
            return False
        spoken = self._marks[-1].text_end if self._marks else self._part.resume_char
        begun = self._held > self._part.frames * FRAME_SAMPLES
        unmarked = begun and spoken <= self._part.resume_char
        return unmarked or not has_words(self._tape.text[spoken:])

    @property
    def task(self) -> asyncio.Task[None]:
        return self._task

    def attach(self, inner: Synthesis | None, shift: Shift | None) -> None:
        """This one speaks now."""
        self._inner, self._shift = inner, shift

    async def room(self) -> None:
        """Wait until something was taken."""
        while self.full:
            self._space.clear()
            await self._space.wait()

    def push(self, frame: AudioFrame) -> None:
        """Take the utterance's next frame. Each mark goes out with the frame in which its word begins."""
        if self._apologising:
            frame = replace(frame, marks=(), final=False)
        if frame.marks:
            self._marks.extend(frame.marks)
        if self._early or (frame.marks and frame.marks[-1].start_sample >= frame.end_sample):
            known = (*self._early, *frame.marks)
            due = [mark for mark in known if mark.start_sample < frame.end_sample or frame.final]
            self._early = [mark for mark in known if mark not in due]
            frame = replace(frame, marks=tuple(due))
        self._frames.append(frame)
        self._held = frame.end_sample
        self._ready.set()

    def remember(self, mark: WordMark) -> None:
        """A word that goes on after a cut keeps its start and gets its new end."""
        self._marks = [
            replace(mark, start_sample=known.start_sample) if known.text_start == mark.text_start else known
            for known in self._marks
        ]


async def _only(text: str) -> AsyncGenerator[str, None]:
    yield text


def _worth_another(error: ParleyError) -> bool:
    """Whether another worker may do better. A model or session that one does not know, another may."""
    return not isinstance(error, RequestError) or isinstance(error, NotFound | PreconditionFailed)


def _breakage(error: ParleyError) -> bool:
    """Whether the worker broke. One that is full, draining or does not know the session has not."""
    return not isinstance(error, RequestError | CapacityError | ConfigError | Draining)


class _Attempt:
    """One worker's try at (the rest of) an utterance."""

    def __init__(self, owner: PooledSynthesis, place: Place, number: int) -> None:
        self._owner = owner
        self._place = place
        self._number = number
        self._first = True
        self._settings = owner.pool.settings.failover
        self._inner: Synthesis | None = None
        self._watch: _Watch | None = None
        self._probe: asyncio.Task[None] | None = None
        self._hung: ParleyError | None = None
        self._last = 0.0

    @property
    def opened(self) -> bool:
        """The worker had the text: what happened may be the text's doing."""
        return self._inner is not None and (not self._first or bool(getattr(self._inner, "opened", True)))

    async def run(self) -> ParleyError | None:
        """Speak. Returns what went wrong, None when the utterance is complete."""
        owner, member = self._owner, self._place.member
        fleet = owner.pool.fleet
        part = owner.part
        suffix = f"~{self._number}" if self._number else ""
        self._last = clock.now()
        try:
            self._inner = inner = fleet.link(member).synthesize(
                owner.tape.read(part.resume_char),
                voice=self._place.voice,
                session_id=owner.session_id,
                utterance_id=owner.utterance_id + suffix,
            )
            self._watch = _Watch(self._patience, self._due)
            if self._number:
                await self._pump_continued(inner, Shift(owner.utterance_id, part.frames, part.resume_char))
            else:
                await self._pump(inner)
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
        owner = self._owner
        owner.attach(None, None)
        if self._watch is not None:
            self._watch.cancel()
        if self._probe is not None:
            self._probe.cancel()
        if self._inner is not None:
            owner.pool.release(self._inner)  # not awaited: a broken worker may take its time
        owner.pool.fleet.ended(self._place.member)

    async def _pump(self, inner: Synthesis) -> None:
        owner = self._owner
        owner.attach(inner, None)
        async for frame in inner:
            self._alive()
            owner.push(frame)
            if frame.final:
                return
            if owner.full:
                await owner.room()
                self._alive()
        raise EngineError(f"The worker {self._place.member.name} broke off in mid-utterance.")

    async def _pump_continued(self, inner: Synthesis, shift: Shift) -> None:
        """The same for a continuation: moved to its place, and without what was heard of its first word."""
        owner = self._owner
        spoken = owner.part.spoken
        waiting: list[AudioFrame] = []
        searching = spoken > 0
        owner.attach(inner, shift)
        async for frame in inner:
            self._alive()
            waiting.append(frame)
            if searching and not (frame.marks or frame.final or len(waiting) > LEAD_IN):
                continue
            if searching:
                searching = False
                skip = skipped_frames(spoken, frame.marks[0]) if frame.marks else 0
                shift = replace(shift, skip=skip)
                owner.attach(inner, shift)
            if waiting[-1].sequence < shift.skip and not frame.final:
                continue
            if frame.final and frame.sequence < shift.skip:
                shift = replace(shift, skip=frame.sequence)
            self._hand_on(waiting, shift)
            waiting = []
            if frame.final:
                return
            if owner.full:
                await owner.room()
                self._alive()
        raise EngineError(f"The worker {self._place.member.name} broke off in mid-utterance.")

    def _hand_on(self, frames: list[AudioFrame], shift: Shift) -> None:
        """Push what is not left out; marks of left out frames go with the first one that is not."""
        carried: tuple[WordMark, ...] = ()
        for frame in frames:
            if frame.sequence < shift.skip:
                carried += frame.marks
                continue
            if carried:
                frame, carried = replace(frame, marks=carried + frame.marks), ()
            frame = shift.apply(frame)
            if self._owner.part.spoken and frame.marks and frame.marks[0].text_start == self._owner.part.resume_char:
                self._owner.remember(frame.marks[0])
                frame = replace(frame, marks=frame.marks[1:])
            self._owner.push(frame)

    # --- is it still there? -----------------------------------------------------------------

    def _alive(self) -> None:
        if self._first:
            self._first = False
            self._owner.pool.spoke(self._owner, self._place)
        self._last = clock.now()
        if self._watch is not None:
            self._watch.deadline = self._last + self._patience

    @property
    def _patience(self) -> float:
        """A slow worker is given more time than a fast one."""
        usual = self._place.member.announcement.metrics.first_audio_p50_ms / 1000
        return max(self._settings.frame_timeout, 4 * usual)

    def _due(self) -> bool:
        """Nothing came for a while. True when the watch may end."""
        owner, pool = self._owner, self._owner.pool
        if owner.idle:
            return False
        waited, limit = clock.now() - self._last, self._settings.first_frame_timeout
        name = self._place.member.name
        if waited < limit:
            if self._first:
                if self._probe is None or self._probe.done():
                    self._probe = asyncio.get_running_loop().create_task(self._ask())
                return False
            if not pool.has_alternative(owner, name, substitute=False):
                return False  # a slow voice is better than none
        elif waited < NOBODY_ELSE * limit and not pool.has_alternative(owner, name, substitute=True):
            return False
        self._hang_up(TimedOut(f"The worker {name} said nothing for {waited:.1f} s."))
        return True

    async def _ask(self) -> None:
        """A worker that loads a model answers; one behind a cut line does not."""
        member = self._place.member
        if not await self._owner.pool.fleet.link(member).healthy() and self._first:
            self._hang_up(UnavailableError(f"The worker {member.name} does not answer."))

    def _hang_up(self, why: ParleyError) -> None:
        if self._hung is None:
            self._hung = why
            self._owner.task.cancel()


class _Watch:
    """A deadline that is cheap to move: the timer looks at it when it goes off.

    A look that comes late says that this process was busy, and then nothing of the worker: what it sent may lie unread.
    """

    def __init__(self, patience: float, due: Callable[[], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._patience = patience
        self._due = due
        self.deadline = self._loop.time() + patience
        self._timer = self._loop.call_at(self.deadline, self._look)

    def cancel(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        late = now - self._timer.when() > STALL
        if late:
            self.deadline = max(self.deadline, now + self._patience)
        elif now >= self.deadline:
            if self._due():
                return
            self.deadline = now + self._patience
        self._timer = self._loop.call_at(self.deadline, self._look)
