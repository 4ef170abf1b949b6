"""Three hosts with addresses of their own: Redis and the router, worker A, worker B; then A's cable is pulled."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from parley import clock
from parley.messages import ReplyEnded
from parley.rpc.client import WorkerClient
from parley.testing.fleet import WorkerProcess
from parley.testing.network import Host, NoNamespaces, Switch
from parley.testing.redis_server import RedisServer
from parley.values import Voice

from .conftest import LEASE, Fleet, Hearing, count, hear, serving, until, words
from .stack import Orchestrators, Talker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def switch() -> Iterator[Switch]:
    try:
        with Switch() as switch:
            yield switch
    except (NoNamespaces, FileNotFoundError) as error:
        pytest.skip(f"network namespaces are needed: {error}")


@pytest.fixture
async def hosts(anyio_backend: Any, switch: Switch, tmp_path: Path) -> AsyncIterator[tuple[Fleet, dict[str, Host]]]:
    if not RedisServer.available():
        pytest.skip("redis-server is not installed")
    places = {name: switch.host() for name in ("alpha", "beta")}
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(RedisServer(tmp_path, host=switch.address, password="open-sesame"))
        fleet = Fleet(stack, redis)
        for name, host in places.items():
            settings = fleet.registry
            registry = {"url": settings.url, "lease": settings.lease, "heartbeat": settings.heartbeat}
            # namespaces part networks, not file systems: what real hosts have not in common is turned off
            # one is told its address, the other finds the one that leads to the registry
            listens = host.address if name == "alpha" else "0.0.0.0"
            worker = WorkerProcess(name, registry, {"host": listens, "local_wire": False}, prefix=host.prefix)
            stack.push_async_exit(worker.__aexit__)
            fleet.workers[name] = await worker.start()
        yield fleet, places


async def test_workers_on_other_hosts_are_found_and_speak(hosts: tuple[Fleet, dict[str, Host]]) -> None:
    fleet, places = hosts
    pool = await fleet.pool(known=2)
    found = {name: member.announcement.address for name, member in pool.fleet.members.items()}
    assert {name: address.rpartition(":")[0] for name, address in found.items()} == {
        name: host.address for name, host in places.items()
    }
    assert words(await hear(pool, count(1, 5))) == [1, 2, 3, 4, 5]


async def test_a_reply_goes_on_elsewhere_when_the_cable_is_pulled(hosts: tuple[Fleet, dict[str, Host]]) -> None:
    fleet, places = hosts
    pool = await fleet.pool(known=2)
    await pool.open_session("s", Voice())
    first = serving(pool)
    hearing = Hearing(pool, count(1, 20))
    await hearing.heard(0.7)
    places[first].unplug()
    assert words(await hearing.all()) == list(range(1, 21))
    assert serving(pool) != first


async def test_a_host_behind_a_cut_cable_gets_no_new_work(hosts: tuple[Fleet, dict[str, Host]]) -> None:
    fleet, places = hosts
    pool = await fleet.pool(known=2)
    await pool.open_session("s", Voice())
    first = serving(pool)
    places[first].unplug()
    began = clock.now()
    assert words(await hear(pool, "1 2 3")) == [1, 2, 3]
    assert clock.now() - began < 5.0
    await until(lambda: first not in pool.fleet.members, timeout=LEASE + 5)


async def test_a_host_that_comes_back_is_used_again(hosts: tuple[Fleet, dict[str, Host]]) -> None:
    fleet, places = hosts
    pool = await fleet.pool(known=2)
    places["alpha"].unplug()
    await until(lambda: "alpha" not in pool.fleet.members, timeout=LEASE + 5)
    places["alpha"].plug_in()
    await until(lambda: "alpha" in pool.fleet.members)
    await fleet.workers["beta"].drain()
    assert words(await hear(pool, "1 2 3")) == [1, 2, 3]


async def test_a_conversation_over_three_hosts_survives_the_cable_of_its_worker(
    hosts: tuple[Fleet, dict[str, Host]], tmp_path: Path
) -> None:
    fleet, places = hosts
    serving = await Orchestrators(fleet, tmp_path).start()
    async with Talker(serving.url) as talker:
        await talker.say(count(1, 24))
        await talker.heard(0.1)
        first = await busiest(fleet, places)
        await talker.heard(0.5)
        places[first].unplug()
        assert (await talker.next(ReplyEnded)).outcome == "finished"
        assert talker.words() == list(range(1, 25))


async def busiest(fleet: Fleet, places: dict[str, Host]) -> str:
    """The worker that holds the one session there is."""
    sessions: dict[str, int] = {}
    for name, worker in fleet.workers.items():
        client = WorkerClient(f"{places[name].address}:{worker.address.rpartition(':')[2]}")
        sessions[name] = (await client.capabilities()).sessions
        await client.aclose()
    return max(sessions, key=lambda name: sessions[name])
