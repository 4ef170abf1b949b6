"""Workers that hang, refuse, forget, or break on a word: who is tried next, and when it is given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from parley import clock
from parley.errors import (
    CapacityError,
    Draining,
    EngineError,
    InvalidRequest,
    NotFound,
    TimedOut,
    UnavailableError,
)
from parley.registry import WorkerMetrics
from parley.testing.workers import FakeWorker, words_heard

from .conftest import COUNTING, Talk, check, collect, listen, numbers

if TYPE_CHECKING:
    from parley.audio.frame import AudioFrame

pytestmark = pytest.mark.anyio


async def test_a_worker_that_hangs_is_left_for_another(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", hang_after=95), FakeWorker("b"))
    frames = await talk.hear(COUNTING)
    check(frames)


async def test_a_hang_is_noticed_before_the_audio_runs_out(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", hang_after=95), FakeWorker("b"))
    synthesis = talk.say(COUNTING)
    last, gaps = clock.now(), []
    async for _ in synthesis:
        gaps.append(clock.now() - last)
        await asyncio.sleep(0.02)
        last = clock.now()
    assert max(gaps) < 0.001
    await synthesis.aclose()


async def test_a_silence_that_nobody_hears_is_borne(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", slow_on="15", slow_for=1.6), FakeWorker("b"), failover={"read_ahead": 2.0})
    check(await talk.hear(COUNTING))
    assert talk.workers["b"].said == []


async def beside_another(talk: Talk, worker: FakeWorker) -> None:
    """Count with this worker while it counts for somebody else, and another one is there."""
    await talk.fleet(worker)
    other = asyncio.create_task(talk.hear(" ".join(map(str, range(21, 81))), session="other"))
    counting = asyncio.create_task(talk.hear(COUNTING))
    while worker.open < 2:
        await asyncio.sleep(0.02)
    await talk.join(FakeWorker("b"))
    check(await counting)
    check(await other, " ".join(map(str, range(21, 81))))


async def test_a_worker_that_speaks_for_others_may_let_a_text_wait_its_turn(talk: Talk) -> None:
    await beside_another(talk, FakeWorker("a", slow_on="15", slow_for=2.0))
    assert talk.workers["b"].said == []


async def test_a_text_that_never_has_its_turn_goes_to_another_worker(talk: Talk) -> None:
    await beside_another(talk, FakeWorker("a", mute_on="15"))
    assert talk.workers["b"].said == ["15 16 17 18 19 20"]


async def test_a_slow_worker_is_better_than_none(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", pace=1.5))
    check(await talk.hear("1"), "1")


async def test_a_slow_worker_is_given_the_time_that_it_usually_takes(talk: Talk) -> None:
    slow = FakeWorker("a", pace=1.5)
    await talk.fleet(slow)
    await talk.join(slow, metrics=WorkerMetrics(first_audio_p50_ms=500))
    await talk.join(FakeWorker("b"), metrics=WorkerMetrics(queue_depth=9))
    check(await talk.hear("1"), "1")
    assert talk.workers["b"].said == []


async def test_waiting_for_text_is_no_hang(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"), FakeWorker("b"))
    check(await talk.hear("1 2 ", "3", gap=30.0), "1 2 3")
    assert talk.workers["b"].said == []


async def test_a_worker_behind_a_cut_line_is_left_before_its_first_frame(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", hang_after=0, answers=False), FakeWorker("b"))
    start = clock.now()
    synthesis = talk.say("1")
    await anext(synthesis)  # type: ignore[arg-type]
    assert clock.now() - start < 1.5
    await synthesis.aclose()


async def test_a_worker_that_answers_may_take_its_time_for_the_first_frame(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", pace=3.0), FakeWorker("b"))
    synthesis = talk.say("1")
    await anext(synthesis)  # type: ignore[arg-type]
    assert talk.workers["b"].said == []
    await synthesis.aclose()


async def test_a_lone_worker_that_never_speaks_is_given_up_in_the_end(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", hang_after=0), failover={"max_attempts": 1})
    with pytest.raises(EngineError):
        await talk.hear("1")
    assert clock.now() < 60


@pytest.mark.parametrize(
    "refusal",
    [
        CapacityError("full"),
        UnavailableError("draining"),
        EngineError("broken"),
        TimedOut("late"),
        NotFound("no such model"),
    ],
)
async def test_a_refusal_is_another_workers_chance(talk: Talk, refusal: Any) -> None:
    await talk.fleet(FakeWorker("a", refusal=refusal), FakeWorker("b"))
    check(await talk.hear(COUNTING))


async def test_the_log_tells_a_refusal_from_a_worker_that_breaks_off(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    await talk.fleet(FakeWorker("a", refusal=CapacityError("full")), FakeWorker("b", die_after=95), FakeWorker("c"))
    check(await talk.hear(COUNTING))
    told = [record.getMessage() for record in caplog.records if record.name == "parley.routing.synthesis"]
    assert told[0] == "The worker a refused the utterance: full"
    assert told[1].startswith("The worker b failed in mid-utterance with ")


async def test_a_worker_that_forgot_the_session_is_told_of_it_again(talk: Talk) -> None:
    a, b = FakeWorker("a"), FakeWorker("b")
    await talk.fleet(a, b)
    await talk.hear("1")
    a.forgets = 1
    check(await talk.hear(COUNTING))
    assert (len(a.said), len(b.said)) == (3, 0)


async def test_a_death_among_refusals_is_no_poison(talk: Talk) -> None:
    a, b, c = FakeWorker("a", die_after=95), FakeWorker("b", forgets=2), FakeWorker("c", refusal=Draining("bye"))
    await talk.fleet(a, b, c, FakeWorker("d"))
    check(await talk.hear(COUNTING))


async def test_a_worker_that_says_that_it_drains_is_not_asked_again(talk: Talk) -> None:
    leaving, staying = FakeWorker("a", refusal=Draining("bye")), FakeWorker("b")
    await talk.fleet(leaving, staying)
    for session in range(4):
        await talk.hear("1", session=f"s{session}")
    assert len(leaving.said) == 1


async def test_bad_text_is_not_tried_elsewhere(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", refusal=InvalidRequest("too long")), FakeWorker("b"))
    with pytest.raises(InvalidRequest):
        await talk.hear(COUNTING)
    assert talk.workers["b"].said == []


async def test_text_that_breaks_two_workers_is_not_tried_on_a_third(talk: Talk) -> None:
    workers = [FakeWorker(name, poison="13") for name in "abcd"]
    pool = await talk.fleet(*workers)
    with pytest.raises(EngineError, match="two workers"):
        await talk.hear(COUNTING)
    assert sum("13" in "".join(worker.said) for worker in workers) == 2
    assert pool.stats.given_up == 1


async def test_in_place_of_poison_another_worker_apologises(talk: Talk) -> None:
    await talk.fleet(*[FakeWorker(name, poison="13") for name in "abc"], failover={"apology": "777 778"})
    synthesis = talk.say(COUNTING)
    frames: list[AudioFrame] = []
    with pytest.raises(EngineError):
        await collect(synthesis, frames)
    assert words_heard(frames) == numbers(1, 12) + numbers(777, 778)
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert sum(len(frame.marks) for frame in frames) == 12
    await synthesis.aclose()


async def test_with_nobody_to_apologise_the_reply_just_fails(talk: Talk) -> None:
    await talk.fleet(*[FakeWorker(name, poison="13") for name in "ab"], failover={"patience": 0.1})
    with pytest.raises(EngineError, match="two workers"):
        await talk.hear(COUNTING)


async def test_what_came_before_the_poison_is_heard(talk: Talk) -> None:
    await talk.fleet(*[FakeWorker(name, poison="13") for name in "abc"], failover={"apology": ""})
    synthesis = talk.say(COUNTING)
    frames: list[AudioFrame] = []
    with pytest.raises(EngineError):
        await collect(synthesis, frames)
    assert words_heard(frames) == numbers(1, 12)
    await synthesis.aclose()


async def test_a_dead_worker_gets_no_work_for_a_while(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=0), FakeWorker("b"))
    for session in range(5):
        await talk.hear("1", session=f"s{session}", pace=0.0)
    assert len(talk.workers["a"].said) == 1


async def test_a_worker_that_leaves_the_list_finishes_what_it_speaks(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"))
    synthesis = talk.say(COUNTING)
    frames = await listen(synthesis, most=5)
    await talk.registry.withdraw("a")
    frames += await listen(synthesis)
    check(frames)
    await synthesis.aclose()
    await asyncio.sleep(0.01)
    assert talk.workers["a"].closed


async def test_a_restarted_worker_is_a_new_one(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a", die_after=0))
    with pytest.raises(UnavailableError):
        await talk.hear("1")
    await talk.join(FakeWorker("a"), instance="2")
    await asyncio.sleep(0)
    assert pool.fleet.states()[0].usable
    check(await talk.hear("1"), "1")


async def test_a_reply_waits_for_a_lone_worker_to_come_back(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=95))
    hearing = asyncio.ensure_future(talk.hear(COUNTING))
    await asyncio.sleep(1.0)
    talk.workers["a"].die_after = 0
    await asyncio.sleep(0.5)
    await talk.registry.withdraw("a")
    await asyncio.sleep(2.0)
    await talk.join(FakeWorker("a"), instance="2")
    check(await hearing)


async def test_a_reply_waits_for_the_first_worker_of_all(talk: Talk) -> None:
    await talk.fleet()
    hearing = asyncio.ensure_future(talk.hear("1"))
    await asyncio.sleep(2.0)
    await talk.join(FakeWorker("a"))
    check(await hearing, "1")


async def test_without_any_worker_it_fails_in_time(talk: Talk) -> None:
    await talk.fleet()
    with pytest.raises((NotFound, UnavailableError)):
        await talk.hear("1")
    assert clock.now() <= 6
