"""A reply that is held: by a worker that hears it, by one that does not, by one that dies meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from parley.testing.workers import WORD_FRAMES, FakeWorker

from .conftest import COUNTING, Talk, check, listen

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio


async def test_a_pause_stops_the_worker(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", pace=0.01))
    synthesis = talk.say(COUNTING)
    await listen(synthesis, most=5, pace=0.0)
    last = await synthesis.pause()
    await asyncio.sleep(5.0)
    assert await synthesis.pause() == last
    await synthesis.resume()
    frames = await listen(synthesis)
    assert [frame.sequence for frame in frames] == list(range(5, 201))
    await synthesis.aclose()


async def test_a_pause_is_no_hang(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", pace=0.01), FakeWorker("b"))
    synthesis = talk.say(COUNTING)
    frames = await listen(synthesis, most=5, pace=0.0)
    await synthesis.pause()
    await asyncio.sleep(60.0)
    await synthesis.resume()
    check(frames + await listen(synthesis))
    assert talk.workers["b"].said == []
    await synthesis.aclose()


async def test_a_worker_that_dies_while_it_is_held_is_replaced(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"), FakeWorker("b"))
    synthesis = talk.say(COUNTING)
    frames = await listen(synthesis, most=5)
    await synthesis.pause()
    talk.workers["a"].die_after = 0
    await asyncio.sleep(5.0)
    await synthesis.resume()
    check(frames + await listen(synthesis))
    await synthesis.aclose()


async def test_a_pause_after_a_change_of_workers_counts_on_the_same_timeline(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=95), FakeWorker("b"))
    synthesis = talk.say(COUNTING)
    frames = await listen(synthesis, most=110)
    last = await synthesis.pause()
    assert 110 <= last < 201
    await synthesis.resume()
    check(frames + await listen(synthesis))
    await synthesis.aclose()


async def test_a_worker_that_hears_no_pause_does_not_hold_it_up(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", deaf=True))
    synthesis = talk.say(COUNTING)
    frames = await listen(synthesis, most=5)
    assert await synthesis.pause() >= 4
    await synthesis.resume()
    check(frames + await listen(synthesis))
    await synthesis.aclose()


async def test_a_pause_after_everything_was_made_tells_the_last_frame(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"))
    synthesis = talk.say("1")
    await asyncio.sleep(0.1)
    assert await synthesis.pause() == WORD_FRAMES
    await synthesis.resume()
    check(await listen(synthesis), "1")
    await synthesis.aclose()
