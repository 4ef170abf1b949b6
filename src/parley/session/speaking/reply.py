"""One reply, from its text to the ear. A generation of its own: nothing in it is used for another one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from parley import clock
from parley.audio.frame import SAMPLE_RATE, AudioFrame
from parley.errors import ParleyError, RequestError, TimedOut
from parley.session.decide.ledger import Ledger, expected_duration, heard_text
from parley.session.feeds import Feed
from parley.session.guard import GuardedStream, guarded
from parley.text.sentences import Sentences
from parley.text.unicode import WholeDeltas
from parley.values import ChangeVoice, Voice

if TYPE_CHECKING:
    from parley.interfaces import LanguageModel, Synthesis, Synthesizer, Transport
    from parley.messages import ReplyOutcome
    from parley.session.log import Stages
    from parley.session.settings import SessionSettings
    from parley.values import ChatMessage

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], str], asyncio.Task[None]]
"""``session.tasks.Tasks.spawn``."""

_log = logging.getLogger(__name__)
_CLAUSES_WAITING = 10_000
_LONGEST_CLAUSE = 240
"""Characters: what comes without an end is spoken in pieces."""
_LOOK = 0.5
"""Seconds between two looks at a loudspeaker that may stand still."""
_ORDER = 1.0
"""Seconds that a voice may take to confirm that it pauses or goes on."""
_TICK = 0.001
"""Seconds that a loop's timers can tell apart: what is due within one is due now."""


class Owner(Protocol):
    """Whom a reply tells what happens to it. A reply that was cancelled says nothing."""

    async def reply_ready(self, reply: Reply) -> None:
        """Its first frame is there; returns when the participant has been told of the reply."""

    def reply_text(self, reply: Reply, clause: str) -> None:
        """The next clause goes to the voice."""

    def reply_frame(self, reply: Reply, frame: AudioFrame, lateness: float) -> None:
        """A frame is being sent."""

    def reply_finished(self, reply: Reply) -> None:
        """All of it has been heard."""

    def reply_failed(self, reply: Reply, error: ParleyError | None) -> None:
        """There is no (more) audio; without an error there was nothing to say."""

    def reply_troubled(self, reply: Reply, error: ParleyError) -> None:
        """The language model failed; the reply ends with an apology."""

    def voice_refused(self, reply: Reply, error: RequestError) -> Voice | None:
        """There is no such voice, or it cannot speak now; returns the one to speak with instead, if there is one."""

    def voice_ordered(self, voice: Voice) -> None:
        """The language model wants another voice from the next utterance on."""


@dataclass(frozen=True, slots=True)
class ReplyParts:
    """What every reply of a session needs."""

    session_id: str
    transport: Transport
    synthesizer: Synthesizer
    language_model: LanguageModel
    settings: SessionSettings


class Reply:
    """Begins silent; sounds once adopted; can be held, and let go on, any number of times."""

    def __init__(
        self,
        parts: ReplyParts,
        owner: Owner,
        utterance_id: str,
        *,
        turn: int,
        turn_text: str,
        voice: Voice,
        stages: Stages,
        language: str = "",
    ) -> None:
        playout = parts.settings.playout
        self.utterance_id = utterance_id
        self.turn = turn
        self.turn_text = turn_text
        """What the participant said; empty for text from outside."""
        self.voice = voice
        self.stages = stages
        self.ledger = Ledger(lead=playout.lead, delay=playout.delay)
        self.text = ""
        self.outcome: ReplyOutcome = "finished"
        self.announced = False
        self.turn_noted = False
        """True once the history knows what it answers."""
        self.live = True
        self.held = False
        self.sending_since: float | None = None
        self.written = False
        """True when all its text is known."""
        self._parts = parts
        self._owner = owner
        self._waiting_since: float | None = None
        self._feed: Feed[str] = Feed(_CLAUSES_WAITING)
        self._clauses = Sentences(language, longest=_LONGEST_CLAUSE, first_clause=parts.settings.reply.first_clause)
        self._has_text = asyncio.Event()
        self._adopted = asyncio.Event()
        self._going = asyncio.Event()
        self._going.set()
        self._playing = asyncio.Event()
        self._playing.set()
        self._synthesis: Synthesis | None = None
        self._voice = GuardedStream[AudioFrame]("voice", self._synthesize)
        self._synthesis_held = False
        self._holder: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._spawn: Spawn | None = None

    # --- orders ------------------------------------------------------------------------

    def start(self, spawn: Spawn, history: Sequence[ChatMessage] | None) -> None:
        """Begin to make audio; without a history the text comes by :meth:`say`."""
        self._spawn = spawn
        self._tasks = [spawn(self._speak, f"speak {self.utterance_id}")]
        if history is not None:
            self._tasks.append(spawn(lambda: self._write(history), f"write {self.utterance_id}"))

    @property
    def adopted(self) -> bool:
        """False while it is speculative: then it stops after its first clause, unheard."""
        return self._adopted.is_set()

    def adopt(self) -> None:
        """It may be heard."""
        self._adopted.set()

    def withhold(self) -> None:
        """It may not be heard yet after all: speculative again. Nothing of it may have sounded."""
        assert not self.announced
        self._adopted.clear()

    def hold(self) -> None:
        """Not one more frame leaves, from this moment on; one that has not sounded yet is made all the same."""
        self.held = True
        self._playing.clear()
        self.ledger.pause(clock.now())
        if self.announced:
            self._going.clear()
            self._settle_synthesis()

    def release(self) -> None:
        """The hold is over: words flow again. Frames follow with :meth:`play`."""
        self.held = False
        self._going.set()
        self._settle_synthesis()

    def play(self) -> None:
        """The listener plays again: go on with the very next frame."""
        if not self.held:
            self.ledger.resume(clock.now())
            self._playing.set()

    async def _until_adopted(self) -> None:
        while not self._adopted.is_set():  # it may be withheld again before this task runs
            await self._adopted.wait()

    async def _until_it_may_begin(self) -> None:
        """Adopted, and not on hold for a sound that is being judged."""
        while not (self._adopted.is_set() and self._playing.is_set()):
            await self._adopted.wait()
            await self._playing.wait()

    def cancel(self) -> None:
        """From this moment on nothing of it is sent or told."""
        self.live = False
        self._feed.close()
        for task in self._tasks:
            task.cancel()

    def say(self, delta: str) -> None:
        """The next piece of text from outside."""
        for clause in self._clauses.add(delta):
            self._give(clause)

    def say_end(self) -> None:
        """The text from outside is complete."""
        for clause in self._clauses.finish():
            self._give(clause)
        self._no_more_text()

    # --- questions -----------------------------------------------------------------------

    @property
    def heard(self) -> int:
        """One past the last sample heard."""
        return self.ledger.heard(clock.now())

    @property
    def remaining(self) -> float:
        """Seconds still to be heard, by the pace of what was; infinite before it begins and while its text grows."""
        if self._ending:
            return self.ledger.left_in(clock.now())
        if not self.written or not self.announced:
            return float("inf")
        return max(0.0, expected_duration(self.text, self.ledger.marks) - self.heard / SAMPLE_RATE)

    def heard_text(self) -> str:
        """The words of it that were heard."""
        return heard_text(self.text, self.ledger.marks, self.heard, finished=self._all_heard)

    @property
    def _all_heard(self) -> bool:
        return self._ending and self.heard >= self.ledger.sent_samples

    _ending = False
    """True once the final frame has been sent."""

    def overdue(self, now: float) -> bool:
        """True when the voice has left us waiting too long for a frame that it has the text for."""
        if self._waiting_since is None or self.held or not (self.written or len(self._feed)):
            self._waiting_since = None if self._waiting_since is None else now
            return False
        limits = self._parts.settings.limits
        return now - self._waiting_since > (limits.tts_between if self.ledger.sent_samples else limits.tts_timeout)

    # --- text ----------------------------------------------------------------------------

    async def _write(self, history: Sequence[ChatMessage]) -> None:
        limits = self._parts.settings.limits
        deltas = GuardedStream("language model", lambda: self._parts.language_model.reply(history))
        whole, length = WholeDeltas(), 0
        async with aclosing(deltas):
            while length < limits.max_text:
                delta = await deltas.next(clock.now() + limits.llm_timeout)
                if delta is None:
                    break
                self.stages.mark("llm")
                if isinstance(delta, ChangeVoice):
                    await self._until_adopted()
                    self._owner.voice_ordered(delta.voice)
                    continue
                length += len(delta)
                await self._give_all(self._clauses.add(whole.add(delta)))
        if deltas.error is not None:
            await self._apologise(deltas.error)
        else:
            await self._give_all((*self._clauses.add(whole.finish()), *self._clauses.finish()))
        self._no_more_text()

    async def _give_all(self, clauses: Iterable[str]) -> None:
        for clause in clauses:
            await self._give_in_time(clause)

    async def _apologise(self, error: ParleyError) -> None:
        """Say so instead; a reply that nobody asked for yet just fails."""
        self.outcome = "failed"
        if not self.adopted:
            return
        self._owner.reply_troubled(self, error)
        apology = self._parts.settings.reply.apology
        if apology:
            await self._give_in_time(f" {apology}" if self.text and not self.text[-1].isspace() else apology)

    async def _give_in_time(self, clause: str) -> None:
        """No words beyond the first clause before the reply is adopted, and none while it is on hold."""
        if self._has_text.is_set():
            await self._until_adopted()
        await self._going.wait()
        self._give(clause)

    def _give(self, clause: str) -> None:
        self.text += clause
        self._feed.put(clause)
        self._has_text.set()
        if self.live:
            self._owner.reply_text(self, clause)

    def _no_more_text(self) -> None:
        self.written = True
        self._feed.close()
        self._has_text.set()

    # --- sound ---------------------------------------------------------------------------

    async def _speak(self) -> None:
        await self._has_text.wait()
        if self.text:
            await self._sound()
            if self._ending:
                if self.live:
                    self._owner.reply_finished(self)
                return
            self.outcome = "failed"
        await self._until_adopted()
        if self.live:
            self._owner.reply_failed(self, self._voice.error)

    async def _sound(self) -> None:
        """Make audio and send it, until all of it has been heard, or ``_voice.error`` says why not."""
        while True:
            async with aclosing(self._voice):
                try:
                    await self._send_all()
                finally:
                    if self._holder is not None:
                        self._holder.cancel()
            if not self._goes_on_with_another_voice():
                return

    def _goes_on_with_another_voice(self) -> bool:
        """A voice that was refused before its first frame loses no text: another one speaks it."""
        error = self._voice.error
        if not isinstance(error, RequestError) or self.announced or not self.live:
            return False
        voice = self._owner.voice_refused(self, error)
        if voice is None:
            return False
        self.voice = voice
        self._feed = Feed(_CLAUSES_WAITING)
        self._feed.put(self.text)
        if self.written:
            self._feed.close()
        self._voice = GuardedStream("voice", self._synthesize)
        return True

    async def _send_all(self) -> None:
        frame = await self._next()
        if frame is None:
            self._voice.error = self._voice.error or ParleyError("The voice made no sound.")
            return
        self.stages.mark("tts")
        await self._until_it_may_begin()
        await self._owner.reply_ready(self)
        while frame is not None:
            await self._send(frame)
            frame = None if frame.final else await self._next()
        if self._voice.error is None:
            self._ending = True
            await self._until_heard()

    def _synthesize(self) -> Synthesis:
        parts = self._parts
        self._synthesis = parts.synthesizer.synthesize(
            self._feed, voice=self.voice, session_id=parts.session_id, utterance_id=self.utterance_id
        )
        return self._synthesis

    async def _next(self) -> AudioFrame | None:
        self._waiting_since = clock.now()
        try:
            return await self._voice.next()
        finally:
            self._waiting_since = None

    async def _send(self, frame: AudioFrame) -> None:
        lateness = await self._until_due(frame.end_sample)
        now = clock.now()
        ledger = self.ledger
        ledger.sent(frame.start_sample, frame.end_sample, now)
        if frame.marks:
            ledger.add_marks(frame.marks)
        self.sending_since = now
        self._owner.reply_frame(self, frame, lateness)
        # Nothing is awaited between the last look at the hold and this call.
        await self._parts.transport.send_audio(frame)
        self.sending_since = None

    async def _until_due(self, end_sample: int) -> float:
        """Wait until a frame may leave; returns by how much that moment was missed."""
        while True:
            if not self._playing.is_set():
                await self._playing.wait()
            delay = self.ledger.due_in(end_sample, clock.now())
            if delay < _TICK:
                return max(0.0, -delay)
            await asyncio.sleep(delay)

    async def _until_heard(self) -> None:
        """Wait for the end of the sound; given up when the client says again and again that it plays no more of it."""
        limit = self._parts.settings.limits.stall_timeout
        farthest, since = self.heard, clock.now()
        while True:
            if not self._playing.is_set():
                await self._playing.wait()
                since = clock.now()
            left, now = self.ledger.left_in(clock.now()), clock.now()
            if left <= 0:
                return
            if self.heard > farthest:
                farthest, since = self.heard, now
            elif now - since > limit:
                self.outcome = "failed"
                self._owner.reply_troubled(
                    self,
                    TimedOut(f"Your loudspeaker has played nothing for {limit:g} seconds; the reply was given up."),
                )
                return
            await asyncio.sleep(min(max(left, _TICK), _LOOK))

    # --- the hold, at the synthesizer -------------------------------------------------------

    def _settle_synthesis(self) -> None:
        """Tell the synthesizer, one call at a time; the last order wins."""
        if self._synthesis is None or self._spawn is None or not self.live:
            return
        if self._holder is None or self._holder.done():
            self._holder = self._spawn(self._pass_on_hold, f"hold {self.utterance_id}")

    async def _pass_on_hold(self) -> None:
        assert self._synthesis is not None
        while self._synthesis_held != self.held:
            self._synthesis_held = self.held
            try:
                with guarded("voice"):
                    async with asyncio.timeout(_ORDER):
                        await (self._synthesis.pause() if self.held else self._synthesis.resume())
            except ParleyError as error:
                # Whoever iterates learns of it too, if it matters.
                _log.debug("the synthesizer did not take a hold: %s", error)
