"""What the participant is told, except audio, in the order in which it was decided; and what observers are told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from parley import clock
from parley.messages import ErrorMessage
from parley.session.log import Failed

if TYPE_CHECKING:
    from parley.errors import ParleyError
    from parley.interfaces import Transport
    from parley.messages import ServerMessage
    from parley.orders import Notice
    from parley.session.log import LogEntry, Observer

Operation = Callable[[], Awaitable[None]]

_LIMIT = 2_000
"""Messages that may wait for a slow client."""


class Outbox:
    """Filled by synchronous code, emptied by one task."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._queue: deque[ServerMessage | Operation] = deque()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.busy_since: float | None = None
        """When the transport was given what it has not taken yet."""

    @property
    def overflowing(self) -> bool:
        """True when more is waiting than a client that listens would ever leave."""
        return len(self._queue) > _LIMIT

    def send(self, message: ServerMessage) -> None:
        """Send a message after all that was put before it."""
        self._put(message)

    def call(self, operation: Operation) -> None:
        """Await ``operation()`` in its turn."""
        self._put(operation)

    async def announced(self, message: ServerMessage) -> None:
        """Send a message and wait until it has left."""
        left = asyncio.get_running_loop().create_future()

        async def tell() -> None:
            if not left.done():
                left.set_result(None)

        self._put(message)
        self._put(tell)
        await left

    async def flush(self) -> None:
        """Wait until everything has left."""
        await self._empty.wait()

    def _put(self, item: ServerMessage | Operation) -> None:
        self._queue.append(item)
        self._empty.clear()
        self._filled.set()

    async def run(self) -> None:
        """Empty the box until cancelled; what nobody has taken by then is forgotten."""
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._queue:
                    await self._take_out(self._queue.popleft())
                self._empty.set()
        finally:
            self._queue.clear()

    async def _take_out(self, item: ServerMessage | Operation) -> None:
        self.busy_since = clock.now()
        if callable(item):
            await item()
        else:
            await self._transport.send_message(item)
        self.busy_since = None


class Notices:
    """Messages go to the participant, entries to the observer, failures to both."""

    def __init__(
        self, outbox: Outbox, observer: Observer, told: Callable[[Notice], Awaitable[None]] | None = None
    ) -> None:
        """``told`` takes what becomes of the conversation's entries, where somebody wants to know."""
        self.observer = observer
        self._told = told
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

    def note(self, notice: Notice) -> None:
        """Tell whoever knows the conversation entry by entry."""
        told = self._told
        if told is not None:
            self._outbox.call(lambda: told(notice))

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
