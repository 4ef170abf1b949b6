"""The life of one call of a tool as a table: asked for, running, waited for or not, over.

What is not in the table cannot happen: :meth:`CallLife.handle` raises InvalidTransition and changes nothing. Nor can,
whatever the table says, a call that writes begin on a guess or be cut off while it runs.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from parley.errors import InvalidTransition

if TYPE_CHECKING:
    from parley.values import ToolInfo


class CallState(Enum):
    """Where a call stands."""

    ASKED = "asked"
    """The model asked for it; nothing was done yet."""
    RUNNING = "running"
    """It is at work, and its reply waits for it."""
    LEFT = "left"
    """It is at work, and no reply waits: it runs in the background, or its reply was cut off."""
    DONE = "done"
    FAILED = "failed"
    """It failed, or took too long."""
    REFUSED = "refused"
    """It was never begun: there is no such tool, its arguments are wrong, or it must be confirmed first."""
    CANCELLED = "cancelled"
    """Nobody wanted it any more: never begun, or a reading one that was cut off."""


class CallEvent(Enum):
    """Facts."""

    BEGUN = "begun"
    REFUSED = "refused"
    NOT_WAITED_FOR = "not_waited_for"
    """The reply goes on, or is over, without it."""
    CANCELLED = "cancelled"
    ANSWERED = "answered"
    FAILED = "failed"


_S, _E = CallState, CallEvent

CALL_TABLE: dict[tuple[CallEvent, CallState], CallState] = {
    (_E.BEGUN, _S.ASKED): _S.RUNNING,
    (_E.REFUSED, _S.ASKED): _S.REFUSED,
    (_E.CANCELLED, _S.ASKED): _S.CANCELLED,
    (_E.CANCELLED, _S.RUNNING): _S.CANCELLED,
    (_E.NOT_WAITED_FOR, _S.RUNNING): _S.LEFT,
    **{(_E.ANSWERED, state): _S.DONE for state in (_S.RUNNING, _S.LEFT)},
    **{(_E.FAILED, state): _S.FAILED for state in (_S.RUNNING, _S.LEFT)},
}
"""The whole truth."""

OVER = frozenset({CallState.DONE, CallState.FAILED, CallState.REFUSED, CallState.CANCELLED})


class CallLife:
    """The state of one call of ``tool``."""

    def __init__(self, tool: ToolInfo | None) -> None:
        self.state = CallState.ASKED
        self._tool = tool

    @property
    def over(self) -> bool:
        """Nothing more becomes of it."""
        return self.state in OVER

    def handle(self, event: CallEvent, *, guess: bool = False) -> None:
        """Move. ``guess``: its reply is one that perhaps nobody wants.

        Raises InvalidTransition, and stays, when the table has no entry, and where it would break a promise.
        """
        then = CALL_TABLE.get((event, self.state))
        if then is None or not self._allowed(event, guess):
            when = " on a guess" if guess else ""
            raise InvalidTransition(
                f"The event {event.value} cannot happen to a call that is {self.state.value}{when}."
            )
        self.state = then

    def _allowed(self, event: CallEvent, guess: bool) -> bool:
        if event is CallEvent.BEGUN:
            return self._tool is not None and not (guess and waits_for_certainty(self._tool))
        if event is CallEvent.CANCELLED and self.state is CallState.RUNNING:
            return self._tool is not None and may_be_cut(self._tool)
        return True


def waits_for_certainty(tool: ToolInfo) -> bool:
    """Whether a call of it is begun only once its reply is wanted for certain."""
    return tool.effect == "write" or tool.background


def may_be_cut(tool: ToolInfo) -> bool:
    """Whether an interruption ends a call of it that runs."""
    return tool.effect == "read" and tool.interruption == "cancel"
