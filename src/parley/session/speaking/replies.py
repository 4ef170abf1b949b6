"""The agent's side of the floor: replies begin, are heard, and end, one way or another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.audio.frame import SAMPLE_RATE
from parley.errors import NotFound, RequestError
from parley.messages import ReplyStarted, ReplyText, VoiceChanged
from parley.session.decide.floor_table import Agent, Event
from parley.session.decide.remarks import Remark, remark
from parley.session.log import Stages
from parley.session.speaking.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.audio.frame import AudioFrame
    from parley.errors import ParleyError
    from parley.session.decide.history import Words
    from parley.session.decide.sayings import Sayings
    from parley.session.floor import Floor
    from parley.session.listening.microphone import Microphone
    from parley.session.outbox import Notices
    from parley.session.speaking.loudspeaker import Loudspeaker, ReplyRecords
    from parley.session.speaking.reply import ReplyParts
    from parley.session.tasks import Tasks
    from parley.values import Voice


class Replies:
    """Every reply's owner (``reply.Owner``): what it tells becomes an event, and orders come back from the table."""

    def __init__(
        self,
        parts: ReplyParts,
        floor: Floor,
        notices: Notices,
        microphone: Microphone,
        loudspeaker: Loudspeaker,
        records: ReplyRecords,
        sayings: Sayings,
        tasks: Tasks,
        *,
        on: Callable[[Event], None],
        answered: Callable[[Words], None],
    ) -> None:
        """``answered``: the open turn is answered, and what it said has its place in the history."""
        self._answered = answered
        self._parts = parts
        self._floor = floor
        self._notices = notices
        self._microphone = microphone
        self._loudspeaker = loudspeaker
        self._records = records
        self._sayings = sayings
        self._tasks = tasks
        self._on = on
        self._begun = 0
        self._proven_voice = floor.voice

    # --- a reply begins ------------------------------------------------------------------

    def begin(self, turn_text: str, stages: Stages) -> Reply:
        """Begin to make one, unheard until it is adopted; without a turn to answer, its text comes by ``say``."""
        self._loudspeaker.settle()
        self._begun += 1
        floor = self._floor
        reply = Reply(
            self._parts,
            self,
            f"u{self._begun}",
            turn=floor.turns,
            turn_text=turn_text,
            voice=floor.voice,
            stages=stages,
            language=floor.voice.language or floor.language,
        )
        prompt = self._parts.settings.reply.system_prompt
        reply.start(self._tasks.spawn, floor.history.messages(prompt, turn=turn_text) if turn_text else None)
        return reply

    def start(self) -> None:
        """Text was typed, or is to be spoken as it is."""
        floor = self._floor
        typed, floor.typed = floor.typed, ""
        floor.stages = Stages(clock.now())
        floor.reply = self.begin(typed, floor.stages)
        floor.reply.adopt()

    def speak_next(self) -> None:
        """Speak the text from outside that has waited longest."""
        saying = self._sayings.next()
        if saying is None:
            return
        self._on(Event.TEXT_RECEIVED)
        reply = self._floor.reply
        assert reply is not None
        reply.say(saying.text)
        if saying.ended:
            reply.say_end()

    def announce(self) -> None:
        """Its first frame is there: the participant is told of it, and the history of what it answers."""
        reply = self._floor.reply
        assert reply is not None
        reply.announced = True
        self._notices.send(ReplyStarted(reply.utterance_id, reply.turn, reply.voice))
        if reply.text:
            self._notices.send(ReplyText(reply.utterance_id, reply.text))
        self._note_turn(reply)

    def _note_turn(self, reply: Reply) -> None:
        words = self._records.note_turn(reply)
        if reply.turn_text:
            self._answered(words)

    # --- what a reply tells --------------------------------------------------------------

    async def reply_ready(self, reply: Reply) -> None:
        """Its first frame is there (``reply.Owner``)."""
        if reply.live:
            self._on(Event.REPLY_READY)
            self._proven_voice = reply.voice
            await self._notices.flush()

    def reply_text(self, reply: Reply, clause: str) -> None:
        """The next clause goes to the voice (``reply.Owner``)."""
        if reply.announced:
            self._notices.send(ReplyText(reply.utterance_id, clause))

    def reply_frame(self, reply: Reply, frame: AudioFrame, lateness: float) -> None:
        """A frame is being sent (``reply.Owner``)."""
        self._notices.observer.frame_sent(lateness)
        now = clock.now()
        self._microphone.played(frame, now + (frame.start_sample - reply.ledger.reached(now)) / SAMPLE_RATE)
        if frame.start_sample == 0:
            self._loudspeaker.begins(reply)

    def reply_troubled(self, reply: Reply, error: ParleyError) -> None:
        """The language model failed; an apology follows (``reply.Owner``)."""
        if reply.live:
            self._notices.failed(error)

    def reply_finished(self, reply: Reply) -> None:
        """All of it has been heard (``reply.Owner``)."""
        if reply is self._floor.reply:
            self._on(Event.PLAYOUT_FINISHED)
            self.give_floor()

    def reply_failed(self, reply: Reply, error: ParleyError | None) -> None:
        """There is no (more) audio (``reply.Owner``)."""
        if reply is not self._floor.reply:
            return
        said = self._sayings.current
        of_our_own = said is not None and said.remark
        if error is not None:
            reply.outcome = "failed"
            self._notices.failed(error, quietly=of_our_own)
        reply.cancel()
        if reply.ledger.paused:
            self._loudspeaker.silence()
        self._on(Event.REPLY_FAILED)
        broke_off = error is not None and not of_our_own and not isinstance(error, RequestError)
        self.remark(Remark.VOICE_LOST if broke_off else None)

    def give_floor(self) -> None:
        """Somebody may have spoken all the while; or more text waits to be spoken."""
        machine = self._floor.machine
        if self._microphone.segmenter.speaking and machine.knows(Event.SPEECH_STARTED):
            self._on(Event.SPEECH_STARTED)
        elif machine.agent is Agent.IDLE and self._floor.late:
            self._floor.typed, self._floor.late = self._floor.late, ""
            self._on(Event.TEXT_RECEIVED)
        elif machine.agent is Agent.IDLE:
            self.speak_next()

    def remark(self, kind: Remark | None) -> None:
        """Give the floor, and say this before whatever waits to be spoken; whoever speaks comes first."""
        if kind is not None and self._floor.machine.agent is Agent.IDLE and not self._microphone.segmenter.speaking:
            setting: str = getattr(self._parts.settings.reply, kind.value)
            text = remark(kind, setting, self._floor.language)
            if text:
                self._sayings.interject(text)
        self.give_floor()

    # --- a reply ends --------------------------------------------------------------------

    def finish(self) -> None:
        """It was heard to its end, or failed."""
        reply = self._take()
        if reply is not None:
            if not reply.turn_noted:
                self._note_turn(reply)
            self._sayings.finish()
            self._records.close(reply, reply.outcome)

    def discard(self) -> None:
        """Nobody has heard it; the turn that it answers may go on."""
        reply = self._take()
        if reply is not None:
            reply.cancel()
            self._sayings.cut()
            if self._floor.turn is None:  # typed: there is no turn that would keep the words
                self._floor.history.add_participant(reply.turn_text)
            self._records.discard(reply)

    def withhold(self) -> Reply | None:
        """Nobody has heard it, and perhaps nobody will: silent until it is adopted again."""
        reply = self._take()
        if reply is not None:
            reply.withhold()
        return reply

    def cancel(self) -> None:
        """Silence for good; the history is told what was heard."""
        reply = self._floor.reply
        assert reply is not None
        if not reply.announced:
            self.discard()
            return
        self._take()
        reply.cancel()
        reply.ledger.pause(clock.now())
        self._sayings.cut()
        self._records.cut(reply)
        self._loudspeaker.silence()

    def _take(self) -> Reply | None:
        reply, self._floor.reply = self._floor.reply, None
        return reply

    # --- voices --------------------------------------------------------------------------

    def voice_ordered(self, voice: Voice) -> None:
        """The language model wants another voice (``reply.Owner``)."""
        try:
            self.change_voice(voice)
        except NotFound as error:
            self._notices.failed(error)

    def change_voice(self, voice: Voice) -> None:
        """Speak with this one from the next utterance on. NotFound for one that nobody has: the old one stays."""
        self._parts.synthesizer.check(voice)
        self._set_voice(voice)

    def _set_voice(self, voice: Voice, note: str = "") -> None:
        self._floor.voice = voice
        self._notices.send(VoiceChanged(voice, note))

    def voice_refused(self, reply: Reply, error: RequestError) -> Voice | None:
        """A voice that does not exist silences nothing: the one that has spoken before does (``reply.Owner``)."""
        refused, floor = reply.voice, self._floor
        if refused == floor.voice != self._proven_voice:
            self._notices.failed(error)
            self._set_voice(self._proven_voice, error.message)
        return floor.voice if floor.voice != refused else None
