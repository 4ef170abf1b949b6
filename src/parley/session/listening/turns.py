"""Turn taking, on the participant's side: how long a silence is waited out, and what becomes of the turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from parley import clock
from parley.errors import ParleyError, TimedOut
from parley.messages import TranscriptUpdate
from parley.orders import SpeechNoted, TurnCommitted
from parley.session.decide.endpointing import Evidence, PauseHabits, final_within, wait_for
from parley.session.decide.floor_table import Agent, Event, Participant
from parley.session.decide.lexicon import words
from parley.session.decide.repair import Repair
from parley.session.guard import guarded
from parley.session.listening.turn import Turn
from parley.session.log import TurnClosed
from parley.session.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from parley.conversation import History, Message
    from parley.interfaces import EndOfTurnModel
    from parley.session.floor import Floor
    from parley.session.listening.late import LateTranscripts
    from parley.session.listening.microphone import Microphone
    from parley.session.listening.recognition import Recognition
    from parley.session.outbox import Notices
    from parley.session.settings import SessionSettings
    from parley.session.speaking.replies import Replies
    from parley.session.speaking.speculation import Speculation
    from parley.session.tasks import Tasks, Timers

_MOST_ASKED = 4
"""Questions that a turn model may leave open; one that hangs is not given ever more threads."""
_AHEAD = 0.2
"""Seconds by which audio may come in a bunch, as networks deliver it, before its own clock counts."""
_STILL_RISING = 0.04
"""Seconds to wait when something has just begun that may be speech."""


class Endpointing:
    """Weighs the words, the melody, the participant's habits and a turn model's opinion; ``over`` ends the turn."""

    def __init__(
        self,
        floor: Floor,
        microphone: Microphone,
        speculation: Speculation,
        timers: Timers,
        tasks: Tasks,
        model: EndOfTurnModel | None,
        settings: SessionSettings,
        *,
        over: Callable[[], None],
        terms: Terms | None = None,
    ) -> None:
        self._terms = terms or Terms()
        self._floor = floor
        self._microphone = microphone
        self._speculation = speculation
        self._timers = timers
        self._tasks = tasks
        self._given = model
        self._wait = float("inf")
        self.change(settings)
        self._over = over
        self._habits = PauseHabits()
        self._asked = 0
        self._turn: Turn | None = None
        """The one whose silence is being measured."""

    def change(self, settings: SessionSettings) -> None:
        """Wait by these from now on."""
        self._settings = settings
        self._model = self._given if settings.endpointing.semantic else None

    def heard(self) -> None:
        """More of the microphone is there. Audio that comes faster than it was spoken is silent by its own clock."""
        if self._turn is not None and self._silent and self.silence - _AHEAD > self._wait:
            self._silence_ends_turn()

    @property
    def silence(self) -> float:
        """Seconds of audio since the last voice."""
        return self._microphone.since_voice

    def begin(self, turn: Turn) -> None:
        """They are silent: when is the turn over, if they stay so?"""
        turn.paused(self._microphone.last_voice_at, self._microphone.melody(turn.began_at))
        if self._model is not None:
            self._ask(self._model, turn, self._microphone.recent())
        self.weigh(turn)

    def weigh(self, turn: Turn) -> None:
        """The better the words are known, the better the moment."""
        settings = self._settings
        self._turn = turn
        covered = turn.covers(self.silence)
        evidence = Evidence(
            turn.text,
            self._floor.language,
            turn.confidence,
            turn.melody,
            turn.probability,
            covered=covered,
            length=turn.ended_at - turn.began_at,
        )
        wait = wait_for(evidence, self._habits, settings.endpointing)
        self._wait = wait.seconds
        self._timers.set("end", turn.ended_at + wait.seconds, self._silence_ends_turn)
        self._speculation.compare(turn.text)
        if wait.likely and not self._speculation.guessing:
            self._timers.set("speculate", turn.ended_at + settings.speculation.after, self._speculate)

    def stop(self) -> None:
        """The turn is over, or goes on."""
        self._turn = None
        self._timers.cancel("end", "speculate")

    def interrupted(self, turn: Turn | None) -> None:
        """They speak again. If it is a turn that goes on, its pause is one of their habits."""
        if turn is not None and turn.ended_at:
            segmenter = self._microphone.segmenter
            onset_at = self._microphone.heard_at - (segmenter.now - segmenter.onset)
            self._habits.paused(max(0.0, onset_at - turn.ended_at))
            turn.goes_on()
        self.stop()

    def _ask(self, model: EndOfTurnModel, turn: Turn, samples: NDArray[np.int16]) -> None:
        if self._asked >= _MOST_ASKED:
            return
        self._asked += 1
        asked_at = turn.ended_at

        async def ask() -> None:
            try:
                with guarded("turn model"):
                    probability = await asyncio.to_thread(model.probability, samples)
            except ParleyError:
                return  # without it the words are judged
            finally:
                self._asked -= 1
            if turn is self._turn and turn.ended_at == asked_at and self._silent:
                turn.rated(probability)
                self.weigh(turn)

        self._tasks.spawn(ask, "turn model")

    @property
    def _silent(self) -> bool:
        return self._floor.states == (Participant.SILENT, Agent.LISTENING)

    def _speculate(self) -> None:
        """Begin the reply, in case that nothing more is said."""
        turn, settings = self._turn, self._settings.speculation
        if turn is None or not self._silent or self._speculation.guessing or self._microphone.segmenter.rising:
            return
        wanted = settings.enabled and self._terms.speaks and self._terms.measures.guesses
        if wanted and turn.tries < settings.max_tries and words(turn.text):
            turn.guessed()
            self._speculation.begin(turn.text, turn.stages.origin)

    def _silence_ends_turn(self) -> None:
        if not self._silent:
            return
        if self._microphone.rising(clock.now()):
            self._timers.set("end", clock.now() + _STILL_RISING, self._silence_ends_turn)
        else:
            self._over()


class Turns:
    """Keeps the open turn, and shows the participant what is understood of it. ``count`` numbers a new one."""

    def __init__(
        self,
        floor: Floor,
        history: History,
        notices: Notices,
        recognition: Recognition,
        endpointing: Endpointing,
        late: LateTranscripts,
        speculation: Speculation,
        replies: Replies,
        timers: Timers,
        settings: SessionSettings,
        *,
        on: Callable[[Event], None],
        count: Callable[[], int],
        terms: Terms | None = None,
        write: Callable[[], None] = lambda: None,
        overheard: Callable[[], Turn | None] = lambda: None,
        asked: Callable[[], bool] = lambda: False,
    ) -> None:
        """``write`` answers in writing, where that is wanted; ``overheard``: what is being said already.

        ``asked``: somebody has asked for a reply, which waits for the turn to be over.
        """
        self._terms, self._write, self._overheard, self._asked = terms or Terms(), write, overheard, asked
        self.open_turn: Turn | None = None
        """The participant's, until its reply is heard."""
        self._floor = floor
        self._history = history
        self._notices = notices
        self._recognition = recognition
        self._endpointing = endpointing
        self._late = late
        self._speculation = speculation
        self._replies = replies
        self._timers = timers
        self._limits = settings.limits
        self._repair = Repair(settings.reply.clear_speech)
        self._on = on
        self._count = count
        self._closing = "silence"

    # --- open ----------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to recognise a new one."""
        self.set_aside()
        self._late.overtaken()
        self.open_turn = turn = self._overheard() or Turn(self._count(), began_at=clock.now())
        if not turn.parts:
            self._name(turn)
            self._recognition.follow(turn)

    def reopen(self) -> None:
        """They went on: what they say belongs to the turn before."""
        turn = self.open_turn
        if turn is None:
            self.open()
            return
        self._close(turn)
        self._note_speech(turn, started=True)
        self._recognition.follow(turn)

    def adopt(self, watched: Turn | None) -> None:
        """What is said over the reply is a turn."""
        if watched is None:
            self.open()
            return
        self.set_aside()
        self._late.overtaken()
        watched.adopted(self._count())
        self.open_turn = watched
        self._name(watched)
        if watched.text:
            self._show(watched)

    def set_aside(self) -> None:
        """Whatever was said and never answered belongs to the history."""
        turn, self.open_turn = self.open_turn, None
        if turn is not None:
            self._note_speech(turn, started=False)
            turn.passed()
            self._late.leave(turn, self._place_of(turn))

    def clear(self) -> None:
        """What is being said is not to be a turn; of one that went on, what is committed stays, and is answered."""
        if self._floor.participant is Participant.SPEAKING:
            self._on(Event.SPEECH_ENDED)
        turn = self.open_turn
        if turn is None or turn.place is None:
            self._on(Event.TURN_CLEARED)
        else:
            turn.parts.pop().cancel()
            self.end("message")

    def forget(self) -> None:
        """There never was a turn."""
        turn, self.open_turn = self.open_turn, None
        if turn is not None:
            self._note_speech(turn, started=False)
            turn.cancel()

    def answered(self, words: Message | None) -> None:
        """Its reply sounds; what it said stands at ``words`` (None: the reply answers nothing)."""
        if words is None:
            return
        turn, self.open_turn = self.open_turn, None
        if turn is not None:
            self._late.leave(turn, words)

    # --- entry by entry ------------------------------------------------------------------

    def _name(self, turn: Turn) -> None:
        """It begins, for whoever knows the entries."""
        if self._terms.by_item:
            turn.item_id = self._history.new_id()
            self._note_speech(turn, started=True)

    def _note_speech(self, turn: Turn, *, started: bool) -> None:
        if self._terms.by_item and turn.sounds(started=started):
            at = self._recognition.onset if started else self._recognition.last_voice
            self._notices.note(SpeechNoted(turn.item_id, started, at))

    def _place_of(self, turn: Turn) -> Message:
        """Where it stands in the history: from its end on, where entries keep their places."""
        if not self._terms.by_item:
            return self._history.keep_place("user")
        if turn.place is None:
            turn.place = self._history.keep_place("user", turn.item_id)
            turn.item_id = turn.place.id
            self._notices.note(TurnCommitted(turn.item_id, self._history.before(turn.item_id), turn.number))
        return turn.place

    # --- understood ----------------------------------------------------------------------

    def understood(self, turn: Turn) -> None:
        """The recogniser said something new of the open turn."""
        self._show(turn)
        self._speculation.compare(turn.text)
        floor = self._floor
        if floor.agent is Agent.THINKING and turn.done and (words(turn.text) or not self._speculation.answering):
            self._answer(turn)
        elif floor.agent is Agent.LISTENING and floor.participant is Participant.SILENT:
            self._endpointing.weigh(turn)

    def _show(self, turn: Turn) -> None:
        text, final = turn.text, (turn.done or turn.overdue) and self._floor.agent is Agent.THINKING
        if (text or final) and turn.shown(text, final=final):
            self._notices.send(TranscriptUpdate(turn.number, text, final, len(text) if final else turn.stable))

    # --- over ----------------------------------------------------------------------------

    def await_end(self) -> None:
        """Start to measure the silence that may end it."""
        assert self.open_turn is not None
        self._endpointing.begin(self.open_turn)

    def interrupted(self) -> None:
        """They speak again."""
        self._endpointing.interrupted(self.open_turn)

    def end(self, reason: str) -> None:
        """The turn is over: ``reason`` is one of ``log.TurnClosed``."""
        self._closing = reason
        self._on(Event.TURN_ENDED)
        turn = self.open_turn
        if turn is not None and turn.done:
            self._answer(turn)

    def check_length(self, now: float) -> None:
        """End a turn that has become too long."""
        turn = self.open_turn
        listening = self._floor.agent is Agent.LISTENING
        if turn is not None and listening and now - turn.began_at > self._limits.max_turn:
            self.end("limit")

    def close(self) -> None:
        """No more audio for it."""
        turn = self.open_turn
        assert turn is not None
        self._endpointing.stop()
        now = clock.now()
        if self._floor.participant is Participant.SPEAKING or not turn.ended_at:  # they said so, in mid-speech
            turn.ended(now)
        turn.stages.mark("endpoint")
        delay = round(now - turn.ended_at, 6)
        length = round(max(0.0, turn.ended_at - turn.began_at), 6)
        self._notices.log(TurnClosed(self._notices.now(), turn.number, self._closing, delay, length))
        turn.closing(self._recognition.voiced(turn))
        self._close(turn)
        if self._terms.by_item:
            self._note_speech(turn, started=False)
            self._place_of(turn)
        known = turn.understood(self._endpointing.silence)
        patience = min(final_within(turn.confidence) if known else float("inf"), self._limits.asr_timeout)
        self._timers.set("final transcript", now + patience, lambda: self._wait_no_longer(late=not known))

    def _close(self, turn: Turn) -> None:
        turn.close(self._limits.asr_timeout + self._limits.asr_late)

    def _wait_no_longer(self, *, late: bool) -> None:
        """Go on with what is understood by now; if the rest comes later, it is not lost."""
        turn = self.open_turn
        if turn is None or turn.done or self._floor.agent is not Agent.THINKING:
            return
        turn.waited_out()
        if late:
            self._notices.failed(TimedOut("The recogniser took too long."))
        self._answer(turn)

    def _answer(self, turn: Turn) -> None:
        turn.stages.mark("asr")
        self._show(turn)
        if words(turn.text) and not self._speaks:
            self._repair.understood()
            self._leave_unanswered(turn)
        elif words(turn.text):
            self._repair.understood()
            self._speculation.answer(turn.text, turn.stages, turn.place)
        else:
            self._say_that_nothing_was_understood(turn)

    @property
    def _speaks(self) -> bool:
        """It is answered aloud, and not by a reply that was asked for already."""
        return self._terms.speaks and not self._asked()

    def _leave_unanswered(self, turn: Turn) -> None:
        """Whoever wants a reply asks for it, or has; or it is written."""
        self.open_turn = None
        self._speculation.drop()
        self._on(Event.TURN_EMPTY)
        if self._terms.manner.answers and self._asked():
            turn.passed()
        self._late.leave(turn, self._place_of(turn))
        if self._terms.writes:
            self._write()
        self._replies.remark(None)

    def _say_that_nothing_was_understood(self, turn: Turn) -> None:
        self.open_turn = None
        remark = self._repair.not_understood(turn.voiced, failed=turn.failed) if self._speaks else None
        self._on(Event.NOT_UNDERSTOOD if remark else Event.TURN_EMPTY)
        self._late.leave(turn, self._place_of(turn), unanswered=self._terms.manner.answers)
        self._replies.remark(remark)
