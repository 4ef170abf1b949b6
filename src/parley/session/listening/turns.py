"""Turn taking, on the participant's side: a turn opens, may go on after a pause, closes, and is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.messages import TranscriptUpdate
from parley.session.decide.floor_table import Agent, Event, Participant
from parley.session.listening.turn import Turn
from parley.session.log import TurnClosed
from parley.session.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.session.floor import Floor
    from parley.session.listening.patience import Patience
    from parley.session.listening.recognition import Recognition
    from parley.session.notices import Notices
    from parley.session.settings import LimitSettings
    from parley.session.speaking.speculation import Answers


class Turns:
    """Keeps the open turn, and shows the participant what is understood of it."""

    def __init__(
        self,
        floor: Floor,
        notices: Notices,
        recognition: Recognition,
        patience: Patience,
        answers: Answers,
        limits: LimitSettings,
        *,
        on: Callable[[Event], None],
    ) -> None:
        self._floor = floor
        self._notices = notices
        self._recognition = recognition
        self._patience = patience
        self._answers = answers
        self._limits = limits
        self._on = on
        self._closing = "silence"

    # --- open ----------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to recognise a new one."""
        self.set_aside()
        floor = self._floor
        floor.turns += 1
        floor.turn = Turn(floor.turns, began_at=clock.now())
        self._recognition.follow(floor.turn)

    def reopen(self) -> None:
        """They went on: what they say belongs to the turn before."""
        turn = self._floor.turn
        if turn is None:
            self.open()
            return
        turn.close(self._limits.asr_timeout)
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
        watched.number, watched.kept = floor.turns, ""
        floor.turn = watched
        if watched.text:
            self._show(watched)

    def set_aside(self) -> None:
        """Whatever was said and never answered belongs to the history."""
        turn, self._floor.turn = self._floor.turn, None
        if turn is not None:
            turn.cancel()
            self._floor.history.add_participant(turn.text)

    # --- understood ----------------------------------------------------------------------

    def understood(self, turn: Turn) -> None:
        """The recogniser said something new of the open turn."""
        self._show(turn)
        self._answers.compare(turn)
        floor = self._floor
        agent = floor.machine.agent
        if agent is Agent.THINKING and floor.reply is None and turn.done:
            self._answer(turn)
        elif agent is Agent.LISTENING and floor.machine.participant is Participant.SILENT:
            self._patience.weigh(turn)

    def _show(self, turn: Turn) -> None:
        text, final = turn.text, turn.done and self._floor.machine.agent is Agent.THINKING
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
        turn.close(self._limits.asr_timeout)

    def _answer(self, turn: Turn) -> None:
        self._floor.stages.mark("asr")
        self._show(turn)
        self._answers.give(turn)
