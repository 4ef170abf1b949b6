"""One reply, from its text to the ear. A generation of its own: nothing in it is used for another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from parley import clock
from parley.audio.frame import SAMPLE_RATE, AudioFrame
from parley.conversation.heard import heard_text, without
from parley.errors import ParleyError, RequestError, TimedOut
from parley.session.decide.ledger import Ledger, expected_duration
from parley.session.decide.reply_life import ReplyEvent, ReplyLife, ReplyState
from parley.session.feeds import Feed
from parley.session.speaking.voice import ReplyVoice, Spawn
from parley.session.speaking.writing import Writing
from parley.session.terms import Terms
from parley.text.speech.normaliser import has_words
from parley.values import Voice, Wording

if TYPE_CHECKING:
    from parley.conversation import Message
    from parley.interfaces import LanguageModel, Synthesis, Synthesizer, Transport
    from parley.orders import ReplyRequest
    from parley.session.log import Stages
    from parley.session.settings import SessionSettings
    from parley.session.speaking.tools import ToolCalls
    from parley.values import ChatMessage

_CLAUSES_WAITING = 10_000
_LOOK = 0.5
"""Seconds between two looks at a loudspeaker that may stand still."""
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

    def reply_calls(self, reply: Reply) -> None:
        """It is wanted, and calls tools: what it answers belongs to the past, whether or not it is ever heard."""

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
    tools: ToolCalls
    settings: SessionSettings
    spawn: Spawn
    terms: Terms = field(default_factory=Terms)


@dataclass(slots=True)
class ReplyEntry:
    """What a reply is to whoever knows the conversation entry by entry."""

    answers: Message | None = None
    """Where in the conversation stands what it answers, where that has a place already."""
    words: Message | None = None
    """Its own place there, where it has one before it is over."""
    noted: bool = False
    """What it answers stands in the history."""
    begun: bool = False
    """It was told of by name."""
    cut_at: int | None = None
    """Samples of it that its listener says were heard, at most."""
    stopped_by: str = "turn_detected"
    """What ends it if it is cut off."""
    error: ParleyError | None = None
    """What went wrong with it."""


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
        to_speech: bool,
        voice: Voice, wording: Wording = Wording(), language: str = "",
        stages: Stages, request: ReplyRequest | None = None,
    ) -> None:  # fmt: skip
        self.utterance_id, self.turn = utterance_id, turn
        self.turn_text = turn_text
        """What the participant said; empty for text from outside."""
        self.to_speech = to_speech
        """True when the participant said it aloud."""
        self.voice, self._wording = voice, wording
        self.stages = stages
        self.life = ReplyLife()
        self.ledger = Ledger(lead=parts.settings.playout.lead, delay=parts.settings.playout.delay)
        self.text = ""
        self.request, self.entry = request, ReplyEntry()
        self.calls = parts.tools.for_reply(self)
        self.sending_since: float | None = None
        self._parts, self._owner = parts, owner
        self._feed: Feed[str] = Feed(_CLAUSES_WAITING)
        self.writing = Writing(self, self.calls, parts.settings, language)
        self._sound = self._new_voice()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # --- orders ------------------------------------------------------------------------

    def start(self, history: Sequence[ChatMessage] | None) -> None:
        """Begin to make audio; without a history the text comes by :attr:`writing`."""
        spawn = self._parts.spawn
        self._tasks = [spawn(self._speak, f"speak {self.utterance_id}")]
        if history is not None:
            model, tools = self._parts.language_model, self.calls.offered
            self._tasks.append(spawn(lambda: self.writing.write(model, history, tools), f"write {self.utterance_id}"))

    def adopt(self) -> None:
        """It may be heard."""
        self._live(ReplyEvent.ADOPTED)
        self.calls.adopt()

    def adopt_for(self, turn_text: str, stages: Stages) -> None:
        """It may be heard, as the answer to what was understood in the end."""
        stages.take_early(self.stages)
        self.turn_text, self.stages = turn_text, stages
        self.adopt()

    def withhold(self) -> None:
        """It may not be heard yet after all: speculative again. Nothing of it may have sounded."""
        self._live(ReplyEvent.WITHHELD)

    def announce(self) -> None:
        """Its sound begins."""
        self._live(ReplyEvent.FIRST_FRAME)

    def hold(self) -> None:
        """Not one more frame leaves, from this moment on; one that has not sounded yet is made all the same."""
        self._live(ReplyEvent.HELD)
        self.ledger.pause(clock.now())
        if self.life.announced:
            self._sound.hold(True)

    def release(self) -> None:
        """The hold is over: words flow again. Frames follow with :meth:`play`, where any had been heard."""
        self._live(ReplyEvent.LET_GO)
        self._sound.hold(False)
        if not self.life.announced:
            self.ledger.resume(clock.now())

    def play(self) -> None:
        """The listener plays again: go on with the very next frame. Too late an answer changes nothing."""
        if self.life.knows(ReplyEvent.LISTENER_PLAYS):
            self.ledger.resume(clock.now())
            self._live(ReplyEvent.LISTENER_PLAYS)

    def cancel(self) -> None:
        """From this moment on nothing of it is sent or told."""
        self._live(ReplyEvent.CANCELLED)
        self.ledger.pause(clock.now())
        self._stop()

    def give_up(self, error: ParleyError | None) -> None:
        """There is nothing (more) to be heard; without an error there was nothing to say."""
        self.life.troubled = self.life.troubled or error is not None
        self.entry.error = self.entry.error or error
        self._live(ReplyEvent.GIVEN_UP)
        self._stop()

    def _stop(self) -> None:
        self._feed.close()
        self.calls.stop()
        for task in self._tasks:
            task.cancel()

    # --- its life ------------------------------------------------------------------------

    def _live(self, event: ReplyEvent) -> None:
        self.life.handle(event)
        self._wake()

    def _wake(self) -> None:
        """Let everything of it that waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            await self._changed.wait()

    async def until_wanted(self) -> None:
        """Wait while it is a guess."""
        await self._until(lambda: self.life.adopted)

    async def _until_playing(self) -> None:
        await self._until(lambda: self.life.playing)

    # --- questions -----------------------------------------------------------------------

    @property
    def heard(self) -> int:
        """One past the last sample heard."""
        heard = self.ledger.heard(clock.now())
        return heard if self.entry.cut_at is None else min(heard, self.entry.cut_at)

    @property
    def remaining(self) -> float:
        """Seconds still to be heard, by the pace of what was; infinite before it begins and while its text grows."""
        if self.life.all_sent:
            return self.ledger.left_in(clock.now())
        if not self._feed.closed or not self.life.announced:
            return float("inf")
        return max(0.0, expected_duration(self.text, self.ledger.marks) - self.heard / SAMPLE_RATE)

    def heard_text(self) -> str:
        """The words of it that were heard."""
        everything = self.life.all_sent and self.heard >= self.ledger.sent_samples
        return heard_text(self.text, self.ledger.marks, self.heard, finished=everything)

    def kept_text(self) -> str:
        """Those of them that are worth remembering: not that it takes a little longer."""
        return without(self.text, self.heard_text(), self.writing.asides)

    @property
    def wanted(self) -> bool:
        """It is no guess, and not over."""
        return self.life.adopted and self.life.live

    @property
    def unheard(self) -> float:
        """Seconds of it that are still to be heard; 0 when it is silent and waits for text."""
        if not has_words(self.text):
            return 0.0
        waits = self.life.playing and not len(self._feed)
        return max(0.0, self.ledger.left_in(clock.now())) if waits else float("inf")

    def overdue(self, now: float) -> bool:
        """True when the voice has left us waiting too long for a frame that it has the text for."""
        may_wait = self.life.held or not (self._feed.closed or len(self._feed))
        limits = self._parts.settings.limits
        longest = limits.tts_between if self.ledger.sent_samples else limits.tts_timeout
        return self._sound.waited(now, may_wait=may_wait) > longest

    # --- text ----------------------------------------------------------------------------

    def order_voice(self, voice: Voice) -> None:
        """The language model wants another voice."""
        self._owner.voice_ordered(voice)

    def keep_calls(self) -> None:
        """It is wanted and calls tools: what it answers belongs to the history."""
        self._owner.reply_calls(self)

    def trouble(self, error: ParleyError) -> bool:
        """The language model failed; returns whether to say so: a reply that nobody asked for yet just fails."""
        self.life.troubled, self.entry.error = True, error
        if self.life.adopted:
            self._owner.reply_troubled(self, error)
        return self.life.adopted

    async def give_in_time(self, clause: str) -> None:
        """No words beyond the first clause before the reply is adopted, and none while it is on hold."""
        if self.text:
            await self.until_wanted()
        await self._until(lambda: not (self.life.held and self.life.announced))
        self.give(clause)

    def give(self, clause: str) -> None:
        """The next clause goes to the voice."""
        self.ledger.given(len(self.text), clause, clock.now())
        self.text += clause
        self._feed.put(clause)
        self._wake()
        if self.life.live:
            self._owner.reply_text(self, clause)

    def no_more_text(self) -> None:
        """That was all of it."""
        self.ledger.text_over(clock.now())
        self._feed.close()
        self._wake()

    # --- sound ---------------------------------------------------------------------------

    async def _speak(self) -> None:
        await self._until(lambda: has_words(self.text) or self._feed.closed)
        error: ParleyError | None = None
        if has_words(self.text):
            error = await self._make_sound()
            if error is None:
                self._finish()
                return
            self.life.troubled = True
        await self.until_wanted()
        self._owner.reply_failed(self, error)

    async def _make_sound(self) -> ParleyError | None:
        """Until all of it has been heard, with another voice where one was refused; returns why not."""
        while True:
            async with aclosing(self._sound):
                error = await self._send_all()
            if not isinstance(error, RequestError) or not self._goes_on_with_another_voice(error):
                return error

    def _goes_on_with_another_voice(self, error: RequestError) -> bool:
        """A voice that was refused before its first frame loses no text: another one speaks it."""
        voice = None if self.life.announced else self._owner.voice_refused(self, error)
        if voice is None:
            return False
        written, self._feed = self._feed.closed, Feed(_CLAUSES_WAITING)
        self._feed.put(self.text)
        if written:
            self._feed.close()
        self.voice, self._sound = voice, self._new_voice()
        return True

    def _new_voice(self) -> ReplyVoice:
        return ReplyVoice(self._synthesize, self._parts.spawn, f"hold {self.utterance_id}")

    async def _send_all(self) -> ParleyError | None:
        """Make audio and send it, until all of it has been heard; returns why not."""
        frame = await self._sound.next()
        if frame is None:
            return self._sound.error or ParleyError("The voice made no sound.")
        self.stages.mark("tts")
        await self._until(lambda: self.life.state is ReplyState.WANTED)
        await self._owner.reply_ready(self)
        while frame is not None:
            await self._send(frame)
            frame = None if frame.final else await self._sound.next()
        if self._sound.error is None:
            await self._until_heard()
        return self._sound.error

    def _finish(self) -> None:
        self._live(ReplyEvent.HEARD_OUT)
        for task in self._tasks[1:]:  # a voice that ended early leaves words behind that nobody will hear
            task.cancel()
        self.calls.stop()
        self._owner.reply_finished(self)

    def _synthesize(self) -> Synthesis:
        parts = self._parts
        return parts.synthesizer.synthesize(
            self._feed, voice=self.voice, session_id=parts.session_id, utterance_id=self.utterance_id,
            wording=self._wording,
        )  # fmt: skip

    async def _send(self, frame: AudioFrame) -> None:
        lateness = await self._until_due(frame.end_sample)
        self.sending_since = now = clock.now()
        self.ledger.sent(frame.start_sample, frame.end_sample, now)
        if frame.marks:
            self.ledger.add_marks(frame.marks)
        self._owner.reply_frame(self, frame, lateness)
        # Nothing is awaited between the last look at the hold and this call.
        await self._parts.transport.send_audio(frame)
        self.sending_since = None

    async def _until_due(self, end_sample: int) -> float:
        """Wait until a frame may leave; returns by how much that moment was missed."""
        while True:
            if not self.life.playing:
                await self._until_playing()
            now = clock.now()
            delay = self.ledger.due_in(end_sample, now)
            if delay < _TICK:
                return self.ledger.late_by(end_sample, now)
            await asyncio.sleep(delay)

    async def _until_heard(self) -> None:
        """Wait for the end of the sound; given up when the client says again and again that it plays no more of it."""
        await self._until_playing()
        self._live(ReplyEvent.LAST_FRAME_SENT)
        limit = self._parts.settings.limits.stall_timeout
        farthest, since = self.heard, clock.now()
        while True:
            if not self.life.playing:
                await self._until_playing()
                since = clock.now()
            left, now = self.ledger.left_in(clock.now()), clock.now()
            if left <= 0:
                return
            if self.heard > farthest:
                farthest, since = self.heard, now
            elif now - since > limit:
                self.life.troubled = True
                stalled = f"Your loudspeaker has played nothing for {limit:g} seconds; the reply was given up."
                self._owner.reply_troubled(self, TimedOut(stalled))
                return
            await asyncio.sleep(min(max(left, _TICK), _LOOK))
