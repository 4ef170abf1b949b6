"""Words that are understood when the conversation has gone on: answered if that still helps, else kept in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley import clock
from parley.messages import TranscriptUpdate
from parley.orders import TurnSettled
from parley.session.decide.floor_table import Agent, Event
from parley.session.decide.interruption import only_nods, wants_answer
from parley.session.decide.lexicon import words
from parley.session.log import TranscriptLate
from parley.session.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.conversation import History, Message
    from parley.session.floor import Floor
    from parley.session.listening.turn import Turn
    from parley.session.log import LateOutcome
    from parley.session.outbox import Notices
    from parley.session.settings import SessionSettings
    from parley.session.speaking.replies import Replies

_MOST = 4
"""Turns that are waited for at once; of more, the oldest are given up."""


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """A turn that nobody waits for any more."""

    turn: Turn
    words: Message
    """Where what it said stands in the history."""
    since: float
    unanswered: bool


class LateTranscripts:
    """Listens on, within bounds, to what the recogniser still has to say of turns that were left."""

    def __init__(
        self,
        floor: Floor,
        history: History,
        notices: Notices,
        replies: Replies,
        settings: SessionSettings,
        terms: Terms | None = None,
        *,
        settled: Callable[[], None] = lambda: None,
        write: Callable[[], None] = lambda: None,
        asked: Callable[[], bool] = lambda: False,
    ) -> None:
        """``settled``: something that was waited for is understood, or never will be; ``write`` answers in writing;
        ``asked``: somebody has asked for a reply, which waits for this.
        """
        self._terms, self._settled, self._write, self._asked = terms or Terms(), settled, write, asked
        self._waiting_place: Message | None = None
        self.waiting = ""
        """What was understood late, and waits for a free floor to be answered."""
        self._floor = floor
        self._history = history
        self._notices = notices
        self._barge_in = settings.barge_in
        self._limits = settings.limits
        self._replies = replies
        self._left: list[_Left] = []

    def leave(self, turn: Turn, words: Message, *, unanswered: bool = False) -> None:
        """What is still understood of ``turn`` belongs at ``words``; ``unanswered``: and is to be answered."""
        text = self._worth_keeping(turn)
        if text or turn.done:
            self._history.amend(words, text)
        if turn.done:
            self._settle(turn, words, text)
            return
        turn.close(self._limits.asr_timeout + self._limits.asr_late)
        self._left.append(_Left(turn, words, clock.now(), unanswered))
        if len(self._left) > _MOST:
            self._give_up(self._left[0])

    def understood(self, turn: Turn) -> None:
        """The recogniser has said something new of a turn; if it was left, and this was all, that counts now."""
        left = next((left for left in self._left if left.turn is turn), None)
        if left is None or not turn.done:
            return
        self._left.remove(left)
        text = self._worth_keeping(turn)
        if not text:
            self._history.amend(left.words, "")
            self._log(left, "lost" if turn.failed else "empty")
            self._settle(turn, left.words, "")
            return
        newest = turn.number == self._floor.turns
        answer = left.unanswered and newest and bool(words(text))
        by_item = self._terms.by_item
        self._history.amend(left.words, "" if answer and not by_item else text)
        self._notices.send(TranscriptUpdate(turn.number or self._floor.turns, text, True, len(text)))
        self._log(left, "answered" if answer else "kept")
        self._settle(turn, left.words, text)
        if answer and self._terms.writes:
            self._write()
        elif answer and not self._asked():
            self.answer(text, left.words if by_item else None)

    def answer(self, text: str, place: Message | None = None) -> None:
        """Answer what was understood late: now, or when the floor is free. ``place``: where it stands already."""
        self.waiting, self._waiting_place = text, place
        if self._floor.agent is Agent.IDLE:
            self.answer_now()

    def answer_now(self) -> None:
        """The floor is free."""
        text, place = self.waiting, self._waiting_place
        self.waiting, self._waiting_place = "", None
        self._replies.take_text(text, Event.UNDERSTOOD_LATE, place)

    def overtaken(self) -> None:
        """Somebody says something new: what waits needs no answer of its own."""
        self.waiting = ""

    def forget(self) -> None:
        """Nothing more is of interest."""
        left, self._left = self._left, []
        for one in left:
            one.turn.cancel()

    def _give_up(self, left: _Left) -> None:
        self._left.remove(left)
        left.turn.cancel()
        self._log(left, "lost")
        self._settle(left.turn, left.words, left.words.text)

    @property
    def expecting(self) -> bool:
        """True while the words of a turn are waited for that stands in the conversation."""
        return any(left.turn.item_id for left in self._left)

    def _settle(self, turn: Turn, words: Message, text: str) -> None:
        """No more will be understood of it: whoever knows the entries is told."""
        if not self._terms.by_item:
            return
        if turn.item_id:
            lost = "" if text or not turn.failed else "What was said could not be understood."
            self._notices.note(TurnSettled(turn.item_id, text, round(turn.seconds, 3), lost))
        elif text and not words.id:
            self._history.insert(words)
            self._replies.tell_turn(words, turn.number)
        self._settled()

    def _worth_keeping(self, turn: Turn) -> str:
        """Of a turn, everything; of a sound over a reply, what is more than a nod, and of a turn that began as one."""
        text = turn.text
        if turn.passed_over and only_nods(text, self._floor.language):
            return ""
        if turn.number or wants_answer(text, self._floor.language, turn.confidence, self._barge_in):
            return text
        return ""

    def _log(self, left: _Left, outcome: LateOutcome) -> None:
        waited = round(clock.now() - left.since, 6)
        self._notices.log(TranscriptLate(self._notices.now(), left.turn.number, waited, outcome))
