"""Whose WebSocket is opened next: sessions begin at a pace, since each keeps the loop for some milliseconds."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from parley.allowance import Allowance

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

AT_ONCE = 8
"""Handshakes that are done without a pause where there were few before."""
IN_LINE = 4
"""Sessions that wait to be opened from which on nobody is let in: whoever has been may be gone before their turn."""
LONGEST_PAUSE = 0.5
"""Seconds for which that holds: who waits has a turn in the end."""


class Handshakes:
    """One line for each address; where several wait they take turns. Belongs to one loop.

    ``per_second``: how many there are from all of them together. A pause is counted from the last handshake on, so that
    none is made up for after a time in which the loop was busy. ``in_line``: sessions that wait to be opened.
    """

    def __init__(self, per_second: float, in_line: Callable[[], int]) -> None:
        self._in_line = in_line
        self._pause = 1 / per_second
        self._free = Allowance(burst=AT_ONCE, per_second=per_second)
        self._lines: dict[str, deque[Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def join(self, address: str, begin: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Call ``begin`` when it is this one's turn, which may be at once."""
        if not self._lines and self._in_line() < IN_LINE and not self._free.take(loop.time()):
            begin()
            return
        self._lines.setdefault(address, deque()).append(begin)
        self._wait(loop)

    def leave(self, address: str, begin: Callable[[], None]) -> None:
        """It is not to be called any more."""
        line = self._lines.get(address)
        if line is not None and begin in line:
            line.remove(begin)
            if not line:
                del self._lines[address]

    def _wait(self, loop: asyncio.AbstractEventLoop, since: float | None = None) -> None:
        if self._timer is None:
            since = loop.time() if since is None else since
            self._timer = loop.call_later(self._pause, self._next, since, loop)

    def _next(self, since: float, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if not self._lines:
            return
        now = loop.time()
        if self._in_line() >= IN_LINE and now - since < LONGEST_PAUSE:
            self._wait(loop, since)
            return
        self._free.take(now)
        address = next(iter(self._lines))
        line = self._lines.pop(address)
        begin = line.popleft()
        if line:
            self._lines[address] = line  # behind the others
        try:
            begin()
        finally:
            if self._lines:
                self._wait(loop)
