"""The announcer keeps a worker on the list, through failures, until it ends."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from parley.errors import ConfigError, UnavailableError
from parley.registry import Announcement
from parley.registry.announcer import Announcer
from parley.registry.memory import MemoryRegistry
from parley.registry.settings import RegistrySettings
from parley.testing.registries import until, worker
from parley.testing.virtual_time import VirtualTimeLoop
from parley.worker.announce import advertised, announced
from parley.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from parley.worker.server import Worker

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


class Flaky(MemoryRegistry):
    """Refuses the first announcements."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    async def announce(self, announcement: Announcement, *, lease: float) -> None:
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("The registry is away.")
        await super().announce(announcement, lease=lease)


def announcer(registry: MemoryRegistry, announcement: Announcement, **settings: object) -> Announcer:
    async def describe() -> Announcement:
        return announcement

    return Announcer(registry, describe, RegistrySettings(**settings))  # type: ignore[arg-type]


async def test_a_worker_stays_listed_longer_than_its_lease() -> None:
    registry = MemoryRegistry()
    running = asyncio.ensure_future(announcer(registry, worker(), lease=10, heartbeat=3).run())
    await until(registry, bool)
    for _ in range(60):
        await asyncio.sleep(1)
        assert await registry.list()
    running.cancel()


async def test_a_worker_is_taken_off_the_list_when_its_announcer_ends() -> None:
    registry = MemoryRegistry()
    running = asyncio.ensure_future(announcer(registry, worker()).run())
    await until(registry, bool)
    running.cancel()
    await asyncio.wait([running])
    assert await registry.list() == ()


async def test_a_registry_whose_client_takes_the_end_for_a_time_out_keeps_no_worker_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Deaf(MemoryRegistry):
        """Answers nobody, and says of whoever is cut short that the registry was too slow."""

        async def announce(self, announcement: Announcement, *, lease: float) -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                raise UnavailableError("The registry cannot be reached: it took too long.") from None

    monkeypatch.setattr("parley.worker.announce.describe", lambda *_: worker())
    serving = cast(
        "Worker", SimpleNamespace(address="127.0.0.1:1", settings=WorkerSettings(), manager=SimpleNamespace())
    )
    async with asyncio.timeout(60):
        async with announced(serving, RegistrySettings(), Deaf()):
            await asyncio.sleep(1)


async def test_a_registry_that_refuses_is_tried_again() -> None:
    registry = Flaky(3)
    running = asyncio.ensure_future(announcer(registry, worker(), max_backoff=0.05).run())
    assert await until(registry, bool)
    running.cancel()


async def test_a_worker_that_can_not_be_described_for_a_moment_is_listed_after_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry, fails = MemoryRegistry(), [True, True]

    async def describe() -> Announcement:
        if fails:
            fails.pop()
            raise KeyError("a fault of ours")
        return worker()

    running = asyncio.ensure_future(Announcer(registry, describe, RegistrySettings(max_backoff=0.05)).run())
    assert await until(registry, bool)
    running.cancel()
    (said,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert said.exc_info


async def test_a_change_does_not_wait_for_the_heartbeat() -> None:
    registry = MemoryRegistry()
    current = [worker()]

    async def describe() -> Announcement:
        return current[0]

    talker = Announcer(registry, describe, RegistrySettings(heartbeat=60))
    running = asyncio.ensure_future(talker.run())
    await until(registry, bool)
    current[0] = worker(resident=("tone", "piper"))
    talker.announce_now()
    await until(registry, lambda found: "piper" in found[0].resident_models)
    running.cancel()


async def test_an_unreachable_address_in_a_shared_registry_is_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = MemoryRegistry()
    local = Announcement("alpha", "0.0.0.0:7100")
    with caplog.at_level(logging.WARNING):
        running = asyncio.ensure_future(announcer(registry, local, url="redis://10.0.0.1/0").run())
        await until(registry, bool)
    running.cancel()
    assert "will not reach it" in caplog.text


async def test_the_same_address_in_one_process_tree_is_fine(caplog: pytest.LogCaptureFixture) -> None:
    registry = MemoryRegistry()
    with caplog.at_level(logging.WARNING):
        running = asyncio.ensure_future(announcer(registry, Announcement("alpha", "127.0.0.1:7100")).run())
        await until(registry, bool)
    running.cancel()
    assert not caplog.text


@pytest.mark.parametrize(
    ("host", "advertise", "expected"),
    [
        ("127.0.0.1", "", "127.0.0.1:7100"),
        ("10.0.0.5", "", "10.0.0.5:7100"),
        ("0.0.0.0", "gpu-1:7100", "gpu-1:7100"),
    ],
)
def test_a_worker_is_found_where_it_was_told_or_where_it_listens(host: str, advertise: str, expected: str) -> None:
    listening = SimpleNamespace(settings=WorkerSettings(advertise=advertise), address=f"{host}:7100")
    assert advertised(cast("Worker", listening), "redis://127.0.0.1") == expected


def test_a_worker_that_listens_everywhere_is_found_under_one_address() -> None:
    listening = SimpleNamespace(settings=WorkerSettings(), address="0.0.0.0:7100")
    host, _, port = advertised(cast("Worker", listening), "redis://127.0.0.1").rpartition(":")
    assert port == "7100"
    assert host not in ("0.0.0.0", "")


def test_an_advertised_address_without_a_port_is_a_configuration_error() -> None:
    listening = SimpleNamespace(settings=WorkerSettings(advertise="gpu-1"), address="0.0.0.0:7100")
    with pytest.raises(ConfigError):
        advertised(cast("Worker", listening), "redis://127.0.0.1")
