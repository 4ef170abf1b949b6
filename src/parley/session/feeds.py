"""Streams that the engine fills from its callbacks and somebody else reads: bounded, never blocking the writer."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Feed(Generic[_T]):
    """An async iterator over what :meth:`put` was given. One reader."""

    def __init__(self, limit: int) -> None:
        self._items: deque[_T] = deque()
        self._limit = limit
        self._waiter: asyncio.Future[None] | None = None
        self.closed = False
        self.lost = 0
        """Items that found the feed full, and were dropped."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: _T) -> None:
        """Add an item; nothing happens once closed, and a full feed counts it as lost."""
        if self.closed:
            return
        if len(self._items) >= self._limit:
            self.lost += 1
            return
        self._items.append(item)
        self._wake()

    def close(self) -> None:
        """Nothing more will come: the reader finishes what is there."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Feed[_T]:
        return self

    async def __anext__(self) -> _T:
        while not self._items:
            if self.closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._items.popleft()
