"""Turn taking, on the participant's side: how long a silence is waited out, and what becomes of the turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from parley import clock
from parley.errors import ParleyError, TimedOut
from parley.messages import TranscriptUpdate
from parley.session.decide.endpointing import Evidence, PauseHabits, wait_for
from parley.session.decide.floor_table import Agent, Event, Participant
from parley.session.decide.lexicon import words
from parley.session.decide.repair import Repair
from parley.session.guard import guarded
from parley.session.listening.turn import Turn
from parley.session.log import TurnClosed

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
_BETTER_WORDS = 0.3
"""Seconds for which the final transcript is waited for where another one reaches the end of the speech already."""
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
    ) -> None:
        self._floor = floor
        self._microphone = microphone
        self._speculation = speculation
        self._timers = timers
        self._tasks = tasks
        self._model = model if settings.endpointing.semantic else None
        self._settings = settings
        self._over = over
        self._habits = PauseHabits()
        self._asked = 0
        self._turn: Turn | None = None
        """The one whose silence is being measured."""

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
        if settings.enabled and turn.tries < settings.max_tries and words(turn.text):
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
    ) -> None:
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
        self.open_turn = turn = Turn(self._count(), began_at=clock.now())
        self._recognition.follow(turn)

    def reopen(self) -> None:
        """They went on: what they say belongs to the turn before."""
        turn = self.open_turn
        if turn is None:
            self.open()
            return
        self._close(turn)
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
        if watched.text:
            self._show(watched)

    def set_aside(self) -> None:
        """Whatever was said and never answered belongs to the history."""
        turn, self.open_turn = self.open_turn, None
        if turn is not None:
            self._late.leave(turn, self._history.keep_place("user"))

    def answered(self, words: Message | None) -> None:
        """Its reply sounds; what it said stands at ``words`` (None: the reply answers nothing)."""
        if words is None:
            return
        turn, self.open_turn = self.open_turn, None
        if turn is not None:
            self._late.leave(turn, words)

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
        self._notices.log(TurnClosed(self._notices.now(), turn.number, self._closing, delay))
        turn.closing(self._recognition.voiced(turn))
        self._close(turn)
        known = turn.understood(self._endpointing.silence)
        patience = min(_BETTER_WORDS, self._limits.asr_timeout) if known else self._limits.asr_timeout
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
        if words(turn.text):
            self._repair.understood()
            self._speculation.answer(turn.text, turn.stages)
        else:
            self._say_that_nothing_was_understood(turn)

    def _say_that_nothing_was_understood(self, turn: Turn) -> None:
        self.open_turn = None
        remark = self._repair.not_understood(turn.voiced, failed=turn.failed)
        self._on(Event.NOT_UNDERSTOOD if remark else Event.TURN_EMPTY)
        self._late.leave(turn, self._history.keep_place("user"), unanswered=True)
        self._replies.remark(remark)
