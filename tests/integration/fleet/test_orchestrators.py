"""Several orchestrators: histories that outlive one, a port that they share, an end without broken sentences."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from parley import clock
from parley.errors import CapacityError, ParleyError
from parley.messages import ReplyEnded
from parley.registry.snapshots import RedisSnapshots

from .conftest import Fleet, count, until
from .stack import Orchestrators, Talker

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
async def orchestrators(fleet: Fleet, tmp_path: Path) -> Orchestrators:
    return Orchestrators(fleet, tmp_path)


async def test_a_client_that_comes_back_to_another_orchestrator_has_its_history(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha")
    first = await orchestrators.start()
    second = await orchestrators.start()
    kept = RedisSnapshots(orchestrators.fleet.registry)
    orchestrators.fleet.stack.push_async_callback(kept.aclose)
    async with Talker(first.url) as talker:
        greeting = await talker.ask("hello")
        session = talker.client.started.session_id
        async with asyncio.timeout(5):
            while await kept.load(session) is None:
                await asyncio.sleep(0.02)
        await first.kill()
    async with Talker(second.url, resume_session=session) as talker:
        assert talker.client.started.resumed
        assert greeting.split(".")[0] in await talker.ask("Can you say that again?")
    async with Talker(second.url, resume_session="somebody-elses") as talker:
        assert not talker.client.started.resumed


async def test_orchestrators_that_share_a_port_survive_each_other(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha")
    together = await orchestrators.start("--processes", "2")
    assert len(together.children()) == 2
    victim = together.children()[0]
    victim.kill()
    await until(lambda: victim.pid not in {child.pid for child in together.children()})
    async with Talker(together.url) as talker:
        await talker.ask("hello")
    await until(lambda: len(together.children()) == 2)
    assert together.process is not None
    together.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await together.process.wait() == 0


async def test_orchestrators_that_share_a_port_are_given_their_keys_in_private(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha", api_key="hush")
    together = await orchestrators.start("--processes", "2", "--set", "routing.api_key=hush")
    lines = [" ".join(child.cmdline()) for child in together.children()]
    assert len(lines) == 2
    assert [line for line in lines if "hush" in line or "redis:" in line] == []


async def test_who_is_one_too_many_is_refused_at_once(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha")
    small = await orchestrators.start("--set", "server.max_sessions=1")
    async with Talker(small.url):
        began = clock.now()
        with pytest.raises((CapacityError, ParleyError), match="taken"):
            await Talker(small.url).__aenter__()
        assert clock.now() - began < 2.0


async def test_stopping_lets_a_reply_end(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha")
    leaving = await orchestrators.start("--set", "server.drain=20")
    async with Talker(leaving.url) as talker:
        await talker.say(count(1, 12))
        await talker.heard(0.1)
        assert leaving.process is not None
        leaving.process.send_signal(signal.SIGTERM)
        assert (await talker.next(ReplyEnded)).outcome == "finished"
        assert talker.words() == list(range(1, 13))


async def test_a_killed_worker_is_not_heard_of(orchestrators: Orchestrators) -> None:
    await orchestrators.fleet.start("alpha", "beta")
    serving = await orchestrators.start()
    async with Talker(serving.url) as talker:
        await talker.say(count(1, 20))
        await talker.heard(1.0)
        await orchestrators.fleet.workers["alpha"].kill()
        assert (await talker.next(ReplyEnded)).outcome == "finished"
        await orchestrators.fleet.workers["alpha"].start()
        await talker.say(count(21, 40))
        await talker.heard(1.0, reply=2)
        await orchestrators.fleet.workers["beta"].kill()
        assert (await talker.next(ReplyEnded)).outcome == "finished"
        assert talker.words() == list(range(1, 41))


@pytest.mark.soak
@pytest.mark.timeout(240)
async def test_redis_is_gone_for_a_minute_in_mid_conversation(orchestrators: Orchestrators) -> None:
    fleet = orchestrators.fleet
    await fleet.start("alpha", "beta")
    serving = await orchestrators.start()
    stopped = asyncio.Event()
    talker = Talker(serving.url)

    async def converse() -> int:
        async with talker:
            replies = 0
            while not stopped.is_set():
                await talker.say(count(1, 12))
                assert (await talker.next(ReplyEnded)).outcome == "finished"
                replies += 1
            assert talker.words() == replies * list(range(1, 13))
            return replies

    talking = asyncio.ensure_future(converse())
    await until(lambda: talker.ears.number)
    await fleet.redis.stop()
    for _ in range(6):
        await asyncio.sleep(10.0)  # what must pass is time itself: a minute, with somebody new now and then
        async with Talker(serving.url) as newcomer:
            await newcomer.say(count(1, 4))
            await newcomer.next(ReplyEnded)
            assert newcomer.words() == [1, 2, 3, 4]
    await fleet.redis.start()
    pool = await fleet.pool(known=2)
    assert set(pool.fleet.members) == {"alpha", "beta"}
    stopped.set()
    assert await talking > 10
