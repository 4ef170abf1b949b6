"""What a session tells: its participant, and whoever looks over its shoulder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley import clock
from parley.messages import ErrorMessage
from parley.session.log import Failed

if TYPE_CHECKING:
    from parley.errors import ParleyError
    from parley.messages import ServerMessage
    from parley.session.log import LogEntry, Observer
    from parley.session.outbox import Outbox


class Notices:
    """Messages go to the participant, entries to the observer, failures to both."""

    def __init__(self, outbox: Outbox, observer: Observer) -> None:
        self.observer = observer
        self._outbox = outbox
        self._origin = 0.0

    def begin(self) -> None:
        """The session's clock stands at 0 now."""
        self._origin = clock.now()

    def now(self) -> float:
        """Seconds on the session's clock."""
        return round(clock.now() - self._origin, 6)

    def send(self, message: ServerMessage) -> None:
        """Tell the participant."""
        self._outbox.send(message)

    def log(self, entry: LogEntry) -> None:
        """Tell the observer."""
        self.observer.logged(entry)

    def failed(self, error: ParleyError, *, quietly: bool = False) -> None:
        """Tell of something that the session survives; ``quietly``: nobody but the observer."""
        self.log(Failed(self.now(), error.code, error.message))
        if not quietly:
            self.send(ErrorMessage(error.code, error.message))

    async def flush(self) -> None:
        """Wait until the participant has been told everything."""
        await self._outbox.flush()
