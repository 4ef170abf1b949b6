"""Both registries do what a registry must do, and Redis survives its server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from parley import clock
from parley.errors import ConfigError, UnavailableError
from parley.registry import open_registry
from parley.registry.announcer import Announcer
from parley.registry.memory import MemoryRegistry
from parley.registry.redis import RedisRegistry, connect
from parley.registry.settings import RegistrySettings
from parley.testing.redis_server import RedisServer
from parley.testing.registries import LEASE, LONG, RegistryContract, names, until, worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from parley.registry import Announcement

pytestmark = pytest.mark.anyio
needs_redis = pytest.mark.skipif(not RedisServer.available(), reason="redis-server is not installed")


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path) as server:
        yield server


def settings(server: RedisServer, **changes: object) -> RegistrySettings:
    values: dict[str, object] = {
        "url": server.url,
        "lease": LEASE,
        "heartbeat": 0.1,
        "refresh": 0.1,
        "max_backoff": 0.1,
        **changes,
    }
    return RegistrySettings(**values)  # type: ignore[arg-type]


@asynccontextmanager
async def announced(
    server_settings: RegistrySettings, *announcements: Announcement
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Workers with their own connections that keep announcing themselves."""
    registries = [RedisRegistry(server_settings) for _ in announcements]

    def describe(announcement: Announcement) -> Announcer:
        async def said() -> Announcement:
            return announcement

        return Announcer(registries[announcements.index(announcement)], said, server_settings)

    tasks = [asyncio.ensure_future(describe(announcement).run()) for announcement in announcements]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for registry in registries:
            await registry.aclose()


class TestMemoryRegistry(RegistryContract):
    @pytest.fixture
    async def registry(self) -> AsyncIterator[MemoryRegistry]:
        registry = MemoryRegistry()
        yield registry
        await registry.aclose()


@needs_redis
class TestRedisRegistry(RegistryContract):
    @pytest.fixture
    async def registry(self, redis_server: RedisServer) -> AsyncIterator[RedisRegistry]:
        registry = RedisRegistry(settings(redis_server))
        yield registry
        await registry.aclose()

    async def test_another_process_hears_of_a_worker_at_once(self, redis_server: RedisServer) -> None:
        here, there = (RedisRegistry(settings(redis_server, refresh=60)) for _ in range(2))
        await there.list()
        await here.announce(worker(), lease=LONG)
        assert names(await until(there, bool)) == ["alpha"]
        await here.aclose()
        await there.aclose()

    async def test_fleets_with_different_prefixes_do_not_meet(self, redis_server: RedisServer) -> None:
        ours, theirs = RedisRegistry(settings(redis_server)), RedisRegistry(settings(redis_server, prefix="other"))
        await ours.announce(worker("ours"), lease=LONG)
        await theirs.announce(worker("theirs"), lease=LONG)
        assert names(await until(ours, bool)) == ["ours"]
        assert names(await until(theirs, bool)) == ["theirs"]
        await ours.aclose()
        await theirs.aclose()

    async def test_an_unreadable_announcement_is_passed_over(self, redis_server: RedisServer) -> None:
        registry = RedisRegistry(settings(redis_server))
        client = connect(redis_server.url)
        await client.set("parley:worker:broken", "[]")
        await client.sadd("parley:workers", "broken")  # type: ignore[misc]
        await registry.announce(worker(), lease=LONG)
        assert names(await until(registry, bool)) == ["alpha"]
        await client.aclose()
        await registry.aclose()

    async def test_records_made_by_hand_cost_nobody_else_anything(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        registry = RedisRegistry(settings(redis_server, refresh=0.02))
        client = connect(redis_server.url)
        bad: dict[str, str | bytes] = {
            "broken": '{"name": "bro',
            "deep": "[" * 100_000,
            "bytes": b"\xff\xfe\x00",
            "long": '"' + "x" * 1_100_000 + '"',
            "impostor": worker("alpha", port=6666).to_json(),
            "scheme": worker("scheme").to_json().replace("10.0.0.5:7100", "http://10.0.0.5:7100"),
            "absurd": worker("absurd").to_json().replace("12.5", "1e999"),
        }
        for name, text in bad.items():
            await client.set(f"parley:worker:{name}", text, px=60_000)
        await client.set("parley:worker:leaseless", worker("leaseless").to_json())
        await client.lpush("parley:worker:list", "no", "text")  # type: ignore[misc]
        odd = ("leaseless", "list", "nobody", "\x1b[31m", "")
        await client.sadd("parley:workers", *bad, *odd)  # type: ignore[misc]
        await registry.announce(worker(), lease=LONG)
        assert await until(registry, bool) == (worker(),)
        assert registry.health.connected
        reads = (await client.info("commandstats"))["cmdstat_smembers"]["calls"]
        async with asyncio.timeout(5):
            while (await client.info("commandstats"))["cmdstat_smembers"]["calls"] < reads + 5:
                await asyncio.sleep(0.01)
        complaints = [record.message for record in caplog.records if "passed over" in record.message]
        assert len(complaints) == len(bad) + 2  # once each, however often they are read
        await client.aclose()
        await registry.aclose()

    async def test_a_record_without_a_lease_is_not_read_again_and_again(self, redis_server: RedisServer) -> None:
        registry = RedisRegistry(settings(redis_server, refresh=60))
        client = connect(redis_server.url)
        await client.set("parley:worker:leaseless", worker("leaseless").to_json())
        await client.sadd("parley:workers", "leaseless")  # type: ignore[misc]
        assert await registry.list() == ()
        assert registry._soonest_expiry - clock.now() > 30
        await client.aclose()
        await registry.aclose()

    async def test_two_workers_of_one_name_are_complained_about(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        first, second = (RedisRegistry(settings(redis_server)) for _ in range(2))
        await first.announce(worker(), lease=LONG)
        await second.announce(worker(port=7200), lease=LONG)
        assert "--name of its own" in caplog.text
        await first.aclose()
        await second.aclose()

    async def test_a_password_in_the_url_is_used(self, tmp_path: Path) -> None:
        async with RedisServer(tmp_path, password="open-sesame") as server:
            registry = RedisRegistry(settings(server))
            await registry.announce(worker(), lease=LONG)
            assert names(await until(registry, bool)) == ["alpha"]
            await registry.aclose()

    async def test_without_the_password_the_registry_says_what_is_wrong(self, tmp_path: Path) -> None:
        async with RedisServer(tmp_path, password="open-sesame") as server:
            registry = RedisRegistry(settings(server, url=server.url.replace(":open-sesame@", "")))
            assert await registry.list() == ()
            assert "authenticated" in registry.health.detail
            await registry.aclose()

    async def test_announcing_to_a_registry_that_is_gone_can_be_retried(self, redis_server: RedisServer) -> None:
        registry = RedisRegistry(settings(redis_server))
        await redis_server.stop()
        with pytest.raises(UnavailableError):
            await registry.announce(worker(), lease=LONG)
        await registry.aclose()

    async def test_a_registry_that_never_answered_lists_nobody_and_says_why(self, redis_server: RedisServer) -> None:
        await redis_server.stop()
        registry = RedisRegistry(settings(redis_server))
        assert await registry.list() == ()
        assert not registry.health.connected
        assert "cannot be reached" in registry.health.detail
        await registry.aclose()

    async def test_known_workers_stay_while_the_server_is_gone(self, redis_server: RedisServer) -> None:
        registry = RedisRegistry(settings(redis_server))
        async with announced(settings(redis_server), worker("alpha"), worker("beta")):
            await until(registry, lambda found: len(found) == 2)
            await redis_server.stop()
            await lost(registry)
            await asyncio.sleep(2 * LEASE)  # what must pass is time itself: longer than any lease
            assert names(await registry.list()) == ["alpha", "beta"]
            assert not registry.health.connected
        await registry.aclose()

    async def test_a_server_that_comes_back_empty_is_filled_again_without_a_gap(
        self, redis_server: RedisServer
    ) -> None:
        registry = RedisRegistry(settings(redis_server))
        seen: list[int] = []

        async def watch() -> None:
            async for found in registry.watch():
                seen.append(len(found))

        async with announced(settings(redis_server), worker("alpha"), worker("beta")):
            await until(registry, lambda found: len(found) == 2)
            watching = asyncio.ensure_future(watch())
            await redis_server.stop()
            await lost(registry)
            await redis_server.start()
            newcomer = RedisRegistry(settings(redis_server))
            assert len(await until(newcomer, lambda found: len(found) == 2)) == 2
            await found_again(registry)
            assert set(seen) == {2}
            watching.cancel()
            await newcomer.aclose()
        await registry.aclose()

    async def test_who_died_while_the_server_was_gone_leaves_after_one_lease(self, redis_server: RedisServer) -> None:
        registry = RedisRegistry(settings(redis_server))
        await registry.announce(worker("dead"), lease=LEASE)
        async with announced(settings(redis_server), worker("alive")):
            await until(registry, lambda found: len(found) == 2)
            await redis_server.stop()
            await lost(registry)
            await redis_server.start()
            assert names(await until(registry, lambda found: len(found) == 1)) == ["alive"]
        await registry.aclose()

    async def test_an_announcer_that_ends_takes_its_worker_along(self, redis_server: RedisServer) -> None:
        registry = RedisRegistry(settings(redis_server))
        async with announced(settings(redis_server, lease=60), worker()):
            await until(registry, bool)
        assert await until(registry, lambda found: not found) == ()
        await registry.aclose()


async def lost(registry: RedisRegistry) -> None:
    async with asyncio.timeout(5):
        while registry.health.connected:
            await asyncio.sleep(0.01)


async def found_again(registry: RedisRegistry) -> None:
    async with asyncio.timeout(5):
        while not registry.health.connected:
            await asyncio.sleep(0.01)


def test_a_url_that_is_not_redis_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError):
        connect("http://localhost")


async def test_without_a_url_the_registry_is_in_memory() -> None:
    assert isinstance(open_registry(RegistrySettings()), MemoryRegistry)


async def test_with_a_url_the_registry_is_redis() -> None:
    registry = open_registry(RegistrySettings(url="redis://127.0.0.1:1/0"))
    assert isinstance(registry, RedisRegistry)
    await registry.aclose()
