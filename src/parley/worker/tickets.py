"""Requests for models that wait for the policy's answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.errors import ParleyError


class Tickets:
    """A number for each request; whoever asked waits with it. A request that has its answer takes no second one."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._models: dict[int, str] = {}
        self._last = 0

    def take(self, model_id: str) -> int:
        """The number of a new request."""
        self._last += 1
        self._models[self._last] = model_id
        self._waiting[self._last] = asyncio.get_running_loop().create_future()
        return self._last

    def model_of(self, ticket: int) -> str:
        """Id of the model that is waited for, empty once nobody waits."""
        return self._models.get(ticket, "")

    async def answer(self, ticket: int) -> int:
        """The instance that was granted; raises what refused it."""
        try:
            return await self._waiting[ticket]
        finally:
            self._waiting.pop(ticket, None)
            self._models.pop(ticket, None)

    def grant(self, ticket: int, instance: int) -> None:
        """Here it is."""
        self._settle(ticket, lambda future: future.set_result(instance))

    def refuse(self, ticket: int, error: ParleyError) -> None:
        """It will not be."""
        self._settle(ticket, lambda future: future.set_exception(error))

    def refuse_all(self, error: Callable[[], ParleyError]) -> None:
        """Nobody gets anything any more; each has an error of their own."""
        for ticket in self._waiting:
            self.refuse(ticket, error())

    def _settle(self, ticket: int, settle: Callable[[asyncio.Future[int]], None]) -> None:
        future = self._waiting.get(ticket)
        if future is not None and not future.done():
            settle(future)
