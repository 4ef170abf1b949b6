"""Turn taking, on the participant's side: a turn opens, may go on after a pause, closes, and is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.errors import TimedOut
from parley.messages import TranscriptUpdate
from parley.session.decide.floor_table import Agent, Event, Participant
from parley.session.decide.lexicon import words
from parley.session.decide.repair import Repair
from parley.session.listening.turn import Turn
from parley.session.log import TurnClosed
from parley.session.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.session.decide.history import Words
    from parley.session.floor import Floor
    from parley.session.listening.late import LateTranscripts
    from parley.session.listening.patience import Patience
    from parley.session.listening.recognition import Recognition
    from parley.session.notices import Notices
    from parley.session.settings import SessionSettings
    from parley.session.speaking.replies import Replies
    from parley.session.speaking.speculation import Answers
    from parley.session.tasks import Timers


class Turns:
    """Keeps the open turn, and shows the participant what is understood of it."""

    def __init__(
        self,
        floor: Floor,
        notices: Notices,
        recognition: Recognition,
        patience: Patience,
        late: LateTranscripts,
        answers: Answers,
        replies: Replies,
        timers: Timers,
        settings: SessionSettings,
        *,
        on: Callable[[Event], None],
    ) -> None:
        self._floor = floor
        self._notices = notices
        self._recognition = recognition
        self._patience = patience
        self._late = late
        self._answers = answers
        self._replies = replies
        self._timers = timers
        self._limits = settings.limits
        self._repair = Repair(settings.reply.clear_speech)
        self._on = on
        self._closing = "silence"

    # --- open ----------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to recognise a new one."""
        self.set_aside()
        floor = self._floor
        floor.turns += 1
        floor.late = ""
        floor.turn = Turn(floor.turns, began_at=clock.now())
        self._recognition.follow(floor.turn)

    def reopen(self) -> None:
        """They went on: what they say belongs to the turn before."""
        turn = self._floor.turn
        if turn is None:
            self.open()
            return
        self._close(turn)
        self._recognition.follow(turn)

    def adopt(self) -> None:
        """What is said over the reply is a turn."""
        floor = self._floor
        watched, floor.watched = floor.watched, None
        if watched is None:
            self.open()
            return
        self.set_aside()
        floor.turns += 1
        floor.late = ""
        watched.number, watched.kept = floor.turns, ""
        floor.turn = watched
        if watched.text:
            self._show(watched)

    def set_aside(self) -> None:
        """Whatever was said and never answered belongs to the history."""
        turn, self._floor.turn = self._floor.turn, None
        if turn is not None:
            self._late.leave(turn, self._floor.history.keep_place("user"))

    # --- understood ----------------------------------------------------------------------

    def understood(self, turn: Turn) -> None:
        """The recogniser said something new of the open turn."""
        self._show(turn)
        self._answers.compare(turn)
        floor = self._floor
        agent = floor.machine.agent
        if agent is Agent.THINKING and turn.done and (floor.reply is None or words(turn.text)):
            self._answer(turn)
        elif agent is Agent.LISTENING and floor.machine.participant is Participant.SILENT:
            self._patience.weigh(turn)

    def _show(self, turn: Turn) -> None:
        text, final = turn.text, (turn.done or turn.overdue) and self._floor.machine.agent is Agent.THINKING
        if (text or final) and turn.told != (text, final):
            turn.told = (text, final)
            self._notices.send(TranscriptUpdate(turn.number, text, final, len(text) if final else turn.stable))

    # --- over ----------------------------------------------------------------------------

    def end(self, reason: str) -> None:
        """The turn is over: ``reason`` is one of ``log.TurnClosed``."""
        self._closing = reason
        self._on(Event.TURN_ENDED)
        turn = self._floor.turn
        if turn is not None and turn.done:
            self._answer(turn)

    def check_length(self, now: float) -> None:
        """End a turn that has become too long."""
        turn = self._floor.turn
        listening = self._floor.machine.agent is Agent.LISTENING
        if turn is not None and listening and now - turn.began_at > self._limits.max_turn:
            self.end("limit")

    def close(self) -> None:
        """No more audio for it."""
        floor = self._floor
        turn = floor.turn
        assert turn is not None
        now = clock.now()
        if floor.machine.participant is Participant.SPEAKING or not turn.ended_at:  # they said so, in mid-speech
            turn.ended_at = now
            floor.stages = Stages(now)
        floor.stages.mark("endpoint")
        delay = round(now - turn.ended_at, 6)
        self._notices.log(TurnClosed(self._notices.now(), turn.number, self._closing, delay))
        turn.voiced, turn.overdue = self._recognition.voiced(turn), False
        self._close(turn)
        self._timers.set("final transcript", now + self._limits.asr_timeout, self._wait_no_longer)

    def answered(self, words: Words) -> None:
        """Its reply sounds; what it said stands at ``words``."""
        turn, self._floor.turn = self._floor.turn, None
        if turn is not None:
            self._late.leave(turn, words)

    def _close(self, turn: Turn) -> None:
        turn.close(self._limits.asr_timeout + self._limits.asr_late)

    def _wait_no_longer(self) -> None:
        """Go on with what is understood by now; if the rest comes later, it is not lost."""
        floor = self._floor
        turn = floor.turn
        if turn is None or turn.done or floor.machine.agent is not Agent.THINKING:
            return
        turn.overdue = True
        self._notices.failed(TimedOut("The recogniser took too long."))
        self._answer(turn)

    def _answer(self, turn: Turn) -> None:
        self._floor.stages.mark("asr")
        self._show(turn)
        if words(turn.text):
            self._repair.understood()
            self._answers.give(turn)
        else:
            self._say_that_nothing_was_understood(turn)

    def _say_that_nothing_was_understood(self, turn: Turn) -> None:
        floor = self._floor
        floor.turn = None
        remark = self._repair.not_understood(turn.voiced, failed=turn.failed)
        self._on(Event.NOT_UNDERSTOOD if remark else Event.TURN_EMPTY)
        self._late.leave(turn, floor.history.keep_place("user"), unanswered=True)
        self._replies.remark(remark)
