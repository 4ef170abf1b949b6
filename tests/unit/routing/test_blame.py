"""What one session sends is charged to that session: the others speak at once, with the same voice."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from parley import clock
from parley.errors import ConfigError, EngineError, InvalidRequest, NotFound, ParleyError, PreconditionFailed
from parley.testing.workers import FakeWorker
from parley.values import Voice

from .conftest import COUNTING, Talk, check, listen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

CULPRITS = 6


async def victim_is_served_at_once(talk: Talk) -> None:
    """Somebody else begins to speak: no wait, the whole text, and the worker as trusted as before."""
    began = clock.now()
    synthesis = talk.say(COUNTING, session="victim")
    frames = [await anext(synthesis)]  # type: ignore[arg-type]
    assert clock.now() == began
    check(frames + await listen(synthesis))
    await synthesis.aclose()


async def culprits_fail(talk: Talk, text: str, *, voice: Voice | None = None) -> None:
    """Sessions that come one after the other, each with the same trouble."""
    for number in range(CULPRITS):
        with pytest.raises(ParleyError):
            await talk.hear(text, session=f"culprit {number}", voice=voice, pace=0.0)


@pytest.mark.parametrize("workers", [1, 2, 3])
async def test_text_that_an_engine_raises_at_silences_nobody_else(talk: Talk, workers: int) -> None:
    fleet = [FakeWorker(f"w{number}", chokes_on="13") for number in range(workers)]
    await talk.fleet(*fleet, failover={"patience": 0.1})
    await culprits_fail(talk, COUNTING)
    for worker in fleet:
        worker.chokes_on = ""
    await victim_is_served_at_once(talk)


@pytest.mark.parametrize("workers", [1, 2])
async def test_text_that_no_sound_comes_of_silences_nobody_else(talk: Talk, workers: int) -> None:
    fleet = [FakeWorker(f"w{number}", mute_on="13") for number in range(workers)]
    await talk.fleet(*fleet, failover={"patience": 0.1, "max_attempts": 2, "apology": ""})
    await culprits_fail(talk, "13 14")
    for worker in fleet:
        worker.mute_on = ""
    await victim_is_served_at_once(talk)


async def test_a_text_that_breaks_off_silences_nobody_else(talk: Talk) -> None:
    async def broken() -> AsyncIterator[str]:
        yield "1 2 "
        raise RuntimeError("the source of the text failed")

    pool = await talk.fleet(FakeWorker("a"))
    for number in range(CULPRITS):
        synthesis = pool.synthesize(broken(), voice=Voice(), session_id=f"c{number}", utterance_id="u")
        with pytest.raises(RuntimeError):
            await listen(synthesis, pace=0.0)
        await synthesis.aclose()
    await victim_is_served_at_once(talk)
    assert not pool.fleet.states()[0].suspect


@pytest.mark.parametrize(
    "refusal",
    [
        InvalidRequest("too long"),
        NotFound("no such speaker"),
        PreconditionFailed("the session was ended"),
        ConfigError("the package of that engine is missing"),
    ],
)
async def test_a_request_that_is_refused_makes_the_worker_no_suspect(talk: Talk, refusal: ParleyError) -> None:
    worker = FakeWorker("a", refusal=refusal)
    pool = await talk.fleet(worker, failover={"patience": 0.1})
    await culprits_fail(talk, COUNTING)
    assert not pool.fleet.states()[0].suspect
    worker.refusal = None
    await victim_is_served_at_once(talk)


async def test_a_model_that_cannot_be_read_silences_nobody_else(talk: Talk) -> None:
    worker = FakeWorker("a", models=("fake", "broken"), refusal=EngineError("the weights are torn"))
    pool = await talk.fleet(worker)
    for number in range(CULPRITS):
        with pytest.raises(EngineError):
            await pool.open_session(f"culprit {number}", Voice("broken"))
    worker.refusal = None
    await victim_is_served_at_once(talk)


async def test_a_reader_that_takes_nothing_silences_nobody_else(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a"))
    lazy = [talk.say(COUNTING, session=f"lazy {number}") for number in range(CULPRITS)]
    for synthesis in lazy:
        await anext(synthesis)  # type: ignore[arg-type]
    await asyncio.sleep(120)
    await victim_is_served_at_once(talk)
    assert not pool.fleet.states()[0].suspect
    for synthesis in lazy:
        await synthesis.aclose()


async def test_calls_that_are_cancelled_silence_nobody_else(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a", pace=0.01))
    for number in range(CULPRITS):
        hearing = asyncio.ensure_future(talk.hear(COUNTING, session=f"culprit {number}"))
        await asyncio.sleep(0.005 * number)
        hearing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hearing
    assert not pool.fleet.states()[0].suspect
    talk.workers["a"].pace = 0.0
    await victim_is_served_at_once(talk)


async def test_a_worker_that_nothing_comes_of_and_that_does_not_answer_is_left_alone(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a", mute_on="13", answers=False), FakeWorker("b"))
    check(await talk.hear(COUNTING))
    assert [member.breaker.gone for member in pool.fleet.members.values()] == [True, False]


async def test_a_suspect_is_chosen_after_another_with_the_same_voice(talk: Talk) -> None:
    a, b = FakeWorker("a", chokes_on="13"), FakeWorker("b")
    pool = await talk.fleet(a, b, sticky=False)
    for number in range(CULPRITS):
        await talk.hear("13 14", session=f"culprit {number}", pace=0.0)
    assert pool.fleet.states()[0].suspect
    a.said.clear()
    await victim_is_served_at_once(talk)
    assert a.said == []
