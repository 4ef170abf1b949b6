"""Work for other people's clients, beside conversations: counted, so that a server that stops can let it end."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from parley.errors import Draining

if TYPE_CHECKING:
    from collections.abc import Iterator


class AtWork:
    """How much of it there is."""

    def __init__(self) -> None:
        self._count = 0
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A piece of work, while the block runs. Raises Draining once nothing more may begin."""
        if self._closed:
            raise Draining("The server stops and takes nothing new; try again elsewhere, or in a moment.")
        self._count += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._empty.set()

    def close(self) -> None:
        """Nothing more begins."""
        self._closed = True

    async def ended(self, seconds: float) -> bool:
        """Wait until all of it has ended, for so long at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
