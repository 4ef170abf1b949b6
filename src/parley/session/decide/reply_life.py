"""The life of one reply as a table: made on a guess or wanted, heard, held any number of times, over.

As with the floor's table, what is not in it cannot happen: :meth:`ReplyLife.handle` raises InvalidTransition and
changes nothing. The text of a reply has no states of its own: it grows until its feed is closed.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from parley.errors import InvalidTransition

if TYPE_CHECKING:
    from parley.messages import ReplyOutcome


class ReplyState(Enum):
    """Where a reply stands."""

    SPECULATIVE = "speculative"
    """Being made, in case that it is wanted; nobody hears it."""
    WANTED = "wanted"
    """It sounds as soon as its first frame is there."""
    POSTPONED = "postponed"
    """Wanted, but the sound over it is being judged before anything of it was heard."""
    SOUNDING = "sounding"
    HELD = "held"
    """Silent down to the sample, while a sound over it is being judged."""
    RESUMING = "resuming"
    """Let go on; its listener has not said yet that they play again."""
    ENDING = "ending"
    """All of it was sent; the rest is being heard."""
    ENDING_HELD = "ending_held"
    ENDING_RESUMING = "ending_resuming"
    OVER = "over"


class ReplyEvent(Enum):
    """Facts."""

    ADOPTED = "adopted"
    """It answers what was said: it may be heard."""
    WITHHELD = "withheld"
    """They may be going on, and nothing of it was heard: it is a guess again."""
    FIRST_FRAME = "first_frame"
    """Its first frame is about to be sent, and the participant is told of it."""
    HELD = "held"
    LET_GO = "let_go"
    LISTENER_PLAYS = "listener_plays"
    LAST_FRAME_SENT = "last_frame_sent"
    HEARD_OUT = "heard_out"
    GIVEN_UP = "given_up"
    """There is nothing (more) to be heard of it."""
    CANCELLED = "cancelled"
    """Somebody else has the floor."""


_S, _E = ReplyState, ReplyEvent

REPLY_TABLE: dict[tuple[ReplyEvent, ReplyState], ReplyState] = {
    (_E.ADOPTED, _S.SPECULATIVE): _S.WANTED,
    (_E.WITHHELD, _S.WANTED): _S.SPECULATIVE,
    (_E.FIRST_FRAME, _S.WANTED): _S.SOUNDING,
    (_E.HELD, _S.WANTED): _S.POSTPONED,
    (_E.HELD, _S.SOUNDING): _S.HELD,
    (_E.HELD, _S.RESUMING): _S.HELD,
    (_E.HELD, _S.ENDING): _S.ENDING_HELD,
    (_E.HELD, _S.ENDING_RESUMING): _S.ENDING_HELD,
    (_E.LET_GO, _S.POSTPONED): _S.WANTED,
    (_E.LET_GO, _S.HELD): _S.RESUMING,
    (_E.LET_GO, _S.ENDING_HELD): _S.ENDING_RESUMING,
    (_E.LISTENER_PLAYS, _S.RESUMING): _S.SOUNDING,
    (_E.LISTENER_PLAYS, _S.ENDING_RESUMING): _S.ENDING,
    (_E.LAST_FRAME_SENT, _S.SOUNDING): _S.ENDING,
    (_E.HEARD_OUT, _S.ENDING): _S.OVER,
    **{(_E.GIVEN_UP, state): _S.OVER for state in (_S.WANTED, _S.POSTPONED, _S.SOUNDING, _S.HELD, _S.RESUMING)},
    **{(_E.CANCELLED, state): _S.OVER for state in _S if state is not _S.OVER},
}
"""The whole truth."""


class ReplyLife:
    """The state of one reply, and what follows from the way that it took."""

    def __init__(self) -> None:
        self.state = ReplyState.SPECULATIVE
        self.announced = False
        """True once it has begun to sound: the participant knows of it, and the history what it answers."""
        self.all_sent = False
        """True once no frame of it is to come."""
        self.troubled = False
        """True when something of it went wrong: its words (then it apologises) or its voice."""
        self._cut = False

    def handle(self, event: ReplyEvent) -> None:
        """Move. Raises InvalidTransition, and stays, when the table has no entry."""
        then = REPLY_TABLE.get((event, self.state))
        if then is None:
            raise InvalidTransition(f"The event {event.value} cannot happen to a reply that is {self.state.value}.")
        self.state = then
        self.announced = self.announced or event is ReplyEvent.FIRST_FRAME
        self.all_sent = self.all_sent or event is ReplyEvent.LAST_FRAME_SENT
        self._cut = self._cut or event is ReplyEvent.CANCELLED

    def knows(self, event: ReplyEvent) -> bool:
        """True when the event can happen now."""
        return (event, self.state) in REPLY_TABLE

    @property
    def live(self) -> bool:
        """False once nothing of it is sent or told any more."""
        return self.state is not ReplyState.OVER

    @property
    def adopted(self) -> bool:
        """False while it is a guess: then it stops after its first clause, unheard."""
        return self.state is not ReplyState.SPECULATIVE

    @property
    def held(self) -> bool:
        """True while a sound over it is being judged."""
        return self.state in (ReplyState.POSTPONED, ReplyState.HELD, ReplyState.ENDING_HELD)

    @property
    def playing(self) -> bool:
        """True while its frames may leave and be heard."""
        return self.state in (ReplyState.SOUNDING, ReplyState.ENDING)

    @property
    def outcome(self) -> ReplyOutcome:
        """What became of a reply that is over."""
        if self.troubled:
            return "failed"
        return "interrupted" if self._cut else "finished"
