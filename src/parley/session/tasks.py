"""What runs, and what is to happen later. Both belong to the session, which hears of their failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from parley.errors import SessionFailed

_log = logging.getLogger(__name__)


class Faults:
    """Hears of every failure of the session's own code; ``end`` is told of the first."""

    def __init__(self, end: Callable[[SessionFailed], None]) -> None:
        self.first: SessionFailed | None = None
        self._end = end

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Around everything of ours that nobody waits for: what fails in here ends the session."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  (our own code: it is not survived, the session ends)
            self.hear(error)

    def hear(self, error: Exception) -> None:
        """This failed in our own code."""
        _log.error("the session's own code failed", exc_info=error)
        if self.first is None:
            self.first = SessionFailed()
            self.first.__cause__ = error
            self._end(self.first)


class Tasks:
    """The tasks of one session, owned by its task group: none outlives it."""

    def __init__(self, session_id: str, faults: Faults) -> None:
        self._session = session_id[:8]
        self._faults = faults
        self._group: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[Any]] = set()

    def open(self, group: asyncio.TaskGroup) -> None:
        """From now on tasks may start, in this group."""
        self._group = group

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> asyncio.Task[None]:
        """Start one that runs ``work()``."""
        assert self._group is not None
        task = self._group.create_task(self._heard(work), name=f"{name} {self._session}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _heard(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  (our own code: it is not survived, the session ends)
            self._faults.hear(error)

    def cancel(self, name: str = "") -> None:
        """Cancel those of this name, or all."""
        for task in self._running:
            if task.get_name().startswith(name):
                task.cancel()


class Timers:
    """What is to happen later, unless something else comes first. By name: setting one again replaces it."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, when: float, then: Callable[[], None]) -> None:
        """Call ``then`` at a loop time, instead of whatever was to happen under this name."""
        before = self._handles.get(name)
        if before is not None:
            before.cancel()
        self._handles[name] = asyncio.get_running_loop().call_at(when, self._run, then)

    def _run(self, then: Callable[[], None]) -> None:
        try:
            then()
        except Exception as error:  # noqa: BLE001  (our own code; ``heard()`` costs more than most timers)
            self._faults.hear(error)

    def cancel(self, *names: str) -> None:
        """Let these not happen."""
        for name in names:
            handle = self._handles.pop(name, None)
            if handle is not None:
                handle.cancel()

    def clear(self) -> None:
        """Let nothing happen."""
        self.cancel(*list(self._handles))
