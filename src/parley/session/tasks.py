"""The tasks of one session, owned by its task group: none outlives it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Tasks:
    """Starts them, knows which are running, and cancels them by name."""

    def __init__(self, session_id: str) -> None:
        self._session = session_id[:8]
        self._group: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[Any]] = set()

    def open(self, group: asyncio.TaskGroup) -> None:
        """From now on tasks may start, in this group."""
        self._group = group

    @property
    def group(self) -> asyncio.TaskGroup:
        """For what cancels its tasks itself, as a reply does."""
        assert self._group is not None
        return self._group

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start one."""
        task = self.group.create_task(work, name=f"{name} {self._session}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def cancel(self, name: str = "") -> None:
        """Cancel those of this name, or all that were spawned here."""
        for task in self._running:
            if task.get_name().startswith(name):
                task.cancel()
