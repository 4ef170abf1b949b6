"""The reply to a spoken turn: begun early, on a guess, where silence says that the turn is probably over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.session.decide.floor_table import Agent, Participant
from parley.session.decide.lexicon import words
from parley.session.log import Speculated, Stages

if TYPE_CHECKING:
    from parley.session.floor import Floor
    from parley.session.listening.microphone import Microphone
    from parley.session.listening.turn import Turn
    from parley.session.outbox import Notices
    from parley.session.settings import SpeculationSettings
    from parley.session.speaking.replies import Replies
    from parley.session.speaking.reply import Reply


class Speculation:
    """Holds at most one speculative reply; nobody hears it before the turn has ended with the words it answers."""

    def __init__(
        self,
        floor: Floor,
        notices: Notices,
        microphone: Microphone,
        replies: Replies,
        settings: SpeculationSettings,
    ) -> None:
        self._floor = floor
        self._notices = notices
        self._microphone = microphone
        self._replies = replies
        self._settings = settings
        self._guess: Reply | None = None

    @property
    def guessing(self) -> bool:
        """True while a speculative reply is being made."""
        return self._guess is not None

    def speculate(self) -> None:
        """Begin the reply, in case that nothing more is said."""
        floor = self._floor
        turn = floor.turn
        silent = floor.machine.states == (Participant.SILENT, Agent.LISTENING)
        if turn is None or not silent or self._guess is not None or self._microphone.segmenter.rising:
            return
        settings = self._settings
        if not settings.enabled or turn.tries >= settings.max_tries or not words(turn.text):
            return
        turn.tries += 1
        self._guess = self._replies.begin(turn.text, Stages(floor.stages.origin))

    def compare(self, turn: Turn) -> None:
        """Other words were understood: a guess that does not answer them is dropped."""
        if self._guess is not None and not _same_words(self._guess.turn_text, turn.text):
            self.drop()

    def withhold(self) -> None:
        """They may be going on: the reply that nobody has heard is one more guess that they are not."""
        reply = self._replies.withhold()
        if reply is not None:
            self.drop()
            self._guess = reply

    def drop(self) -> None:
        """They said something else, or will not be answered."""
        if self._guess is not None:
            self._guess.cancel()
            self._guess = None
            self._notices.log(Speculated(self._notices.now(), self._floor.turns, False))

    def give(self, turn: Turn) -> None:
        """The turn is over and was understood: answer it, with the guess if it was right.

        Nor is one that answers less of it, and was not heard yet, more than a guess.
        """
        self.withhold()
        reply = self._proven_guess(turn) or self._replies.begin(turn.text, self._floor.stages)
        self._floor.reply = reply
        reply.adopt()

    def _proven_guess(self, turn: Turn) -> Reply | None:
        guess, self._guess = self._guess, None
        if guess is None:
            return None
        used = _same_words(guess.turn_text, turn.text) and guess.outcome != "failed"
        self._notices.log(Speculated(self._notices.now(), turn.number, used))
        if not used:
            guess.cancel()
            return None
        guess.turn_text, guess.stages = turn.text, self._merged(guess.stages)
        return guess

    def _merged(self, early: Stages) -> Stages:
        """What the speculation reached early counts from the turn's end."""
        stages = self._floor.stages
        for stage, at in early.reached.items():
            stages.reached.setdefault(stage, at)
        return stages


def _same_words(one: str, other: str) -> bool:
    return words(one) == words(other)
