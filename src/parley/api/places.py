"""How many requests of a kind are served at a time, and how long the next ones wait."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from parley.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 10.0
"""Seconds that a request waits for a place: clients make one behind the other, and some several at once."""
_MOST_WAITING = 32
_AGAIN = 5.0


class Places:
    """``most`` places; ``what`` and ``setting`` are for the sentence that refuses."""

    def __init__(self, most: int, what: str, setting: str) -> None:
        self._free = asyncio.Semaphore(most)
        self._waiting = 0
        self._full = f"All {most} places for {what} are taken ({setting}); try again in a moment."

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a place. Raises TooManyRequests when there is none for too long, or too many wait."""
        if self._waiting >= _MOST_WAITING:
            raise TooManyRequests(self._full, retry_after=_AGAIN)
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE):
                await self._free.acquire()
        except TimeoutError:
            raise TooManyRequests(self._full, retry_after=_AGAIN) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
