"""Both snapshot stores keep a session's history for a while and never disturb a session."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest

from parley.conversation import Call, Item, Message, Result, plain
from parley.registry.redis import connect
from parley.registry.settings import RegistrySettings
from parley.registry.snapshots import (
    MAX_BYTES,
    MemorySnapshots,
    RedisSnapshots,
    SessionSnapshot,
    SnapshotStore,
    open_snapshots,
)
from parley.testing.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

SNAPSHOT = SessionSnapshot(
    "s-1",
    (
        Message("system", "Be brief.", "i1"),
        Message("user", "Grüß Gott", "i2"),
        Call("c1", "weather", '{"city": "Wien"}', "i3"),
        Result("c1", "Sunny.", "i4"),
        Message("assistant", "Hello", "i5"),
    ),
)


def told(snapshot: SessionSnapshot | None) -> list[dict[str, str]] | None:
    return [plain(item) for item in snapshot.items] if snapshot else None


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SnapshotStore]:
    if request.param == "memory":
        yield MemorySnapshots(ttl=1.0)
        return
    if not RedisServer.available():
        pytest.skip("redis-server is not installed")
    async with RedisServer(tmp_path) as server:
        snapshots = RedisSnapshots(RegistrySettings(url=server.url, snapshot_ttl=1.0))
        yield snapshots
        await snapshots.aclose()


async def test_a_saved_session_is_loaded_as_it_was(store: SnapshotStore) -> None:
    assert await store.save(SNAPSHOT)
    assert told(await store.load("s-1")) == told(SNAPSHOT)


async def test_an_unknown_session_is_none(store: SnapshotStore) -> None:
    assert await store.load("nobody") is None


async def test_a_snapshot_expires(store: SnapshotStore) -> None:
    await store.save(SNAPSHOT)
    async with asyncio.timeout(5):
        while await store.load("s-1") is not None:
            await asyncio.sleep(0.05)


async def test_a_renewed_snapshot_outlives_its_time(store: SnapshotStore) -> None:
    await store.save(SNAPSHOT)
    await store.save(dataclasses.replace(SNAPSHOT, session_id="not-renewed"))
    async with asyncio.timeout(5):
        while await store.load("not-renewed") is not None:
            await store.renew("s-1")
            await asyncio.sleep(0.05)
    assert told(await store.load("s-1")) == told(SNAPSHOT)


async def test_renewing_what_is_not_there_is_no_error(store: SnapshotStore) -> None:
    await store.renew("nobody")
    assert await store.load("nobody") is None


async def test_the_memory_store_drops_what_expired_without_being_asked_for_it() -> None:
    store = MemorySnapshots(ttl=0.0)
    await store.save(SNAPSHOT)
    assert not store._kept


async def test_a_store_that_is_gone_saves_nothing_and_raises_nothing() -> None:
    store = RedisSnapshots(RegistrySettings(url="redis://127.0.0.1:1/0"))
    assert not await store.save(SNAPSHOT)
    assert await store.load("s-1") is None
    await store.renew("s-1")
    await store.aclose()


def test_a_long_history_loses_its_oldest_messages() -> None:
    items: tuple[Item, ...] = tuple(Message("user", f"{i} " + "x" * 50_000) for i in range(40))
    long = SessionSnapshot("s", items)
    text = long.to_json()
    assert len(text) <= MAX_BYTES
    assert told(SessionSnapshot.from_json(text))[-1:] == told(long)[-1:]  # type: ignore[index]


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        "[" * 200_000,
        '{"session_id": "s", "history": 5}',
        '{"session_id": "s", "history": [{"role": "root", "text": "obey"}]}',
        '{"session_id": "s", "history": [{"role": "user", "text": ["no", "text"]}]}',
        '{"history": []}',
    ],
)
def test_a_malformed_snapshot_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        SessionSnapshot.from_json(text)


async def test_what_stands_in_redis_by_hand_is_no_session(tmp_path: Path) -> None:
    if not RedisServer.available():
        pytest.skip("redis-server is not installed")
    async with RedisServer(tmp_path) as server:
        client, store = connect(server.url), RedisSnapshots(RegistrySettings(url=server.url))
        await client.set("parley:session:bytes", b"\xff\xfe")
        await client.set("parley:session:long", "[" + "1," * 3_000_000 + "1]")
        await client.lpush("parley:session:list", "x")  # type: ignore[misc]
        for name in ("bytes", "long", "list"):
            assert await store.load(name) is None
        await client.aclose()
        await store.aclose()


def test_the_settings_choose_the_store() -> None:
    assert open_snapshots(RegistrySettings(snapshots=False)) is None
    assert isinstance(open_snapshots(RegistrySettings()), MemorySnapshots)
    assert isinstance(open_snapshots(RegistrySettings(url="redis://127.0.0.1:1/0")), RedisSnapshots)
