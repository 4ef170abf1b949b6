"""The reply to a spoken turn: begun early, on a guess, where silence says that the turn is probably over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.session.decide.lexicon import words
from parley.session.log import Speculated, Stages

if TYPE_CHECKING:
    from parley.conversation import Message
    from parley.session.floor import Floor
    from parley.session.outbox import Notices
    from parley.session.speaking.replies import Replies
    from parley.session.speaking.reply import Reply


class Speculation:
    """Holds at most one speculative reply; nobody hears it before the turn has ended with the words it answers."""

    def __init__(self, floor: Floor, notices: Notices, replies: Replies) -> None:
        self._floor = floor
        self._notices = notices
        self._replies = replies
        self._guess: Reply | None = None

    @property
    def guessing(self) -> bool:
        """True while a speculative reply is being made."""
        return self._guess is not None

    @property
    def answering(self) -> bool:
        """True when a reply is heard, or is to be next."""
        return self._replies.current is not None

    def begin(self, text: str, origin: float) -> None:
        """Begin the reply, in case that nothing more is said; ``origin`` is the last voice so far (loop time)."""
        self._guess = self._replies.begin(text, Stages(origin), to_speech=True)

    def compare(self, text: str) -> None:
        """Other words were understood: a guess that does not answer them is dropped."""
        if self._guess is not None and not _same_words(self._guess.turn_text, text):
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

    def answer(self, text: str, stages: Stages, place: Message | None = None) -> None:
        """The turn is over and was understood: answer it, with the guess if it was right.

        Nor is one that answers less of it, and was not heard yet, more than a guess. ``place``: where the turn stands
        in the history, where it does already.
        """
        self.withhold()
        reply = self._proven_guess(text) or self._replies.begin(text, stages, to_speech=True)
        reply.entry.answers = place
        self._replies.be_next(reply)
        reply.adopt_for(text, stages)

    def _proven_guess(self, text: str) -> Reply | None:
        guess, self._guess = self._guess, None
        if guess is None:
            return None
        used = _same_words(guess.turn_text, text) and not guess.life.troubled
        self._notices.log(Speculated(self._notices.now(), self._floor.turns, used))
        if not used:
            guess.cancel()
            return None
        return guess


def _same_words(one: str, other: str) -> bool:
    return words(one) == words(other)
