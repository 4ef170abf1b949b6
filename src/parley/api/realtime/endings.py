"""What is left of sessions that are over: closed beside everything else, so that no client waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

log = structlog.get_logger(__name__)

LONGEST = 20.0
"""Seconds that one may take; what is left of it then is cancelled."""
MOST = 64
"""That go on beside; of further sessions each waits for its own."""


class Endings:
    """Owns them, and hears how each went; close it once there are no more sessions."""

    def __init__(self, *, longest: float = LONGEST, most: int = MOST) -> None:
        self._longest, self._most = longest, most
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let ``close()`` run; returns at once while few others do."""
        task = asyncio.create_task(self._run(close), name="the end of a session")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if len(self._tasks) > self._most:
            await asyncio.wait((task,))

    async def aclose(self) -> None:
        """Wait for those that go on."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            async with asyncio.timeout(self._longest):
                await close()
        except TimeoutError:
            log.warning("what a session had open did not close in time and was left", seconds=self._longest)
        except Exception:  # our own code: nobody waits for it any more, so the log is told
            log.exception("what a session had open could not be closed")
