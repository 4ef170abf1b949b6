"""Streams that the engine fills from its callbacks and somebody else reads: bounded, never blocking the writer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Feed(Generic[_T]):
    """An async iterator over what :meth:`put` was given. One reader."""

    def __init__(self, limit: int, size: Callable[[_T], int] = lambda _: 1) -> None:
        """``limit`` bounds the sum of the waiting items' sizes."""
        self._items: deque[_T] = deque()
        self._limit, self._size = limit, size
        self._waiting = 0
        self._waiter: asyncio.Future[None] | None = None
        self.closed = False
        self.lost = 0
        """The sizes of items that found the feed full, and were dropped."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: _T) -> None:
        """Add an item; nothing happens once closed, and a full feed counts it as lost."""
        if self.closed:
            return
        size = self._size(item)
        if self._waiting + size > self._limit:
            self.lost += size
            return
        self._waiting += size
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
        item = self._items.popleft()
        self._waiting -= self._size(item)
        return item
