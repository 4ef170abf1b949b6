"""What every registry must do. Mix :class:`RegistryContract` into a test class with a ``registry`` fixture.

The clock may be virtual or real: the suite waits for news from the registry, never for a fixed time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from contextlib import aclosing
from typing import TYPE_CHECKING

from parley.registry import AnnouncedModel, Announcement, WorkerMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.registry import Registry

LEASE = 0.4
"""Short enough to see it expire, long enough for a busy machine."""
LONG = 60.0


def worker(name: str = "alpha", *, port: int = 7100, resident: tuple[str, ...] = ("tone",)) -> Announcement:
    """An announcement with something in each field."""
    return Announcement(
        name=name,
        address=f"10.0.0.5:{port}",
        instance="1",
        version="0.1.0",
        languages=("en", "de"),
        tags=("cpu_ok",),
        models=(AnnouncedModel("tone", "tone", ("en",), ("low", "high"), ("cpu_ok",), is_default=True),),
        resident_models=resident,
        metrics=WorkerMetrics(1, 12.5, 0.25, 3, 8, 1_000, 2_000),
    )


async def until(registry: Registry, wanted: Callable[[tuple[Announcement, ...]], bool]) -> tuple[Announcement, ...]:
    """Watch until the list is as wanted. TimeoutError after five seconds."""
    async with asyncio.timeout(5), aclosing(registry.watch()) as lists:
        async for announcements in lists:
            if wanted(announcements):
                return announcements
    raise AssertionError("the watch ended")


def names(announcements: tuple[Announcement, ...]) -> list[str]:
    """Their names, in order."""
    return [announcement.name for announcement in announcements]


class RegistryContract:
    """Facts about any Registry."""

    async def test_a_new_registry_knows_nobody(self, registry: Registry) -> None:
        assert await registry.list() == ()

    async def test_a_registry_in_reach_says_that_it_is_well(self, registry: Registry) -> None:
        await registry.list()
        assert registry.health.connected
        assert registry.health.detail == ""

    async def test_an_announced_worker_is_listed_as_it_announced_itself(self, registry: Registry) -> None:
        await registry.announce(worker(), lease=LONG)
        assert await until(registry, bool) == (worker(),)

    async def test_workers_are_listed_by_name(self, registry: Registry) -> None:
        for name in ("gamma", "alpha", "beta"):
            await registry.announce(worker(name), lease=LONG)
        assert names(await until(registry, lambda found: len(found) == 3)) == ["alpha", "beta", "gamma"]

    async def test_a_lease_that_is_not_renewed_expires(self, registry: Registry) -> None:
        await registry.announce(worker("mayfly"), lease=LEASE)
        await registry.announce(worker("tortoise"), lease=LONG)
        await until(registry, lambda found: len(found) == 2)
        assert names(await until(registry, lambda found: len(found) == 1)) == ["tortoise"]

    async def test_a_renewed_lease_lasts(self, registry: Registry) -> None:
        await registry.announce(worker("renewed"), lease=LEASE)
        await registry.announce(worker("control"), lease=LEASE)
        await until(registry, lambda found: len(found) == 2)
        await registry.announce(worker("renewed"), lease=LONG)
        assert names(await until(registry, lambda found: len(found) == 1)) == ["renewed"]

    async def test_a_renewal_brings_new_figures(self, registry: Registry) -> None:
        await registry.announce(worker(), lease=LONG)
        await until(registry, bool)
        busy = dataclasses.replace(worker(), metrics=WorkerMetrics(queue_depth=9))
        await registry.announce(busy, lease=LONG)
        assert await until(registry, lambda found: found[0].metrics.queue_depth == 9) == (busy,)

    async def test_a_withdrawn_worker_is_gone_at_once(self, registry: Registry) -> None:
        await registry.announce(worker("leaver"), lease=LONG)
        await registry.announce(worker("stayer"), lease=LONG)
        await until(registry, lambda found: len(found) == 2)
        await registry.withdraw("leaver")
        assert names(await until(registry, lambda found: len(found) == 1)) == ["stayer"]

    async def test_withdrawing_an_unknown_worker_is_no_error(self, registry: Registry) -> None:
        await registry.withdraw("nobody")

    async def test_a_worker_that_withdrew_can_come_back(self, registry: Registry) -> None:
        await registry.announce(worker(), lease=LONG)
        await until(registry, bool)
        await registry.withdraw("alpha")
        await until(registry, lambda found: not found)
        await registry.announce(worker(port=7200), lease=LONG)
        assert (await until(registry, bool))[0].address == "10.0.0.5:7200"

    async def test_a_watch_begins_with_the_list(self, registry: Registry) -> None:
        await registry.announce(worker(), lease=LONG)
        await until(registry, bool)
        async with aclosing(registry.watch()) as lists:
            assert names(await anext(lists)) == ["alpha"]

    async def test_every_watcher_hears_of_a_change(self, registry: Registry) -> None:
        watching = [asyncio.ensure_future(until(registry, bool)) for _ in range(3)]
        await registry.announce(worker(), lease=LONG)
        for found in await asyncio.gather(*watching):
            assert names(found) == ["alpha"]

    async def test_a_slow_watcher_gets_the_latest_list_only(self, registry: Registry) -> None:
        async with aclosing(registry.watch()) as slow:
            await anext(slow)
            for port in range(7100, 7110):
                await registry.announce(worker(port=port), lease=LONG)
            await until(registry, lambda found: bool(found) and found[0].address.endswith(":7109"))
            assert (await anext(slow))[0].address.endswith(":7109")

    async def test_closing_ends_every_watch(self, registry: Registry) -> None:
        async def watch() -> int:
            async with aclosing(registry.watch()) as lists:
                return len([found async for found in lists])

        await registry.list()
        watching = asyncio.ensure_future(watch())
        for _ in itertools.repeat(None, 5):
            await asyncio.sleep(0)
        await registry.aclose()
        async with asyncio.timeout(5):
            assert await watching >= 1

    async def test_closing_twice_is_no_error(self, registry: Registry) -> None:
        await registry.aclose()
        await registry.aclose()
