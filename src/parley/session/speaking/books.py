"""What becomes of replies once they are over: history, log and the word to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.audio.frame import SAMPLE_RATE
from parley.messages import ReplyEnded
from parley.session.log import ReplyOver

if TYPE_CHECKING:
    from parley.messages import ReplyOutcome
    from parley.session.decide.history import History, Words
    from parley.session.notices import Notices
    from parley.session.speaking.reply import Reply


class Books:
    """Closes each reply once, with what was heard of it.

    A reply that was cut off stays open for as long as its listener may still say where it stopped.
    """

    def __init__(self, history: History, notices: Notices) -> None:
        self._history = history
        self._notices = notices
        self._open: dict[str, tuple[Reply, Words]] = {}

    def find(self, utterance_id: str) -> Reply | None:
        """A reply that was cut off and is not settled yet."""
        reply, _ = self._open.get(utterance_id, (None, None))
        return reply

    def note_turn(self, reply: Reply) -> Words:
        """What the reply answers belongs to the past from its first sound on."""
        reply.turn_noted = True
        return self._history.add_participant(reply.turn_text)

    def cut(self, reply: Reply) -> None:
        """The reply was cut off; how far it was heard may still become better known."""
        words = self._history.keep_place("assistant")
        self._history.amend(words, reply.heard_text())
        self._open[reply.utterance_id] = reply, words

    def settle(self, utterance_id: str) -> None:
        """No more is to be learnt of this one."""
        reply, words = self._open.pop(utterance_id, (None, None))
        if reply is not None and words is not None:
            self._close(reply, words, "failed" if reply.outcome == "failed" else "interrupted")

    def settle_all(self) -> None:
        """No more is to be learnt of any, in the order in which they were cut off."""
        for utterance_id in list(self._open):
            self.settle(utterance_id)

    def close(self, reply: Reply, outcome: ReplyOutcome) -> None:
        """The reply is over, and this was heard of it."""
        self._close(reply, self._history.keep_place("assistant"), outcome)

    def _close(self, reply: Reply, words: Words, outcome: ReplyOutcome) -> None:
        heard, text = reply.heard, reply.heard_text()
        self._history.amend(words, text)
        self._log(reply, outcome, round(heard / SAMPLE_RATE, 6))
        if reply.announced:
            self._notices.send(ReplyEnded(reply.utterance_id, outcome, reply.text, text, heard))

    def discard(self, reply: Reply) -> None:
        """Nobody has heard a sound of it."""
        self._log(reply, "discarded", 0.0)

    def _log(self, reply: Reply, outcome: ReplyOutcome, heard: float) -> None:
        self._notices.log(ReplyOver(self._notices.now(), reply.utterance_id, outcome, heard))
