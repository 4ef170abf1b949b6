"""Timers by name: setting one again replaces it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """What is to happen later, unless something else comes first."""

    def __init__(self) -> None:
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, when: float, then: Callable[[], None]) -> None:
        """Call ``then`` at a loop time, instead of whatever was to happen under this name."""
        self.cancel(name)
        self._handles[name] = asyncio.get_running_loop().call_at(when, then)

    def cancel(self, *names: str) -> None:
        """Let these not happen."""
        for name in names:
            handle = self._handles.pop(name, None)
            if handle is not None:
                handle.cancel()

    def clear(self) -> None:
        """Let nothing happen."""
        self.cancel(*list(self._handles))
