"""Runs one conversation: the state table in the middle, streams and timers around it.

Everything that happens is handled by synchronous code on the event loop, so nothing interleaves with a
decision: a room of the session says what happened, the table says what to do about it, and the rooms do it.
Whatever has to be awaited goes to the outbox, to a reply or to a turn, each with tasks of its own.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from parley import clock
from parley.audio.frame import AudioFrame
from parley.conversation import History
from parley.errors import ParleyError, TimedOut
from parley.messages import SessionEnded, SessionStarted, StartSession, StateChanged
from parley.orders import Configure, Order
from parley.session.decide.floor_table import Action, Agent, Event
from parley.session.decide.sayings import Sayings
from parley.session.dialogue import Dialogue
from parley.session.floor import MovableFloor
from parley.session.listening.barge_in import BargeIn
from parley.session.listening.beside import Beside
from parley.session.listening.late import LateTranscripts
from parley.session.listening.microphone import Microphone, MicrophoneFilter
from parley.session.listening.recognition import Recognition
from parley.session.listening.speech import SpeechDetection
from parley.session.listening.turns import Endpointing, Turns
from parley.session.log import Observer, Silent, Transition, Unheard
from parley.session.outbox import Notices, Outbox
from parley.session.pressure import Pressure, Relief
from parley.session.requests import Requests
from parley.session.settings import SessionSettings, with_overrides
from parley.session.speaking.loudspeaker import Loudspeaker, ReplyRecords
from parley.session.speaking.mute import Mute
from parley.session.speaking.replies import Replies
from parley.session.speaking.reply import ReplyParts
from parley.session.speaking.speculation import Speculation
from parley.session.speaking.tools import ToolCalls
from parley.session.speaking.written import WrittenReplies
from parley.session.tasks import Faults, Tasks, Timers
from parley.session.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.interfaces import (
        EchoGuard,
        EndOfTurnModel,
        InterruptionModel,
        LanguageModel,
        Recognizer,
        Synthesizer,
        Tools,
        Transport,
        VoiceActivityDetector,
    )
    from parley.orders import Guest
    from parley.session.listening.turn import Turn

_log = logging.getLogger(__name__)
_LOOK_INTERVAL = 0.5
_GOODBYE = 1.0
"""Seconds that the last messages have to get out."""


class SessionEngine:
    """One conversation with one participant.

    Everything it touches is given to it, and it closes none of that: whoever opened a transport or a
    synthesizer closes it. ``vad``, ``microphone`` and ``echo`` belong to this session alone;
    the others may be shared.

    Raises InvalidRequest when ``start.settings`` names a setting or a value that is not allowed, and NotFound when
    ``start.voice`` is one that nobody has.
    """

    def __init__(
        self,
        transport: Transport,
        start: StartSession,
        *,
        session_id: str,
        microphone: MicrophoneFilter,
        vad: VoiceActivityDetector,
        recognizer: Recognizer,
        language_model: LanguageModel,
        synthesizer: Synthesizer,
        settings: SessionSettings = SessionSettings(),  # noqa: B008  (frozen)
        history: History | None = None,
        echo: EchoGuard | None = None,
        end_of_turn: EndOfTurnModel | None = None,
        interruption: InterruptionModel | None = None,
        tools: Tools | None = None,
        observer: Observer | None = None,
        guest: Guest | None = None,
        relief: Relief | None = None,
    ) -> None:
        self.session_id = session_id
        self.settings = settings = with_overrides(settings, start.settings)
        synthesizer.check(start.voice)
        self.history = history if history is not None else History(limit=settings.limits.max_history)
        """What was said and heard; give it to another engine to go on with the conversation."""
        self.voice = start.voice
        """The voice that the participant is told of at the start; who placed the session may know it better."""
        self._resumed = bool(history and history.messages())
        self._transport, self._guest = transport, guest
        self.settled = asyncio.Event()
        """The session is ending, and its history is complete; the participant may still have to be told."""
        self._over: asyncio.Future[SessionEnded | ParleyError] | None = None
        self._ending: SessionEnded | ParleyError | None = None
        on, count = self._on, self._count_turn
        # what is going on, and what runs
        self._floor = floor = MovableFloor(start.voice, start.language)
        self._outbox = outbox = Outbox(transport)
        terms = Terms(guest.manner if guest is not None else None)
        observer = observer or Silent()
        if settings.budget.enabled:
            observer = Pressure(
                observer, settings.budget, terms, voice=lambda: floor.voice, relief=relief or Relief(),
                hear_with=lambda ears: recognition.hear_with(ears), speak_with=lambda to: replies.voice_ordered(to),
            )  # fmt: skip
        self._notices = notices = Notices(outbox, observer, guest.told if guest is not None else None)
        self._faults = faults = Faults(self.end)
        self._tasks = tasks = Tasks(session_id, faults)
        self._timers = timers = Timers(faults)
        self._microphone = mic = Microphone(
            microphone, vad, echo, settings, keep_turns=end_of_turn is not None, overhearing=interruption
        )
        # the agent's side
        records, sayings = ReplyRecords(self.history, notices, terms), Sayings()
        self._loudspeaker = loudspeaker = Loudspeaker(
            transport, outbox, notices, records, timers, settings.playout,
            reports=start.playout_reports, onset=lambda: mic.onset_at,
        )  # fmt: skip
        model = language_model if settings.reply.enabled else Mute()
        self._called = called = ToolCalls(
            tools,
            session_id,
            floor,
            self.history,
            notices,
            tasks.spawn,
            settings.tools,
            news=self._tell_results,
            terms=terms,
        )
        parts = ReplyParts(session_id, transport, synthesizer, model, called, settings, tasks.spawn, terms)
        self._replies = replies = Replies(
            parts,
            floor,
            self.history,
            notices,
            loudspeaker,
            records,
            sayings,
            on=on,
            played=mic.played,
            speaking=lambda: mic.segmenter.speaking,
            give_floor=self._give_floor,
            answered=lambda words: self._turns.answered(words),
            speak_with=floor.change_voice,
        )
        self._speculation = speculation = Speculation(floor, notices, replies)
        # the participant's side
        self._late = late = LateTranscripts(
            floor, self.history, notices, replies, settings, terms, settled=lambda: self._dialogue.look(),
            write=lambda: self._dialogue.write(), asked=lambda: self._dialogue.waiting,
        )  # fmt: skip
        recognition = Recognition(
            recognizer, floor, mic, tasks,
            terms=terms, session_id=session_id, understood=self._understood, failed=self._recognition_failed,
        )  # fmt: skip
        self._endpointing = endpointing = Endpointing(
            floor, mic, speculation, timers, tasks, end_of_turn, settings, over=self._silence_over, terms=terms
        )
        self._beside = beside = Beside(
            self.history, notices, mic, recognition, late, timers, settings, terms, count=count
        )
        self._turns = turns = Turns(
            floor, self.history, notices, recognition, endpointing, late, speculation, replies, timers, settings,
            on=on, count=count, terms=terms, write=lambda: self._dialogue.write(), overheard=beside.hand_over,
            asked=lambda: self._dialogue.waiting,
        )  # fmt: skip
        self._barge_in = barge_in = BargeIn(
            floor, self.history, notices, mic, recognition, late, replies, timers, settings, on=on, count=count,
            terms=terms,
        )  # fmt: skip
        # what comes in, and what is done about it
        self._dialogue = dialogue = Dialogue(
            terms, floor, self.history, notices, mic, endpointing, turns, barge_in, beside, late, replies, records,
            WrittenReplies(parts, floor, self.history, notices, over=lambda: self._dialogue.look()), called, timers,
            settings, on=on, count=count,
        )  # fmt: skip
        self._speech = SpeechDetection(
            floor, mic, barge_in, turns, timers, settings, on=on, beside=beside, endpointing=endpointing,
            terms=terms, spoken=dialogue.interrupt,
        )  # fmt: skip
        self._requests = Requests(
            floor, notices, turns, barge_in, replies, sayings, settings.limits, on=on, count=count, end=self.end
        )
        self._orders = self._who_does_what()

    # --- life ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Hold the conversation until the participant leaves or says goodbye.

        Sends SessionStarted first and SessionEnded last. Raises ParleyError when the session cannot go
        on (TimedOut: the client takes no data; SessionFailed: a fault of the session's own code, or of an
        observer's); a failing model is told to the participant and survived.
        Cancel the task to end the session from outside, or call :meth:`end`.

        However it ends, :attr:`history` is complete before the participant is told: the words of a running turn as
        far as they are understood, and of a running reply as far as it was heard.
        """
        self._notices.begin()
        self._over = asyncio.get_running_loop().create_future()
        if self._ending is not None:
            self._over.set_result(self._ending)
        try:
            async with asyncio.TaskGroup() as group:
                self._tasks.open(group)
                with self._faults.heard():
                    self._begin()
                try:
                    ending = await self._over
                finally:
                    self._settle()
                    self.settled.set()
                with self._faults.heard():
                    await self._say_goodbye(ending)
                self._tasks.cancel()
        finally:
            self._timers.clear()
        if self._faults.first is not None:
            raise self._faults.first
        if isinstance(ending, ParleyError):
            raise ending

    def _begin(self) -> None:
        self._tasks.spawn(self._outbox.run, "outbox")
        self._notices.send(SessionStarted(self.session_id, voice=self.voice, resumed=self._resumed))
        if self._guest is not None:
            self._dialogue.configure(Configure(self._guest.manner))
        self._tasks.spawn(self._listen, "listen")
        self._look()
        if self.settings.reply.greeting and not self._resumed:
            self._requests.greet(self.settings.reply.greeting)

    def end(self, reason: str | SessionEnded | ParleyError) -> None:
        """Say goodbye soon: :meth:`run` sends SessionEnded with ``reason`` and returns (raises, for an error)."""
        ending = SessionEnded(reason) if isinstance(reason, str) else reason
        self._ending = self._ending or ending
        if self._over is not None and not self._over.done():
            self._over.set_result(ending)

    def _settle(self) -> None:
        """Nothing more is said or heard: what was belongs to the history."""
        if self._faults.first is not None:
            return  # nothing that the rooms say of themselves can be believed
        with self._faults.heard():
            self._tasks.cancel("listen")
            self._on(Event.SESSION_ENDED)
            self._loudspeaker.settle()
            self._called.settle()

    async def _say_goodbye(self, ending: SessionEnded | ParleyError) -> None:
        if isinstance(ending, SessionEnded):
            self._notices.send(ending)
            try:
                async with asyncio.timeout(_GOODBYE):
                    await self._notices.flush()
            except TimeoutError:
                _log.debug("the client did not take the last messages")

    async def _listen(self) -> None:
        async for item in self._transport:
            if isinstance(item, AudioFrame):
                self._speech.hear(item)
            elif isinstance(item, Order):
                self._dialogue.take(item)
            else:
                await self._requests.take_in_portions(item)
        self.end("The participant left.")

    def _look(self) -> None:
        """Twice a second: does anything hang?"""
        now = clock.now()
        limit = self.settings.limits.stall_timeout
        reply = self._replies.current
        since = (self._outbox.busy_since, reply.sending_since if reply is not None else None)
        sending = [at for at in since if at is not None]
        if self._outbox.overflowing or (sending and now - min(sending) > limit):
            self.end(TimedOut(f"The client took no data for {limit:g} seconds."))
        elif reply is not None and reply.overdue(now):
            self._replies.reply_failed(reply, TimedOut("The voice took too long."))
        self._turns.check_length(now)
        self._requests.check(now)
        self._tell_results()
        self._timers.set("look", now + _LOOK_INTERVAL, self._look)

    # --- the table -----------------------------------------------------------------------

    def _on(self, event: Event) -> None:
        """Something happened: move, carry out the orders, say so."""
        floor = self._floor
        for action in floor.handle(event):
            for carry_out in self._orders[action]:
                carry_out()
        participant, agent = floor.states
        self._speech.be_alert()
        self._notices.log(Transition(self._notices.now(), event.value, participant.value, agent.value))
        self._notices.send(StateChanged(participant.value, agent.value, event.value))
        self._dialogue.happened(event)

    def _give_floor(self) -> None:
        """Somebody may have spoken all the while; or more text waits to be spoken."""
        if self._microphone.segmenter.speaking and self._floor.knows(Event.SPEECH_STARTED):
            self._on(Event.SPEECH_STARTED)
        elif self._late.waiting and self._floor.agent is Agent.IDLE:
            self._late.answer_now()
        else:
            self._tell_results()
            self._replies.speak_next()

    def _tell_results(self) -> None:
        """At a gap: what was done in the background."""
        quiet = self._floor.knows(Event.RESULT_CAME) and not self._microphone.segmenter.speaking
        if self._called.results_waiting and quiet and not self._late.waiting:
            self._on(Event.RESULT_CAME)

    def _who_does_what(self) -> dict[Action, tuple[Callable[[], None], ...]]:
        """Each of the table's orders, as what the rooms do for it, in turn."""
        turns, barge_in, endpointing = self._turns, self._barge_in, self._endpointing
        replies, speculation = self._replies, self._speculation
        return {
            Action.OPEN_TURN: (turns.open,),
            Action.REOPEN_TURN: (turns.reopen,),
            Action.WATCH_SPEECH: (barge_in.watch,),
            Action.ADOPT_SPEECH: (lambda: turns.adopt(barge_in.hand_over()),),
            Action.DROP_SPEECH: (barge_in.drop,),
            Action.AWAIT_END: (turns.await_end,),
            Action.CLOSE_TURN: (turns.close,),
            Action.ABANDON_TURN: (endpointing.stop, speculation.drop, turns.set_aside),
            Action.FORGET_TURN: (endpointing.stop, speculation.drop, turns.forget),
            Action.ANSWER_TEXT: (barge_in.pass_over, turns.set_aside, replies.answer_text),
            Action.ANSWER_RESULTS: (turns.set_aside, replies.answer_results),
            Action.SPEAK_TEXT: (turns.set_aside, replies.speak_text),
            Action.PAUSE_REPLY: (replies.hold, barge_in.expect_verdict),
            Action.RESUME_REPLY: (replies.let_go,),
            Action.DISCARD_REPLY: (speculation.drop, replies.discard),
            Action.WITHHOLD_REPLY: (speculation.withhold,),
            Action.CANCEL_REPLY: (replies.cancel,),
            Action.BEGIN_PLAYOUT: (lambda: turns.answered(replies.announce()),),
            Action.FINISH_REPLY: (lambda: turns.answered(replies.finish()),),
            Action.HANG_UP: (self._timers.clear, turns.set_aside, speculation.drop, barge_in.forget, self._late.forget),
        }

    # --- what a room cannot know ---------------------------------------------------------

    def _count_turn(self) -> int:
        """One more turn begins; returns its number."""
        return self._floor.count_turn()

    def _understood(self, turn: Turn) -> None:
        """The recogniser said something new; what was a sound over a reply may be the open turn by now."""
        if turn is self._barge_in.watched:
            self._barge_in.understood(turn)
        elif turn is self._turns.open_turn:
            self._turns.understood(turn)
        else:
            self._late.understood(turn)

    def _recognition_failed(self, turn: Turn, error: ParleyError) -> None:
        """Over a reply it was perhaps only a cough; and an overdue turn was told of before."""
        if lost := sum(part.tell_unheard() for part in turn.parts):
            self._notices.log(Unheard(self._notices.now(), turn.number, round(lost, 6)))
        self._notices.failed(error, quietly=turn is not self._turns.open_turn or turn.overdue)

    def _silence_over(self) -> None:
        """It was silent for so long that the turn is over."""
        self._turns.end("silence")
