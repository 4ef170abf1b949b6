"""Silences after a reply was heard, which are answered where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.conversation import Message
from parley.orders import SilenceNoted, TurnCommitted, TurnSettled
from parley.session.decide.floor_table import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.conversation import History
    from parley.session.listening.microphone import Microphone
    from parley.session.outbox import Notices
    from parley.session.tasks import Timers
    from parley.session.terms import Terms

_MOST = 3
"""Silences that are answered one after the other: nobody may be there any more."""


class Silences:
    """Waits for one that is long enough. ``count`` numbers a turn, ``ask`` asks for the reply to it."""

    def __init__(
        self,
        terms: Terms,
        history: History,
        notices: Notices,
        microphone: Microphone,
        timers: Timers,
        *,
        busy: Callable[[], bool],
        count: Callable[[], int],
        ask: Callable[[], None],
    ) -> None:
        self._terms = terms
        self._history = history
        self._notices = notices
        self._microphone = microphone
        self._timers = timers
        self._busy = busy
        self._count = count
        self._ask = ask
        self._answered = 0
        self._after = ""
        """The newest words of the participant's when the first of those was answered."""

    def happened(self, event: Event) -> None:
        """The floor has moved: silence begins where a reply was heard to its end."""
        self._timers.cancel("idle")
        if event is Event.PLAYOUT_FINISHED and self._terms.manner.idle:
            self._timers.set("idle", clock.now() + self._terms.manner.idle, self._nothing_said)

    def _nothing_said(self) -> None:
        """They have heard the reply, and said nothing for long: that is answered, too."""
        idle, now = self._terms.manner.idle, self._microphone.received
        if self._busy() or self._microphone.segmenter.speaking or not idle or not self._another:
            return
        self._answered += 1
        words = self._history.keep_place("user", self._history.new_id())
        self._notices.note(SilenceNoted(words.id, max(0.0, now - idle), now))
        self._notices.note(TurnCommitted(words.id, self._history.before(words.id), self._count()))
        self._notices.note(TurnSettled(words.id, ""))
        self._ask()

    @property
    def _another(self) -> bool:
        """Something was said since, or few have been answered yet."""
        newest = next((item.id for item in reversed(self._history.items) if _is_said(item)), "")
        if newest != self._after:
            self._after, self._answered = newest, 0
        return self._answered < _MOST


def _is_said(item: object) -> bool:
    return isinstance(item, Message) and item.role == "user" and bool(item.text)
