"""How many requests of a kind are served at a time, and how long the next ones wait."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from parley.errors import TooManyRequests
from parley.server.at_work import AtWork
from parley.server.connections import network_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PATIENCE = 10.0
"""Seconds that a request waits for a place: clients make one behind the other, and some several at once."""
_MOST_WAITING = 32
_AGAIN = 5.0


class Places:
    """``most`` places; ``what`` and ``setting`` are for the sentence that refuses.

    ``at_work``: knows who holds one, and whether anybody may begin.
    """

    def __init__(self, most: int, what: str, setting: str, at_work: AtWork | None = None) -> None:
        self._at_work = at_work or AtWork()
        self._free = asyncio.Semaphore(most)
        self._waiting = 0
        self._full = f"All {most} places for {what} are taken ({setting}); try again in a moment."

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a place. Raises TooManyRequests when there is none for too long, or too many wait, and Draining."""
        with self._at_work.one():
            async with self._place():
                yield

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
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


class Shares:
    """``most`` places that nobody waits for, half of them for one address, so that others find some.

    ``what`` and ``setting`` are for the sentence that refuses.
    """

    def __init__(self, most: int, what: str, setting: str) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()
        self._full = f"All {most} places for {what} are taken ({setting}); try again in a moment."
        self._half = f"Your address has taken its half of the {most} places for {what} ({setting}); give some back."

    @contextmanager
    def one(self, address: str) -> Iterator[None]:
        """Hold a place. Raises TooManyRequests."""
        address = network_of(address)
        if self._taken.total() >= self._most:
            raise TooManyRequests(self._full, retry_after=_AGAIN)
        if self._taken[address] >= max(1, self._most // 2):
            raise TooManyRequests(self._half, retry_after=_AGAIN)
        self._taken[address] += 1
        try:
            yield
        finally:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]


class Memory:
    """``most`` bytes of what clients send, kept at a time by all of them; ``setting`` is for the sentence that refuses.

    Who sends slowly holds what has come, and no more. Whoever came first always has room, so that nobody waits for
    somebody who waits too: there may be as much more as one may send.
    """

    def __init__(self, most: int, setting: str) -> None:
        self._most = most
        self._taken = 0
        self._holders: list[Held] = []
        self._freed = asyncio.Event()
        self._full = f"{most} bytes of recordings are in memory already ({setting}); try again in a moment."

    @contextmanager
    def held(self) -> Iterator[Held]:
        """What one request keeps; all of it is given back at the end, where that was not done before."""
        held = Held(self)
        self._holders.append(held)
        try:
            yield held
        finally:
            held.give_back()

    async def take(self, count: int, held: Held) -> None:
        """Wait for room. Raises TooManyRequests when there is none for too long."""
        try:
            async with asyncio.timeout(PATIENCE):
                while held is not self._holders[0] and self._taken + count > self._most:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise TooManyRequests(self._full, retry_after=_AGAIN) from None
        self._taken += count

    def give_back(self, count: int, held: Held) -> None:
        """So much is free again, and nothing more is taken."""
        self._taken -= count
        if held in self._holders:
            self._holders.remove(held)
        self._freed.set()


class Held:
    """What one request keeps in a :class:`Memory`."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self._count = memory, 0

    async def take(self, count: int) -> None:
        """So much more. Raises TooManyRequests."""
        await self._memory.take(count, self)
        self._count += count

    def give_back(self) -> None:
        """All of it is free again."""
        self._memory.give_back(self._count, self)
        self._count = 0
