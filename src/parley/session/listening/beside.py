"""Turns that do not wait for the floor: those that a client ends itself, and what is said over a reply that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.orders import SpeechNoted, TurnCommitted
from parley.session.listening.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from parley.conversation import History
    from parley.session.listening.late import LateTranscripts
    from parley.session.listening.microphone import Microphone
    from parley.session.listening.recognition import Recognition
    from parley.session.outbox import Notices
    from parley.session.settings import SessionSettings
    from parley.session.tasks import Timers
    from parley.session.terms import Terms

_LEAST = 0.1
"""Seconds of audio that can be a turn."""
_TIMER = "turn beside"


class Beside:
    """Holds at most one such turn; what is understood of it stands in the history, and is answered where wanted."""

    def __init__(
        self,
        history: History,
        notices: Notices,
        microphone: Microphone,
        recognition: Recognition,
        late: LateTranscripts,
        timers: Timers,
        settings: SessionSettings,
        terms: Terms,
        *,
        count: Callable[[], int],
    ) -> None:
        self._history = history
        self._notices = notices
        self._microphone = microphone
        self._recognition = recognition
        self._late = late
        self._timers = timers
        self._settings = settings
        self._terms = terms
        self._count = count
        self._turn: Turn | None = None
        self._over_reply = False
        self._heard = 0.0

    # --- ended by the client -----------------------------------------------------------------

    def hear(self, samples: NDArray[np.int16]) -> None:
        """More of what will be a turn once it is committed; beyond the longest turn nothing is listened to."""
        turn = self._turn or self._open(fresh=True)
        if self._heard < self._settings.limits.max_turn:
            turn.hear(samples.tobytes(), speaking=True)
        self._heard += samples.size / 16_000

    def commit(self) -> bool:
        """It is a turn; False where there is not enough of it."""
        if self._turn is None or self._heard < _LEAST:
            return False
        self._close(answer=False)
        return True

    def clear(self) -> None:
        """Forget it."""
        turn, self._turn = self._turn, None
        self._timers.cancel(_TIMER)
        if turn is not None:
            self._note_speech(turn, started=False)
            turn.cancel()

    # --- over a reply that goes on -----------------------------------------------------------

    @property
    def overhears(self) -> bool:
        """True while it listens to what is said over a reply."""
        return self._over_reply and self._turn is not None

    def begin(self) -> None:
        """Somebody speaks over a reply."""
        self._timers.cancel(_TIMER)
        if self._turn is None:
            turn = self._open(fresh=False)
            self._over_reply = True
            self._note_speech(turn, started=True)

    def overhear(self, samples: NDArray[np.int16], *, speaking: bool) -> None:
        """More of it."""
        if self._turn is not None:
            self._turn.hear(samples.tobytes(), speaking=speaking)

    def pause(self) -> None:
        """They are silent: unless they go on, that was it."""
        if self.overhears:
            delay = self._settings.endpointing.delay
            self._timers.set(_TIMER, self._microphone.last_voice_at + delay, self.end)

    def hand_over(self) -> Turn | None:
        """The reply is over, and they still speak: it is a turn like any other."""
        if not self.overhears:
            return None
        self._timers.cancel(_TIMER)
        turn, self._turn, self._over_reply = self._turn, None, False
        if turn is not None:
            turn.adopted(turn.number)
        return turn

    def end(self) -> None:
        """That was it."""
        self._timers.cancel(_TIMER)
        turn = self._turn
        if turn is not None and self._over_reply:
            turn.ended(self._microphone.last_voice_at)
            self._close(answer=self._terms.manner.answers)

    def _note_speech(self, turn: Turn, *, started: bool) -> None:
        """Of a turn that the client ends itself it is told neither."""
        if turn.sounds(started=started):
            at = self._recognition.onset if started else self._recognition.last_voice
            self._notices.note(SpeechNoted(turn.item_id, started, at))

    # --- either ------------------------------------------------------------------------------

    def _open(self, *, fresh: bool) -> Turn:
        self._turn = turn = Turn(self._count(), began_at=clock.now(), item_id=self._history.new_id())
        self._heard, self._over_reply = 0.0, False
        self._recognition.follow(turn, fresh=fresh)
        return turn

    def _close(self, *, answer: bool) -> None:
        turn, self._turn = self._turn, None
        assert turn is not None
        self._over_reply = False
        self._note_speech(turn, started=False)
        turn.place = place = self._history.keep_place("user", turn.item_id)
        turn.item_id = place.id
        self._notices.note(TurnCommitted(place.id, self._history.before(place.id), turn.number))
        self._late.leave(turn, place, unanswered=answer)
