"""How long a silence is waited out before the turn is over, and whether its reply may be begun meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from parley import clock
from parley.errors import ParleyError
from parley.session.decide.endpointing import Evidence, PauseHabits, wait_for
from parley.session.decide.floor_table import Agent, Participant
from parley.session.guard import guarded
from parley.session.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from parley.interfaces import EndOfTurnModel
    from parley.session.floor import Floor
    from parley.session.listening.microphone import Ears
    from parley.session.listening.turn import Turn
    from parley.session.settings import SessionSettings
    from parley.session.speaking.speculation import Answers
    from parley.session.tasks import Tasks, Timers

_MOST_ASKED = 4
"""Questions that a turn model may leave open; one that hangs is not given ever more threads."""
_STILL_RISING = 0.04
"""Seconds to wait when something has just begun that may be speech."""


class Patience:
    """Weighs the words, the melody, the participant's habits and a turn model's opinion; ``over`` ends the turn."""

    def __init__(
        self,
        floor: Floor,
        ears: Ears,
        answers: Answers,
        timers: Timers,
        tasks: Tasks,
        model: EndOfTurnModel | None,
        settings: SessionSettings,
        *,
        over: Callable[[], None],
    ) -> None:
        self._floor = floor
        self._ears = ears
        self._answers = answers
        self._timers = timers
        self._tasks = tasks
        self._model = model if settings.endpointing.semantic else None
        self._settings = settings
        self._over = over
        self._habits = PauseHabits()
        self._asked = 0

    def begin(self) -> None:
        """They are silent: when is the turn over, if they stay so?"""
        floor = self._floor
        turn = floor.turn
        assert turn is not None
        turn.ended_at, turn.melody = self._ears.last_voice_at, self._ears.melody(turn.began_at)
        floor.stages = Stages(turn.ended_at)
        floor.stages.mark("vad")
        if self._model is not None:
            self._ask(self._model, turn, self._ears.recent())
        self.weigh(turn)

    def weigh(self, turn: Turn) -> None:
        """The better the words are known, the better the moment."""
        settings = self._settings
        evidence = Evidence(turn.text, self._floor.language, turn.confidence, turn.melody, turn.probability)
        turn.wait = wait = wait_for(evidence, self._habits, settings.endpointing)
        self._timers.set("end", turn.ended_at + wait.seconds, self._silence_ends_turn)
        self._answers.compare(turn)
        if wait.likely and not self._answers.guessing:
            self._timers.set("speculate", turn.ended_at + settings.speculation.after, self._answers.speculate)

    def stop(self) -> None:
        """The turn is over, or goes on."""
        self._timers.cancel("end", "speculate")

    def interrupted(self) -> None:
        """They speak again. If it is a turn that goes on, its pause is one of their habits."""
        turn = self._floor.turn
        if turn is not None and turn.ended_at:
            segmenter = self._ears.segmenter
            onset_at = self._ears.heard_at - (segmenter.now - segmenter.onset)
            self._habits.paused(max(0.0, onset_at - turn.ended_at))
            turn.probability = None
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
            if turn is self._floor.turn and turn.ended_at == asked_at and self._silent:
                turn.probability = probability
                self.weigh(turn)

        self._tasks.spawn(ask, "turn model")

    @property
    def _silent(self) -> bool:
        return self._floor.machine.states == (Participant.SILENT, Agent.LISTENING)

    def _silence_ends_turn(self) -> None:
        if not self._silent:
            return
        if self._ears.rising(clock.now()):
            self._timers.set("end", clock.now() + _STILL_RISING, self._silence_ends_turn)
        else:
            self._over()
