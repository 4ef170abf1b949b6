"""An utterance through the pool while all is well, and the sessions that it remembers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from parley.testing.workers import WORD_FRAMES, FakeWorker
from parley.values import Voice

from .conftest import COUNTING, Talk, check, listen

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio


async def test_an_utterance_passes_through_unchanged(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"))
    check(await talk.hear(COUNTING))


async def test_text_that_arrives_in_pieces_is_spoken_in_one_stream(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"))
    check(await talk.hear("1 2 3 ", "4 5", " 6", gap=1.5), "1 2 3 4 5 6")
    assert talk.workers["a"].said == ["1 2 3 4 5 6"]


async def test_no_more_is_read_ahead_than_is_allowed(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"), failover={"read_ahead": 0.5})
    synthesis = talk.say(COUNTING)
    await listen(synthesis, most=10)
    await asyncio.sleep(1.0)
    assert await synthesis.pause() == 10 + 25 - 1
    await synthesis.aclose()


async def test_marks_that_are_known_early_go_out_with_their_word(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", lead_in=3))
    frames = await talk.hear("1 2")
    assert [index for index, frame in enumerate(frames) if frame.marks] == [3, 3 + WORD_FRAMES]


async def test_a_session_stays_with_its_worker(talk: Talk) -> None:
    a, b = FakeWorker("a"), FakeWorker("b")
    await talk.fleet(a, b)
    for _ in range(4):
        await talk.hear("1")
    assert sorted((len(a.said), len(b.said))) == [0, 4]


async def test_sessions_spread_when_they_are_told_not_to_stick(talk: Talk) -> None:
    a, b = FakeWorker("a"), FakeWorker("b")
    await talk.fleet(a, b, sticky=False)
    running = [talk.say(COUNTING) for _ in range(4)]
    await asyncio.sleep(0.1)
    assert (len(a.said), len(b.said)) == (2, 2)
    for synthesis in running:
        await synthesis.aclose()


async def test_leaving_early_frees_the_worker(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"))
    synthesis = talk.say(COUNTING)
    await listen(synthesis, most=3)
    await synthesis.aclose()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert talk.workers["a"].open == 0
    with pytest.raises(StopAsyncIteration):
        await anext(synthesis)  # type: ignore[arg-type]


async def test_leaving_ends_another_tasks_iteration(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", hang_after=0))
    synthesis = talk.say(COUNTING)
    listening = asyncio.ensure_future(listen(synthesis))
    await asyncio.sleep(0.1)
    await synthesis.aclose()
    await synthesis.aclose()
    assert await listening == []


async def test_an_error_of_the_text_itself_is_the_listeners(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"))

    async def broken() -> Any:
        yield "1 2 "
        raise ValueError("the model lost its thread")

    assert talk.pool is not None
    synthesis = talk.pool.synthesize(broken(), voice=Voice(), session_id="s", utterance_id="u")
    with pytest.raises(ValueError, match="thread"):
        await listen(synthesis)
    await synthesis.aclose()
