"""Work that many bring at once, in portions: so many pieces in each turn of the loop, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque


class RoundRobin:
    """Ask :meth:`take` before each piece; where it says no, await :meth:`turn`. Belongs to one loop.

    ``portion``: pieces in one turn. Timers, and whatever else is due, come between two portions.
    """

    def __init__(self, portion: int) -> None:
        self._portion = portion
        self._left = portion
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._next: asyncio.Handle | None = None

    def take(self) -> bool:
        """Whether a piece may be worked at now; nobody overtakes those who wait."""
        if self._waiting or not self._left:
            return False
        self._left -= 1
        self._schedule()
        return True

    async def turn(self) -> None:
        """Wait until a piece may be worked at."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._schedule()
        await waiter

    def _schedule(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        self._next = None
        self._left = self._portion
        while self._waiting and self._left:
            waiter = self._waiting.popleft()
            if not waiter.done():  # else whoever waited was cancelled
                waiter.set_result(None)
                self._left -= 1
        if self._left < self._portion:
            self._schedule()
