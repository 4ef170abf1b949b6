"""Changes are told at once, and no more often than anybody could use."""

from __future__ import annotations

import asyncio

from parley import clock
from parley.registry import Announcement
from parley.registry.announcer import Announcer
from parley.registry.memory import MemoryRegistry
from parley.registry.settings import RegistrySettings
from parley.testing.registries import worker
from parley.testing.virtual_time import run_virtual


def test_however_much_changes_the_registry_is_told_ten_times_a_second_at_most() -> None:
    told: list[float] = []

    class Counting(MemoryRegistry):
        async def announce(self, announcement: Announcement, *, lease: float) -> None:
            told.append(clock.now())

    async def flood() -> None:
        async def describe() -> Announcement:
            return worker()

        talker = Announcer(Counting(), describe, RegistrySettings())
        running = asyncio.ensure_future(talker.run())
        for _ in range(1_000):
            await asyncio.sleep(0.001)
            talker.announce_now()
        running.cancel()
        await asyncio.wait([running])

    run_virtual(flood())
    assert len(told) <= 11
