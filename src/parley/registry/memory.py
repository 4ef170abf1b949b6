"""The registry of one process tree: a dictionary with timers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from parley.registry.announcement import Announcement, RegistryHealth

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class MemoryRegistry:
    """Announcements in this process's memory. Belongs to one event loop."""

    def __init__(self) -> None:
        self._workers: dict[str, Announcement] = {}
        self._expiry: dict[str, asyncio.TimerHandle] = {}
        self._version = 0
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def health(self) -> RegistryHealth:
        return RegistryHealth()

    async def announce(self, announcement: Announcement, *, lease: float) -> None:
        name = announcement.name
        self._stop_timer(name)
        loop = asyncio.get_running_loop()
        self._expiry[name] = loop.call_later(lease, self._remove, name)
        if self._workers.get(name) != announcement:
            self._workers[name] = announcement
            self._notify()

    async def withdraw(self, name: str) -> None:
        self._stop_timer(name)
        self._remove(name)

    async def list(self) -> tuple[Announcement, ...]:
        return self._snapshot()

    async def watch(self) -> AsyncGenerator[tuple[Announcement, ...], None]:
        seen = -1
        while not self._closed:
            if seen != self._version:
                seen = self._version
                yield self._snapshot()
            else:
                await self._changed.wait()

    async def aclose(self) -> None:
        self._closed = True
        for name in list(self._expiry):
            self._stop_timer(name)
        self._notify()

    def _snapshot(self) -> tuple[Announcement, ...]:
        return tuple(self._workers[name] for name in sorted(self._workers))

    def _stop_timer(self, name: str) -> None:
        timer = self._expiry.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _remove(self, name: str) -> None:
        self._expiry.pop(name, None)
        if self._workers.pop(name, None) is not None:
            self._notify()

    def _notify(self) -> None:
        self._version += 1
        # each waiter holds the old event; whoever comes later waits on the new one
        self._changed.set()
        self._changed = asyncio.Event()
