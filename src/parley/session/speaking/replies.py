"""The agent's side of the floor: replies begin, are heard, and end, one way or another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from parley import clock
from parley.audio.frame import SAMPLE_RATE
from parley.conversation.telling import tell
from parley.errors import NotFound, RequestError
from parley.messages import ReplyStarted, ReplyText, VoiceChanged
from parley.session.decide.floor_table import Agent, Event
from parley.session.decide.remarks import Remark, remark
from parley.session.log import Stages
from parley.session.speaking.reply import Reply
from parley.text.speech.normaliser import has_words
from parley.tracing import place_of, working_for
from parley.values import Wording

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.audio.frame import AudioFrame
    from parley.conversation import History, Message
    from parley.errors import ParleyError
    from parley.messages import PlayoutReport
    from parley.orders import ReplyRequest
    from parley.session.decide.sayings import Sayings
    from parley.session.floor import Floor
    from parley.session.outbox import Notices
    from parley.session.speaking.loudspeaker import Loudspeaker, ReplyRecords
    from parley.session.speaking.reply import ReplyParts
    from parley.values import Voice


class Replies:
    """Every reply's owner (``reply.Owner``): what it tells becomes an event, and orders come back from the table.

    ``played`` is told of each frame and of when it is heard; ``speaking`` says whether the participant speaks;
    ``give_floor`` lets somebody else have it; ``answered`` closes the turn that was answered, which stands there in
    the history; ``speak_with`` changes the floor's voice.
    """

    def __init__(
        self,
        parts: ReplyParts,
        floor: Floor,
        history: History,
        notices: Notices,
        loudspeaker: Loudspeaker,
        records: ReplyRecords,
        sayings: Sayings,
        *,
        on: Callable[[Event], None],
        played: Callable[[AudioFrame, float], None],
        speaking: Callable[[], bool],
        give_floor: Callable[[], None],
        answered: Callable[[Message | None], None],
        speak_with: Callable[[Voice], None],
    ) -> None:
        self.current: Reply | None = None
        """The one that is heard, or is to be next."""
        self._parts = parts
        self._floor = floor
        self._history = history
        self._notices = notices
        self._loudspeaker = loudspeaker
        self._records = records
        self._sayings = sayings
        self._on = on
        self._played = played
        self._speaking = speaking
        self._give_floor = give_floor
        self._answered = answered
        self._speak_with = speak_with
        self._begun = 0
        self._to_answer: tuple[str, Message | None, ReplyRequest | None] = ("", None, None)
        self._proven_voice = floor.voice

    # --- a reply begins ------------------------------------------------------------------

    def begin(
        self,
        turn_text: str,
        stages: Stages,
        *,
        to_speech: bool = False,
        from_outside: bool = False,
        request: ReplyRequest | None = None,
        place: Message | None = None,
    ) -> Reply:
        """Begin to make one, unheard until it is adopted.

        ``to_speech``: the turn that it answers was spoken, and stays open until the reply is heard. ``from_outside``:
        its text comes by ``say``. ``request``: somebody asked for it. ``place``: where what it answers stands already.
        """
        self._loudspeaker.settle()
        self._begun += 1
        floor = self._floor
        if turn_text or request is not None:
            self._parts.tools.asked()
        reply = Reply(
            self._parts,
            self,
            request.reply_id if request is not None else f"u{self._begun}",
            turn=floor.turns,
            turn_text=turn_text,
            voice=request.voice or floor.voice if request is not None else floor.voice,
            to_speech=to_speech,
            stages=stages,
            language=floor.voice.language or floor.language,
            wording=self._wording(turn_text),
            request=request,
        )
        prompt = self._parts.terms.instructions(request, self._parts.settings.reply.system_prompt)
        with working_for(partial(place_of, self._parts.session_id, 0 if from_outside else reply.turn)):
            if from_outside:
                reply.start(None)
            elif request is not None and request.context is not None:
                reply.start(tell([item for item in request.context if not isinstance(item, str)], prompt))
            else:
                reply.entry.answers, known = place, place is not None and place.text
                reply.start(self._history.messages(prompt, turn="" if known else turn_text))
        return reply

    def _wording(self, turn_text: str) -> Wording:
        """How the next reply's text becomes words: as the session says, or a text from outside for itself."""
        text, saying = self._parts.settings.text, self._sayings.current
        verbatim = not turn_text and saying is not None and saying.verbatim
        return Wording(None if text.normalize and not verbatim else False, text.lexicon)

    def be_next(self, reply: Reply) -> None:
        """This one is to be heard."""
        self.current = reply

    def take_text(self, text: str, event: Event, place: Message | None = None) -> None:
        """A turn came as text, by ``event``; ``place``: where it stands in the history, where it does already."""
        self._to_answer = (text, place, None)
        self._on(event)

    def take_request(self, request: ReplyRequest) -> None:
        """A reply is asked for, to the conversation as it is."""
        self._to_answer = ("", None, request)
        self._on(Event.TEXT_TYPED)

    def answer_text(self) -> None:
        """Begin the reply to it."""
        text, place, request = self._to_answer
        reply = self._start(text, request=request, place=place)
        reply.entry.begun = request is not None

    def speak_next(self) -> None:
        """Speak the text from outside that has waited longest."""
        if self._floor.agent is Agent.IDLE and self._sayings.next() is not None:
            self._on(Event.TEXT_GIVEN)

    def speak_text(self) -> None:
        """Begin to speak it."""
        saying = self._sayings.current
        assert saying is not None
        reply = self._start("", from_outside=True)
        reply.writing.say(saying.text)
        if saying.ended:
            reply.writing.say_end()

    def answer_results(self) -> None:
        """Begin the reply to what was done in the background."""
        self._parts.tools.tell_results()
        self._start("")

    def _start(self, turn_text: str, **more: Any) -> Reply:
        self.current = reply = self.begin(turn_text, Stages(clock.now()), **more)
        reply.adopt()
        return reply

    def say(self, delta: str) -> None:
        """More of the text from outside that is being spoken."""
        if self.current is not None:
            self.current.writing.say(delta)

    def say_end(self) -> None:
        """That was all of it."""
        if self.current is not None:
            self.current.writing.say_end()

    def announce(self) -> Message | None:
        """Its first frame is there: the participant is told of it, and the history of what it answers.

        Returns the place of that in the history, where it answers something.
        """
        reply = self._current
        reply.announce()
        place = self._records.note_turn(reply)
        self._records.place(reply)
        self._notices.send(ReplyStarted(reply.utterance_id, reply.turn, reply.voice))
        if reply.text:
            self._notices.send(ReplyText(reply.utterance_id, reply.text))
        return place

    # --- what a reply tells --------------------------------------------------------------

    async def reply_ready(self, reply: Reply) -> None:
        """Its first frame is there (``reply.Owner``)."""
        self._on(Event.REPLY_READY)
        self._proven_voice = reply.voice
        await self._notices.flush()

    def reply_calls(self, reply: Reply) -> None:
        """It calls tools (``reply.Owner``): whoever goes on speaking begins another turn."""
        self._answered(self._records.note_turn(reply))
        if has_words(reply.text):
            self._records.place(reply)
        self._records.begin(reply)

    def reply_text(self, reply: Reply, clause: str) -> None:
        """The next clause goes to the voice (``reply.Owner``)."""
        if reply.life.announced:
            self._notices.send(ReplyText(reply.utterance_id, clause))

    def reply_frame(self, reply: Reply, frame: AudioFrame, lateness: float) -> None:
        """A frame is being sent (``reply.Owner``)."""
        self._notices.observer.frame_sent(lateness)
        now = clock.now()
        self._played(frame, now + (frame.start_sample - reply.ledger.reached(now)) / SAMPLE_RATE)
        self._loudspeaker.sends(reply, frame.start_sample)

    def reply_troubled(self, reply: Reply, error: ParleyError) -> None:
        """The language model failed; an apology follows (``reply.Owner``)."""
        self._notices.failed(error)

    def reply_finished(self, reply: Reply) -> None:
        """All of it has been heard (``reply.Owner``)."""
        self._on(Event.PLAYOUT_FINISHED)
        self._give_floor()

    def reply_failed(self, reply: Reply, error: ParleyError | None) -> None:
        """There is no (more) audio (``reply.Owner``)."""
        said = self._sayings.current
        of_our_own = said is not None and said.remark
        if error is not None:
            self._notices.failed(error, quietly=of_our_own)
        reply.give_up(error)
        if reply.ledger.paused:
            self._loudspeaker.silence(reply)
        self._on(Event.REPLY_FAILED)
        broke_off = error is not None and not of_our_own and not isinstance(error, RequestError)
        self.remark(Remark.VOICE_LOST if broke_off else None)

    def remark(self, kind: Remark | None) -> None:
        """Give the floor, and say this before whatever waits to be spoken; whoever speaks comes first."""
        if kind is not None and self._floor.agent is Agent.IDLE and not self._speaking():
            setting: str = getattr(self._parts.settings.reply, kind.value)
            text = remark(kind, setting, self._floor.language)
            if text:
                self._sayings.interject(text)
        self._give_floor()

    # --- a reply is held, and ends -------------------------------------------------------

    @property
    def _current(self) -> Reply:
        assert self.current is not None
        return self.current

    def hold(self) -> None:
        """Silence at once; everything is kept."""
        self._loudspeaker.hold(self._current)

    def let_go(self) -> None:
        """Go on with the very next sample."""
        self._loudspeaker.let_go(self._current)

    def take_report(self, report: PlayoutReport) -> None:
        """The client says how far it has played."""
        self._loudspeaker.take_report(report, self.current)

    def finish(self) -> Message | None:
        """It was heard to its end, or failed. Returns the place of what it answers, where that had none before."""
        reply, self.current = self._current, None
        words = self._records.note_turn(reply)
        self._sayings.finish()
        self._records.close(reply)
        return words

    def discard(self) -> None:
        """Nobody has heard it; the turn that it answers may go on."""
        reply, self.current = self.current, None
        if reply is None:
            return
        reply.cancel()
        self._sayings.cut()
        if not reply.to_speech:  # there is no open turn that would keep the words
            self._records.note_turn(reply)
        self._records.discard(reply)

    def withhold(self) -> Reply | None:
        """Nobody has heard it, and perhaps nobody will: silent until it is adopted again."""
        reply, self.current = self.current, None
        if reply is not None:
            reply.withhold()
        return reply

    def tell_turn(self, words: Message, turn: int = 0) -> None:
        """Something was said, which stands in the history by now, and nobody has been told of."""
        self._records.tell_turn(words, turn)

    def stop(self, why: str) -> bool:
        """Say why the one that is being made or heard ends now; False where there is none."""
        if self.current is None:
            return False
        self.current.entry.stopped_by = why
        return True

    def cancel(self) -> None:
        """Silence for good; the history is told what was heard."""
        reply = self._current
        if not reply.life.announced:
            self.discard()
            return
        self.current = None
        reply.cancel()
        self._sayings.cut()
        self._records.cut(reply)
        self._loudspeaker.silence(reply)

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
        self._speak_with(voice)
        self._notices.send(VoiceChanged(voice, note))

    def voice_refused(self, reply: Reply, error: RequestError) -> Voice | None:
        """A voice that does not exist silences nothing: the one that has spoken before does (``reply.Owner``)."""
        refused, floor = reply.voice, self._floor
        if refused == floor.voice != self._proven_voice:
            self._notices.failed(error)
            self._set_voice(self._proven_voice, error.message)
        return floor.voice if floor.voice != refused else None
