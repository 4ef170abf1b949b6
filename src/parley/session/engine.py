"""Runs one conversation: the state table in the middle, streams and timers around it.

Everything that happens is handled by synchronous code on the event loop, so nothing interleaves with a
decision: the table says what to do, the orders below do it, and whatever has to be awaited goes to the
outbox, to a reply or to a turn, each with tasks of its own.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from parley import clock
from parley.audio.frame import SAMPLE_RATE, AudioFrame
from parley.errors import InvalidRequest, ParleyError, RequestError, TimedOut, TooManyRequests
from parley.messages import (
    BargeInDecided,
    EndSession,
    EndTurn,
    ErrorMessage,
    Interrupt,
    Ping,
    PlayoutReport,
    Pong,
    ReplyStarted,
    ReplyText,
    SayDelta,
    SayEnd,
    SessionEnded,
    SessionStarted,
    SetVoice,
    StartSession,
    StateChanged,
    TextInput,
    TranscriptUpdate,
    TurnLatency,
    VoiceChanged,
)
from parley.session.allowance import Allowance
from parley.session.books import Books
from parley.session.ears import RATE, Ears, Microphone
from parley.session.endpointing import Evidence, PauseHabits, wait_for
from parley.session.history import History
from parley.session.interruption import Sound, Verdict, classify, reconsider, wants_answer
from parley.session.lexicon import words
from parley.session.log import (
    Decided,
    Failed,
    Latency,
    LogEntry,
    Observer,
    Silent,
    Speculated,
    Transition,
    TurnClosed,
)
from parley.session.machine import Action, Agent, Event, Machine, Participant
from parley.session.outbox import Outbox
from parley.session.reply import Reply, Stages, Studio
from parley.session.sayings import Sayings
from parley.session.segmenter import SpeechStarted
from parley.session.settings import SessionSettings, with_overrides
from parley.session.timers import Timers
from parley.session.turn import Part, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from parley.interfaces import (
        EchoGuard,
        EndOfTurnModel,
        LanguageModel,
        PlayoutPosition,
        Recognizer,
        Synthesizer,
        Transport,
        VoiceActivityDetector,
    )
    from parley.messages import ClientMessage, ServerMessage

__all__ = ["Microphone", "SessionEngine"]

_log = logging.getLogger(__name__)
_LOOK_INTERVAL = 0.5
_GOODBYE = 1.0
"""Seconds that the last messages have to get out."""
_STILL_RISING = 0.04
"""Seconds to wait when something has just begun that may be speech."""


class SessionEngine:
    """One conversation with one participant.

    Everything it touches is given to it, and it closes none of that: whoever opened a transport or a
    synthesizer closes it. ``vad``, ``microphone`` and ``echo`` belong to this session alone;
    the others may be shared.

    Raises InvalidRequest when ``start.settings`` names a setting or a value that is not allowed.
    """

    def __init__(
        self,
        transport: Transport,
        start: StartSession,
        *,
        session_id: str,
        microphone: Microphone,
        vad: VoiceActivityDetector,
        recognizer: Recognizer,
        language_model: LanguageModel,
        synthesizer: Synthesizer,
        settings: SessionSettings = SessionSettings(),  # noqa: B008  (frozen)
        history: History | None = None,
        echo: EchoGuard | None = None,
        end_of_turn: EndOfTurnModel | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.session_id = session_id
        self.settings = settings = with_overrides(settings, start.settings)
        self.history = history if history is not None else History(limit=settings.limits.max_history)
        """What was said and heard; give it to another engine to go on with the conversation."""
        self._resumed = bool(history and history.messages())
        self._transport = transport
        self._start = start
        self._recognizer = recognizer
        self._end_of_turn = end_of_turn
        self._observer = observer or Silent()
        self._ears = Ears(microphone, vad, echo, settings, keep_turns=end_of_turn is not None)
        self._studio = Studio(session_id, transport, synthesizer, language_model, settings, self)
        self._outbox = Outbox(transport)
        self._machine = Machine()
        self._habits = PauseHabits()
        self._voice = self._proven_voice = start.voice
        self._origin = 0.0
        # what is going on
        self._turns = 0
        self._replies = 0
        self._turn: Turn | None = None
        self._watched: Turn | None = None
        """What is being said over a reply."""
        self._reply: Reply | None = None
        self._speculation: Reply | None = None
        self._books = Books(self.history, send=self._send, log=self._log, now=self._now)
        self._sayings = Sayings()
        self._typed = ""
        self._texts = Allowance(burst=settings.limits.text_burst, per_second=settings.limits.text_rate)
        self._held_at = 0.0
        self._stages = Stages(0.0)
        self._closing = "silence"
        # what runs
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers = Timers()
        self._over: asyncio.Future[str | ParleyError] | None = None
        self._ending: str | ParleyError | None = None

    # --- life ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Hold the conversation until the participant leaves or says goodbye.

        Sends SessionStarted first and SessionEnded last. Raises ParleyError when the session cannot go
        on (TimedOut: the client takes no data); a failing model is told to the participant and survived.
        Cancel the task to end the session from outside, or call :meth:`end`.
        """
        self._origin = clock.now()
        self._over = asyncio.get_running_loop().create_future()
        if self._ending is not None:
            self._over.set_result(self._ending)
        try:
            async with asyncio.TaskGroup() as self._group:
                self._spawn(self._outbox.run(), "outbox")
                self._send(SessionStarted(self.session_id, voice=self._voice, resumed=self._resumed))
                self._spawn(self._listen(), "listen")
                self._look()
                self._greet()
                ending = await self._over
                await self._say_goodbye(ending)
        finally:
            self._timers.clear()
        if isinstance(ending, ParleyError):
            raise ending

    def end(self, reason: str | ParleyError) -> None:
        """Say goodbye soon: :meth:`run` sends SessionEnded with ``reason`` and returns (raises, for an error)."""
        self._ending = self._ending or reason
        if self._over is not None and not self._over.done():
            self._over.set_result(reason)

    async def _say_goodbye(self, ending: str | ParleyError) -> None:
        for task in self._tasks:
            if task.get_name().startswith("listen"):
                task.cancel()
        self._on(Event.SESSION_ENDED)
        self._settle_all()
        if isinstance(ending, str):
            self._send(SessionEnded(ending))
            try:
                async with asyncio.timeout(_GOODBYE):
                    await self._outbox.flush()
            except TimeoutError:
                _log.debug("the client did not take the last messages")
        for task in self._tasks:
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        assert self._group is not None
        task = self._group.create_task(work, name=f"{name} {self.session_id[:8]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _look(self) -> None:
        """Twice a second: does anything hang?"""
        now = clock.now()
        limit = self.settings.limits.stall_timeout
        reply = self._reply
        since = (self._outbox.busy_since, reply.sending_since if reply is not None else None)
        sending = [at for at in since if at is not None]
        if self._outbox.overflowing or (sending and now - min(sending) > limit):
            self.end(TimedOut(f"The client took no data for {limit:g} seconds."))
        elif reply is not None and reply.overdue(now):
            self.reply_failed(reply, TimedOut("The voice took too long."))
        if self._turn is not None and self._machine.agent is Agent.LISTENING:
            self._check_length(self._turn, now)
        self._timers.set("look", now + _LOOK_INTERVAL, self._look)

    def _check_length(self, turn: Turn, now: float) -> None:
        if now - turn.began_at > self.settings.limits.max_turn:
            self._end_turn("limit")

    # --- the table -----------------------------------------------------------------------

    def _on(self, event: Event) -> None:
        """Something happened: move, carry out the orders, say so."""
        for action in self._machine.handle(event):
            _ORDERS[action](self)
        participant, agent = self._machine.states
        barge_in = self.settings.barge_in.enabled
        self._ears.set_alert(barge_in and agent in (Agent.SPEAKING, Agent.BARGED_IN))
        self._log(Transition(self._now(), event.value, participant.value, agent.value))
        self._send(StateChanged(participant.value, agent.value, event.value))

    def _log(self, entry: LogEntry) -> None:
        self._observer.logged(entry)

    def _now(self) -> float:
        return round(clock.now() - self._origin, 6)

    def _send(self, message: ServerMessage) -> None:
        self._outbox.send(message)

    def _fail(self, error: ParleyError) -> None:
        """Tell the participant of something that the session survives."""
        self._log(Failed(self._now(), error.code, error.message))
        self._send(ErrorMessage(error.code, error.message))

    # --- what comes in -------------------------------------------------------------------

    async def _listen(self) -> None:
        async for item in self._transport:
            if isinstance(item, AudioFrame):
                self._hear(item)
                continue
            try:
                _HANDLERS[type(item)](self, item)
            except (RequestError, TooManyRequests) as error:
                self._fail(error)
        self.end("The participant left.")

    def _hear(self, frame: AudioFrame) -> None:
        ears = self._ears
        samples, events = ears.hear(frame, clock.now())
        hearing = self._turn if self._machine.agent is Agent.LISTENING else self._watched
        if hearing is not None:
            hearing.hear(samples.tobytes())
        for event in events:
            if isinstance(event, SpeechStarted):
                self._speech_started()
            else:
                self._speech_ended()
        if self._watched is not None:
            self._judge()

    def _speech_started(self) -> None:
        machine = self._machine
        if machine.agent in (Agent.SPEAKING, Agent.BARGED_IN):
            if not self._ears.segmenter.alert:
                return
            if self._ears.echo_likelihood >= self.settings.barge_in.echo_threshold:
                self._ears.segmenter.reject()
            elif machine.knows(Event.EVIDENCE_FOUND):
                self._on(Event.EVIDENCE_FOUND)
        elif machine.knows(Event.SPEECH_STARTED):
            self._learn_pause()
            self._drop_speculation()
            self._timers.cancel("end", "speculate")
            self._on(Event.SPEECH_STARTED)

    def _learn_pause(self) -> None:
        """They went on with a turn that they had paused."""
        turn = self._turn
        if turn is not None and turn.ended_at:
            segmenter = self._ears.segmenter
            onset_at = self._ears.heard_at - (segmenter.now - segmenter.onset)
            self._habits.paused(max(0.0, onset_at - turn.ended_at))
            turn.probability = None

    def _speech_ended(self) -> None:
        if self._machine.participant is Participant.SPEAKING:
            if self._machine.agent is Agent.LISTENING:
                self._ears.learn_level()
            self._on(Event.SPEECH_ENDED)

    # --- speech over a reply -----------------------------------------------------------------

    def _judge(self) -> None:
        """Ask what the sound over the reply is; once it was let go on, only a change of mind counts."""
        watched, reply = self._watched, self._reply
        if watched is None or reply is None:
            return
        agent = self._machine.agent
        if agent is Agent.BARGED_IN:
            sound = self._sound(watched, reply)
            verdict = classify(sound, self.settings.barge_in)
            if verdict is not None:
                self._decide(verdict, sound)
        elif agent is Agent.SPEAKING and watched.kept in ("backchannel", "noise"):
            sound = self._sound(watched, reply)
            verdict = reconsider(sound, self.settings.barge_in)
            if verdict is not None:
                self._decide(verdict, sound)

    def _sound(self, watched: Turn, reply: Reply) -> Sound:
        now = clock.now()
        ears = self._ears
        return Sound(
            voiced=ears.segmenter.voiced_ever - watched.voiced_before,
            silence=ears.silence(now),
            held=now - self._held_at,
            ended=not ears.segmenter.speaking,
            level_db=ears.level_db,
            usual_level_db=ears.usual_level_db,
            text=watched.text,
            confidence=watched.confidence,
            complete=watched.done,
            remaining=reply.remaining,
            echo=ears.echo_likelihood,
            language=self._language,
        )

    def _decide(self, verdict: Verdict, sound: Sound) -> None:
        reply, watched = self._reply, self._watched
        assert reply is not None
        assert watched is not None
        self._timers.cancel("judge")
        held = clock.now() - self._held_at if reply.held else 0.0
        self._log(
            Decided(self._now(), reply.utterance_id, verdict.outcome, verdict.reasons, round(held, 6), sound.facts())
        )
        watched.kept = verdict.outcome
        self._on(Event.FLOOR_TAKEN if verdict.outcome == "take_floor" else Event.REPLY_KEPT)
        self._send(BargeInDecided(reply.utterance_id, verdict.outcome, verdict.reasons))

    def _pause_reply(self) -> None:
        reply = self._reply
        assert reply is not None
        reply.hold()
        self._held_at = clock.now()
        self._outbox.call(self._pause_transport)
        self._timers.set("judge", self._held_at + self.settings.barge_in.decide_within, self._judge_in_time)

    def _judge_in_time(self) -> None:
        """Also without a microphone that would bring the question up."""
        if self._machine.agent is Agent.BARGED_IN:
            self._judge()
        if self._machine.agent is Agent.BARGED_IN:
            self._timers.set("judge", clock.now() + 0.05, self._judge_in_time)

    async def _pause_transport(self) -> None:
        self._reached(await self._transport.pause_audio())

    def _reached(self, position: PlayoutPosition) -> None:
        reply = self._reply_of(position.utterance_id)
        if reply is not None and reply.ledger.paused:
            reply.ledger.report(position.sample, clock.now(), stopped=True)

    def _reply_of(self, utterance_id: str) -> Reply | None:
        if self._reply is not None and self._reply.utterance_id == utterance_id:
            return self._reply
        return self._books.find(utterance_id)

    def _resume_reply(self) -> None:
        reply = self._reply
        assert reply is not None
        reply.release()

        async def resume() -> None:
            await self._transport.resume_audio()
            reply.play()

        self._outbox.call(resume)

    def _watch_speech(self) -> None:
        if self._watched is not None:
            self._watched.cancel()
        segmenter = self._ears.segmenter
        self._watched = Turn(began_at=clock.now(), voiced_before=segmenter.voiced_ever - segmenter.voiced)
        self._open_part(self._watched)

    def _adopt_speech(self) -> None:
        """What is said over the reply is a turn."""
        watched, self._watched = self._watched, None
        if watched is None:
            self._open_turn()
            return
        self._set_turn_aside()
        self._turns += 1
        watched.number, watched.kept = self._turns, ""
        self._turn = watched
        if watched.text:
            self._tell_transcript(watched)

    def _drop_speech(self) -> None:
        """It was none; but what was said is still of interest."""
        if self._watched is None:
            return
        if self._machine.agent is Agent.SPEAKING and self._watched.kept != "echo":
            self._watched.close(self.settings.limits.asr_timeout)
        else:
            self._watched.cancel()
            self._watched = None

    # --- the participant's turn ----------------------------------------------------------------

    @property
    def _language(self) -> str:
        return self._start.language or self._voice.language

    def _open_turn(self) -> None:
        self._set_turn_aside()
        self._turns += 1
        self._turn = Turn(self._turns, began_at=clock.now())
        self._open_part(self._turn)

    def _reopen_turn(self) -> None:
        if self._turn is None:
            self._open_turn()
            return
        self._turn.close(self.settings.limits.asr_timeout)
        self._open_part(self._turn)

    def _open_part(self, turn: Turn) -> None:
        part = Part(RATE)
        turn.parts.append(part)
        part.hear(self._ears.since_onset().tobytes())

        def failed(error: ParleyError) -> None:
            if turn is self._watched:  # perhaps only a cough: nobody needs to know
                self._log(Failed(self._now(), error.code, error.message))
            else:
                self._fail(error)

        work = part.recognize(self._recognizer, self._language, lambda: self._understood(turn), failed)
        part.task = self._spawn(work, "recognise")

    def _set_turn_aside(self) -> None:
        """Whatever was said and never answered belongs to the history."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()
            self.history.add_participant(turn.text)

    def _abandon_turn(self) -> None:
        self._timers.cancel("end", "speculate")
        self._drop_speculation()
        self._set_turn_aside()

    def _understood(self, turn: Turn) -> None:
        """The recogniser said something new of a turn."""
        if turn is self._watched:
            self._understood_over_reply(turn)
            return
        if turn is not self._turn:
            return
        self._tell_transcript(turn)
        agent = self._machine.agent
        if agent is Agent.THINKING and self._reply is None and turn.done:
            self._answer(turn)
        elif agent is Agent.LISTENING and self._machine.participant is Participant.SILENT:
            self._schedule_end(turn)

    def _understood_over_reply(self, watched: Turn) -> None:
        self._judge()
        if watched is not self._watched or not watched.done or self._machine.agent is Agent.BARGED_IN:
            return
        self._watched = None
        late = wants_answer(watched.text, self._language, watched.confidence, self.settings.barge_in)
        if late is not None and self._machine.agent is Agent.IDLE:
            self._answer_late(watched.text)
        elif watched.text:
            nod = watched.kept == "backchannel"
            self._send(TranscriptUpdate(self._turns, watched.text, True, len(watched.text), backchannel=nod))

    def _answer_late(self, text: str) -> None:
        """Understood only when the reply over which it was said had ended."""
        self._turns += 1
        self._send(TranscriptUpdate(self._turns, text, True, len(text)))
        self._typed = text
        self._on(Event.TEXT_RECEIVED)

    def _tell_transcript(self, turn: Turn) -> None:
        text, final = turn.text, turn.done and self._machine.agent is Agent.THINKING
        if (text or final) and turn.told != (text, final):
            turn.told = (text, final)
            self._send(TranscriptUpdate(turn.number, text, final, len(text) if final else turn.stable))

    def _await_end(self) -> None:
        """They are silent: when is the turn over, if they stay so?"""
        turn = self._turn
        assert turn is not None
        turn.ended_at, turn.melody = self._ears.last_voice_at, self._ears.melody(turn.began_at)
        self._stages = Stages(turn.ended_at)
        self._stages.mark("vad")
        self._ask_turn_model(turn)
        self._schedule_end(turn)

    def _schedule_end(self, turn: Turn) -> None:
        """The better the words are known, the better the moment."""
        evidence = Evidence(turn.text, self._language, turn.confidence, turn.melody, turn.probability)
        wait = wait_for(evidence, self._habits, self.settings.endpointing)
        turn.wait = wait
        self._timers.set("end", turn.ended_at + wait.seconds, self._silence_ends_turn)
        if self._speculation is not None and not _same_words(self._speculation.turn_text, turn.text):
            self._drop_speculation()
        if wait.likely and self._speculation is None:
            self._timers.set("speculate", turn.ended_at + self.settings.speculation.after, self._speculate)

    def _ask_turn_model(self, turn: Turn) -> None:
        model = self._end_of_turn
        if model is None or not self.settings.endpointing.semantic:
            return
        samples = self._ears.recent()
        asked_at = turn.ended_at

        async def ask() -> None:
            try:
                probability = await asyncio.to_thread(model.probability, samples)
            except Exception:  # noqa: BLE001  (somebody else's code: without it the words are judged)
                _log.exception("the turn model failed")
                return
            listening = self._machine.states == (Participant.SILENT, Agent.LISTENING)
            if turn is self._turn and turn.ended_at == asked_at and listening:
                turn.probability = probability
                self._schedule_end(turn)

        self._spawn(ask(), "turn model")

    def _silence_ends_turn(self) -> None:
        if self._machine.states != (Participant.SILENT, Agent.LISTENING):
            return
        if self._ears.segmenter.rising:
            self._timers.set("end", clock.now() + _STILL_RISING, self._silence_ends_turn)
        else:
            self._end_turn("silence")

    def _end_turn(self, reason: str) -> None:
        self._closing = reason
        self._on(Event.TURN_ENDED)
        turn = self._turn
        if turn is not None and turn.done:
            self._answer(turn)

    def _close_turn(self) -> None:
        turn = self._turn
        assert turn is not None
        self._timers.cancel("end", "speculate")
        now = clock.now()
        if self._machine.participant is Participant.SPEAKING or not turn.ended_at:  # they said so, in mid-speech
            turn.ended_at = now
            self._stages = Stages(now)
        self._stages.mark("endpoint")
        self._log(TurnClosed(self._now(), turn.number, self._closing, round(now - turn.ended_at, 6)))
        turn.close(self.settings.limits.asr_timeout)

    def _answer(self, turn: Turn) -> None:
        """The turn is over and its final transcript is there."""
        self._stages.mark("asr")
        self._tell_transcript(turn)
        if not words(turn.text):
            self._turn = None
            self._on(Event.TURN_EMPTY)
            self._after_reply()
            return
        guess, self._speculation = self._speculation, None
        if guess is not None:
            used = _same_words(guess.turn_text, turn.text) and guess.outcome != "failed"
            self._log(Speculated(self._now(), turn.number, used))
            if used:
                guess.turn_text, guess.stages = turn.text, self._merged(guess.stages)
                self._reply = guess
                guess.adopt()
                return
            guess.cancel()
        self._reply = self._new_reply(turn.text, self._stages)
        self._begin(self._reply, turn.text)
        self._reply.adopt()

    def _merged(self, early: Stages) -> Stages:
        """What the speculation reached early counts from the turn's end."""
        for stage, at in early.reached.items():
            self._stages.reached.setdefault(stage, at)
        return self._stages

    # --- replies -------------------------------------------------------------------------------

    def _new_reply(self, turn_text: str, stages: Stages) -> Reply:
        self._settle_all()
        self._replies += 1
        return Reply(
            self._studio, f"u{self._replies}", turn=self._turns, turn_text=turn_text, voice=self._voice, stages=stages
        )

    def _begin(self, reply: Reply, turn_text: str) -> None:
        assert self._group is not None
        reply.start(self._group, self.history.messages(self.settings.reply.system_prompt, turn=turn_text))

    def _speculate(self) -> None:
        turn = self._turn
        silent = self._machine.states == (Participant.SILENT, Agent.LISTENING)
        if turn is None or not silent or self._speculation is not None or self._ears.segmenter.rising:
            return
        settings = self.settings.speculation
        if not settings.enabled or turn.tries >= settings.max_tries or not words(turn.text):
            return
        turn.tries += 1
        self._speculation = self._new_reply(turn.text, Stages(self._stages.origin))
        self._begin(self._speculation, turn.text)

    def _drop_speculation(self) -> None:
        if self._speculation is not None:
            self._speculation.cancel()
            self._speculation = None
            self._log(Speculated(self._now(), self._turns, False))

    def _start_reply(self) -> None:
        """Text was typed, or is to be spoken as it is."""
        assert self._group is not None
        self._set_turn_aside()
        typed, self._typed = self._typed, ""
        self._stages = Stages(clock.now())
        self._reply = self._new_reply(typed, self._stages)
        if typed:
            self._begin(self._reply, typed)
        else:
            self._reply.start(self._group, None)
        self._reply.adopt()

    async def reply_ready(self, reply: Reply) -> None:
        """Its first frame is there (``reply.Owner``)."""
        if reply.live:
            self._on(Event.REPLY_READY)
            self._proven_voice = reply.voice
            await self._outbox.flush()

    def _begin_playout(self) -> None:
        reply = self._reply
        assert reply is not None
        reply.announced = True
        self._send(ReplyStarted(reply.utterance_id, reply.turn, reply.voice))
        if reply.text:
            self._send(ReplyText(reply.utterance_id, reply.text))
        self._note_turn(reply)

    def _note_turn(self, reply: Reply) -> None:
        self._books.note_turn(reply)
        if reply.turn_text:
            self._turn = None

    def reply_text(self, reply: Reply, clause: str) -> None:
        """The next clause goes to the voice (``reply.Owner``)."""
        if reply.announced:
            self._send(ReplyText(reply.utterance_id, clause))

    def reply_frame(self, reply: Reply, frame: AudioFrame, lateness: float) -> None:
        """A frame is being sent (``reply.Owner``)."""
        self._observer.frame_sent(lateness)
        now = clock.now()
        self._ears.played(frame, now + (frame.start_sample - reply.ledger.reached(now)) / SAMPLE_RATE)
        if frame.start_sample == 0:
            reply.stages.mark("sent")
            if not self._start.playout_reports:
                self._tell_latency(reply)

    def _tell_latency(self, reply: Reply) -> None:
        stages = reply.stages.milliseconds()
        if reply.turn_text and stages:
            self._send(TurnLatency(reply.turn, stages))
            self._log(Latency(self._now(), reply.turn, stages))

    def reply_troubled(self, reply: Reply, error: ParleyError) -> None:
        """The language model failed; an apology follows (``reply.Owner``)."""
        if reply.live:
            self._fail(error)

    def reply_finished(self, reply: Reply) -> None:
        """All of it has been heard (``reply.Owner``)."""
        if reply is self._reply:
            self._on(Event.PLAYOUT_FINISHED)
            self._after_reply()

    def reply_failed(self, reply: Reply, error: ParleyError | None) -> None:
        """There is no (more) audio (``reply.Owner``)."""
        if reply is not self._reply:
            return
        if error is not None:
            reply.outcome = "failed"
            self._fail(error)
            self._return_to_proven_voice(reply, error)
        reply.cancel()
        if reply.ledger.paused:
            self._outbox.call(self._clear_transport)
        self._on(Event.REPLY_FAILED)
        self._after_reply()

    def _return_to_proven_voice(self, reply: Reply, error: ParleyError) -> None:
        """A voice that does not exist must not silence the rest of the session."""
        if isinstance(error, RequestError) and reply.voice == self._voice != self._proven_voice:
            self._change_voice(self._proven_voice, error.message)

    def _after_reply(self) -> None:
        """Somebody may have spoken all the while; or more text waits to be spoken."""
        if self._ears.segmenter.speaking and self._machine.knows(Event.SPEECH_STARTED):
            self._on(Event.SPEECH_STARTED)
        elif self._machine.agent is Agent.IDLE:
            self._speak_saying()

    def _finish_reply(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            if not reply.turn_noted:
                self._note_turn(reply)
            self._sayings.finish()
            self._books.close(reply, reply.outcome)

    def _discard_reply(self) -> None:
        """Nobody has heard it; the turn that it answers may go on."""
        reply, self._reply = self._reply, None
        self._drop_speculation()
        if reply is not None:
            reply.cancel()
            self._sayings.cut()
            if self._turn is None:  # typed: there is no turn that would keep the words
                self.history.add_participant(reply.turn_text)
            self._books.discard(reply)

    def _cancel_reply(self) -> None:
        """Silence for good; the history is told what was heard."""
        reply, self._reply = self._reply, None
        assert reply is not None
        reply.cancel()
        reply.ledger.pause(clock.now())
        self._sayings.cut()
        self._books.cut(reply)
        self._outbox.call(self._clear_transport)

    async def _clear_transport(self) -> None:
        position = await self._transport.clear_audio()
        self._reached(position)
        reply = self._books.find(position.utterance_id)
        if reply is None or position.exact or not self._start.playout_reports:
            self._settle_all()
        else:
            self._timers.set("settle", clock.now() + self.settings.playout.report_timeout, self._settle_all)

    def _settle_all(self) -> None:
        """No more is to be learnt of where replies were cut off."""
        self._timers.cancel("settle")
        self._books.settle_all()

    # --- voices ----------------------------------------------------------------------------------

    def voice_ordered(self, voice: Any) -> None:
        """The language model wants another voice (``reply.Owner``)."""
        self._change_voice(voice, "")

    def _change_voice(self, voice: Any, note: str) -> None:
        self._voice = voice
        self._send(VoiceChanged(voice, note))

    # --- messages --------------------------------------------------------------------------------

    def _greet(self) -> None:
        if self.settings.reply.greeting and not self._resumed:
            self._take_say(SayDelta(self.settings.reply.greeting))
            self._take_say_end(SayEnd())

    def _take_text(self, message: TextInput) -> None:
        text = self._checked(message.text).strip()
        if not text:
            raise InvalidRequest("The text is empty.")
        wait = self._texts.take(clock.now())
        if wait:
            raise TooManyRequests(
                f"Typed turns came too quickly and this one was not taken; send it again in {wait:.1f} seconds.",
                retry_after=wait,
            )
        self._turns += 1
        self._sayings.cut()
        self._typed = text
        self._log(TurnClosed(self._now(), self._turns, "message", 0.0))
        self._on(Event.TEXT_RECEIVED)

    def _checked(self, text: str, already: int = 0) -> str:
        limit = self.settings.limits.max_text
        if len(text) + already > limit:
            raise InvalidRequest(f"The text has {len(text) + already} characters; at most {limit} are taken.")
        return text

    def _take_say(self, message: SayDelta) -> None:
        delta = self._checked(message.text, self._sayings.length)
        saying = self._sayings.add(delta)
        if saying is not None and saying is self._sayings.current:
            if self._reply is not None:
                self._reply.say(delta)
        elif self._machine.agent in (Agent.IDLE, Agent.LISTENING):
            self._speak_saying()

    def _speak_saying(self) -> None:
        """Speak the text from outside that has waited longest."""
        saying = self._sayings.next()
        if saying is None:
            return
        self._on(Event.TEXT_RECEIVED)
        assert self._reply is not None
        self._reply.say(saying.text)
        if saying.ended:
            self._reply.say_end()

    def _take_say_end(self, _: SayEnd) -> None:
        saying = self._sayings.end()
        if saying is not None and saying is self._sayings.current and self._reply is not None:
            self._reply.say_end()

    def _take_report(self, report: PlayoutReport) -> None:
        reply = self._reply_of(report.utterance_id)
        if reply is None:
            return
        reply.ledger.report(report.sample, clock.now(), stopped=report.stopped)
        if report.sample and "heard" not in reply.stages.reached:
            reply.stages.mark("heard")
            self._tell_latency(reply)
        if report.stopped:
            self._books.settle(report.utterance_id)

    def _take_interrupt(self, _: Interrupt) -> None:
        self._sayings.cut()
        self._on(Event.INTERRUPTED)
        if self._machine.agent is Agent.IDLE:
            self._set_turn_aside()

    def _take_end_turn(self, _: EndTurn) -> None:
        if self._machine.agent is Agent.BARGED_IN:
            assert self._reply is not None
            assert self._watched is not None
            self._decide(
                Verdict("take_floor", ("the turn was said to be over",)), self._sound(self._watched, self._reply)
            )
        if self._machine.agent is Agent.LISTENING:
            self._end_turn("message")

    def _take_voice(self, message: SetVoice) -> None:
        self._change_voice(message.voice, "")

    def _take_ping(self, message: Ping) -> None:
        self._send(Pong(message.id))

    def _take_end(self, _: EndSession) -> None:
        self.end("The participant said goodbye.")

    def _take_start(self, _: ClientMessage) -> None:
        raise InvalidRequest("The session has already started.")

    def _hang_up(self) -> None:
        self._timers.clear()
        self._set_turn_aside()
        self._drop_speculation()
        if self._watched is not None:
            self._watched.cancel()


_ORDERS: dict[Action, Callable[[SessionEngine], None]] = {
    Action.OPEN_TURN: SessionEngine._open_turn,
    Action.REOPEN_TURN: SessionEngine._reopen_turn,
    Action.WATCH_SPEECH: SessionEngine._watch_speech,
    Action.ADOPT_SPEECH: SessionEngine._adopt_speech,
    Action.DROP_SPEECH: SessionEngine._drop_speech,
    Action.AWAIT_END: SessionEngine._await_end,
    Action.CLOSE_TURN: SessionEngine._close_turn,
    Action.ABANDON_TURN: SessionEngine._abandon_turn,
    Action.START_REPLY: SessionEngine._start_reply,
    Action.PAUSE_REPLY: SessionEngine._pause_reply,
    Action.RESUME_REPLY: SessionEngine._resume_reply,
    Action.DISCARD_REPLY: SessionEngine._discard_reply,
    Action.CANCEL_REPLY: SessionEngine._cancel_reply,
    Action.BEGIN_PLAYOUT: SessionEngine._begin_playout,
    Action.FINISH_REPLY: SessionEngine._finish_reply,
    Action.HANG_UP: SessionEngine._hang_up,
}

_HANDLERS: dict[type, Callable[[SessionEngine, Any], None]] = {
    StartSession: SessionEngine._take_start,
    TextInput: SessionEngine._take_text,
    SayDelta: SessionEngine._take_say,
    SayEnd: SessionEngine._take_say_end,
    PlayoutReport: SessionEngine._take_report,
    SetVoice: SessionEngine._take_voice,
    Interrupt: SessionEngine._take_interrupt,
    EndTurn: SessionEngine._take_end_turn,
    Ping: SessionEngine._take_ping,
    EndSession: SessionEngine._take_end,
}


def _same_words(one: str, other: str) -> bool:
    return words(one) == words(other)
