"""The worker's side: say what is there, again and again, until it is time to go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING

from parley.errors import UnavailableError
from parley.registry.announcement import Announcement, Registry, address_complaint, many_hosts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from parley.registry.settings import RegistrySettings

log = logging.getLogger(__name__)

SHORTEST = 0.1
"""Seconds between two announcements at least, however much changes: what changed meanwhile goes out as one."""


class Announcer:
    """Keeps one worker on the list.

    ``describe`` is asked before every heartbeat, so that the figures are live. Run it beside the server::

        async with asyncio.TaskGroup() as group:
            group.create_task(announcer.run())
    """

    def __init__(
        self,
        registry: Registry,
        describe: Callable[[], Awaitable[Announcement]],
        settings: RegistrySettings,
    ) -> None:
        self._registry = registry
        self._describe = describe
        self._settings = settings
        self._again = asyncio.Event()
        self._name = ""
        self._ended = False

    def end(self) -> None:
        """Announce no more: for who cancels ``run()``, since a registry's client may take that for a time-out."""
        self._ended = True
        self._again.set()

    def announce_now(self) -> None:
        """Do not wait for the next heartbeat: a model came or went, or the worker drains."""
        self._again.set()

    async def run(self) -> None:
        """Announce until cancelled, or told to end; then take the worker off the list."""
        failures = 0
        try:
            while not self._ended:
                self._again.clear()
                try:
                    await self._beat()
                except UnavailableError as error:
                    failures += 1
                    if failures == 1:
                        log.warning("The worker cannot announce itself: %s It keeps trying.", error)
                except Exception:
                    # Our own code, asked what the worker has: while that fails nobody new is sent here, which must
                    # be heard, and must not last longer than the fault.
                    failures += 1
                    if failures == 1:
                        log.exception("The worker could not be described to the registry. It keeps trying.")
                else:
                    if failures:
                        log.info("The worker is announced again after %d failed tries.", failures)
                    failures = 0
                await self._pause(failures)
        finally:
            await self._farewell()

    async def _beat(self) -> None:
        announcement = await self._describe()
        if not self._name:
            self._name = announcement.name
            complaint = address_complaint(announcement.address)
            if complaint and many_hosts(self._settings.url):
                log.warning(complaint)
        await self._registry.announce(announcement, lease=self._settings.lease)

    async def _pause(self, failures: int) -> None:
        delay = self._settings.heartbeat
        await asyncio.sleep(min(SHORTEST, delay))
        delay -= min(SHORTEST, delay)
        if failures:
            backoff = min(0.05 * 2.0 ** min(failures, 16), self._settings.max_backoff)
            delay = min(delay, backoff) * random.uniform(0.75, 1.25)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._again.wait()

    async def _farewell(self) -> None:
        """Best effort: a lease that is not withdrawn expires."""
        if not self._name:
            return
        with contextlib.suppress(UnavailableError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._registry.withdraw(self._name)
