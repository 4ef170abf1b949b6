"""Sessions on their workers, and the pool that says no in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from parley import clock
from parley.errors import (
    CapacityError,
    EngineError,
    NotFound,
    ParleyError,
    UnavailableError,
)
from parley.registry import WorkerMetrics
from parley.testing.workers import FakeWorker
from parley.values import Voice

from .conftest import COUNTING, Talk, check, pieces

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio


async def test_an_opened_session_is_ready_on_its_worker(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a"))
    assert await pool.open_session("new", Voice()) == Voice("fake")
    assert talk.workers["a"].sessions == {"new"}
    await pool.end_session("new")
    assert talk.workers["a"].sessions == set()


async def test_opening_a_session_passes_over_a_worker_that_is_gone(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a", refusal=UnavailableError("gone")), FakeWorker("b"))
    await pool.open_session("new", Voice())
    assert talk.workers["b"].sessions == {"new"}


@pytest.mark.parametrize("refusal", [NotFound("There is no model called 'fake'."), EngineError("no memory")])
async def test_opening_a_session_passes_over_a_worker_that_has_not_what_it_announced(
    talk: Talk, refusal: ParleyError
) -> None:
    pool = await talk.fleet(FakeWorker("a", refusal=refusal), FakeWorker("b"))
    await pool.open_session("new", Voice())
    assert talk.workers["b"].sessions == {"new"}


async def test_when_nobody_has_what_was_announced_the_workers_own_words_say_so(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a", refusal=NotFound("There is no model called 'fake'.")))
    with pytest.raises(NotFound, match="no model called 'fake'"):
        await pool.open_session("new", Voice())


async def test_opening_a_session_gives_up_in_the_end(talk: Talk) -> None:
    pool = await talk.fleet(*[FakeWorker(name, refusal=UnavailableError("gone")) for name in "abcdef"])
    with pytest.raises(UnavailableError):
        await pool.open_session("new", Voice())


async def test_ending_a_session_that_is_unknown_disturbs_no_other(talk: Talk) -> None:
    a = FakeWorker("a")
    pool = await talk.fleet(a)
    await pool.open_session("known", Voice())
    await pool.end_session("unknown")
    assert a.sessions == {"known"}
    check(await talk.hear("1", session="known"), "1")


async def test_only_so_many_sessions_are_remembered(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.routing.pool.MAX_SESSIONS", 3)
    pool = await talk.fleet(FakeWorker("a"))
    for number in range(5):
        await talk.hear("1", session=f"s{number}", pace=0.0)
    assert len(pool._sessions) == 3


async def test_a_worker_that_does_not_hear_farewell_disturbs_nobody(talk: Talk) -> None:
    a = FakeWorker("a", deaf=True)
    await talk.fleet(a, FakeWorker("b"))
    await talk.hear("1")
    await talk.join(a, draining=True)
    await asyncio.sleep(0)
    check(await talk.hear("2"), "2")
    await asyncio.sleep(0.1)


async def test_who_waits_is_served_in_the_order_of_coming(talk: Talk) -> None:
    await talk.fleet(queue_patience=5.0)
    a = FakeWorker("a")
    await talk.join(a, metrics=WorkerMetrics(sessions=1, max_sessions=1))
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(talk.hear(str(number), session=f"s{number}")) for number in range(1, 4)]
    await asyncio.sleep(0.5)
    await talk.join(a)
    for number, heard in enumerate(await asyncio.gather(*waiting), 1):
        check(heard, str(number))
    assert a.said == ["1", "2", "3"]


async def test_a_reply_whose_fleet_became_full_waits_in_line(talk: Talk) -> None:
    a, b = FakeWorker("a", die_after=95), FakeWorker("b")
    await talk.fleet(a, queue_patience=1.0)
    await talk.join(b, metrics=WorkerMetrics(sessions=1, max_sessions=1))
    hearing = asyncio.ensure_future(talk.hear(COUNTING))
    await asyncio.sleep(1.0)
    await talk.join(b)
    check(await hearing)


async def test_opening_a_session_that_nobody_can_serve_says_why(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a"))
    with pytest.raises(NotFound):
        await pool.open_session("new", Voice("unknown"))


async def test_a_session_that_moves_leaves_nothing_behind(talk: Talk) -> None:
    a, b = FakeWorker("a"), FakeWorker("b")
    await talk.fleet(a, b)
    await talk.hear("1")
    await talk.join(a, draining=True)
    await asyncio.sleep(0)
    await talk.hear("2")
    await asyncio.sleep(0.1)
    assert (a.sessions, b.sessions) == (set(), {"s"})


async def test_when_all_are_full_who_waits_is_served_when_one_is_free(talk: Talk) -> None:
    a = FakeWorker("a")
    await talk.fleet(queue_patience=2.0)
    await talk.join(a, metrics=WorkerMetrics(sessions=1, max_sessions=1))
    await asyncio.sleep(0)
    hearing = asyncio.ensure_future(talk.hear("1"))
    await asyncio.sleep(1.0)
    assert not hearing.done()
    await talk.join(a)
    check(await hearing, "1")


async def test_who_waits_too_long_is_told_when_to_come_back(talk: Talk) -> None:
    pool = await talk.fleet(queue_patience=1.0)
    await talk.join(FakeWorker("a"), metrics=WorkerMetrics(sessions=1, max_sessions=1))
    await asyncio.sleep(0)
    with pytest.raises(CapacityError) as caught:
        await talk.hear("1")
    assert caught.value.retry_after > 0
    assert clock.now() == pytest.approx(1.0, abs=0.1)
    assert pool.stats.refused == 1


async def test_a_full_queue_refuses_at_once(talk: Talk) -> None:
    await talk.fleet(queue=0)
    await talk.join(FakeWorker("a"), metrics=WorkerMetrics(sessions=1, max_sessions=1))
    await asyncio.sleep(0)
    with pytest.raises(CapacityError):
        await talk.hear("1")
    assert clock.now() < 0.1


async def test_a_fleet_that_refuses_everybody_says_full_not_broken(talk: Talk) -> None:
    await talk.fleet(*[FakeWorker(name, refusal=CapacityError("full")) for name in "abcdef"], queue_patience=0.5)
    with pytest.raises(CapacityError):
        await talk.hear("1")


async def test_a_pool_that_is_closed_takes_nothing(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a"))
    await pool.aclose()
    with pytest.raises(UnavailableError):
        pool.synthesize(pieces("1"), voice=Voice(), session_id="s", utterance_id="u")


async def test_the_pool_tells_how_its_registries_are(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a"))
    assert [health.connected for health in pool.registry_health()] == [True]
