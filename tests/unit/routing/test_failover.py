"""A reply survives its worker: every word once, in order, on one timeline."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley.errors import (
    EngineError,
)
from parley.testing.virtual_time import VirtualTimeLoop
from parley.testing.workers import WORD_FRAMES, FakeWorker, code_of, words_heard
from parley.values import Voice

from .conftest import COUNTING, Talk, check, listen, numbers

if TYPE_CHECKING:
    from parley.audio.frame import AudioFrame

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("frames_made", [0, 1, 9, 10, 37, 60, 119, 199, 200])
async def test_another_worker_finishes_what_a_dead_one_began(talk: Talk, frames_made: int) -> None:
    await talk.fleet(FakeWorker("a", die_after=frames_made), FakeWorker("b"))
    check(await talk.hear(COUNTING))


async def test_the_next_worker_gets_the_rest_of_the_text_only(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=95), FakeWorker("b"))
    await talk.hear(COUNTING)
    assert talk.workers["b"].said == [COUNTING[COUNTING.index("10") :]]


async def test_the_session_moves_to_the_worker_that_went_on(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=95), FakeWorker("b"))
    await talk.hear(COUNTING)
    await talk.hear("1")
    assert len(talk.workers["b"].said) == 2


async def test_text_that_comes_after_the_death_is_spoken_too(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=25), FakeWorker("b"))
    check(await talk.hear("1 2 ", "3 4 ", "5 6", gap=1.0), "1 2 3 4 5 6")


async def test_a_worker_that_dies_while_it_waits_for_text_is_replaced_when_it_comes(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=20), FakeWorker("b"))
    check(await talk.hear("1 2 ", "3 4", gap=5.0), "1 2 3 4")
    assert talk.workers["b"].said == ["3 4"]


async def test_a_worker_that_dies_after_the_last_word_is_not_replaced(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=20), FakeWorker("b"))
    frames = await talk.hear("1 2")
    assert words_heard(frames) == numbers(1, 2)
    assert frames[-1].final
    assert talk.workers["b"].said == []


async def test_a_word_under_way_is_heard_once(talk: Talk) -> None:
    # made as slowly as it is heard: nothing is held when the worker dies in the middle of a word
    a, b = FakeWorker("a", pace=0.02, die_after=45), FakeWorker("b", lead_in=4)
    await talk.fleet(a, b)
    frames = await talk.hear("1 2 3 4 5 6 7 8", pace=0.0)
    check(frames, "1 2 3 4 5 6 7 8")
    assert b.said == ["5 6 7 8"]
    assert len(frames) == 8 * WORD_FRAMES + 1


async def test_three_workers_finish_one_utterance(talk: Talk) -> None:
    a, b, c = (FakeWorker(name, die_after=frames) for name, frames in (("a", 25), ("b", 122), ("c", None)))
    await talk.fleet(a, b, c, failover={"poison_window": 1.0})
    check(await talk.hear(COUNTING))
    assert c.said


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 90), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.01, 0.02, 0.025]),
    st.sampled_from([0.0, 0.02]),
    st.integers(0, 4),
    st.lists(st.integers(1, 19), max_size=4, unique=True),
)
def test_whenever_they_die_every_word_is_heard_once(
    deaths: list[int], worker_pace: float, listener_pace: float, lead_in: int, breaks: list[int]
) -> None:
    words = COUNTING.split()
    cuts = [0, *sorted(breaks), len(words)]
    texts = [" ".join(words[a:b]) + " " for a, b in itertools.pairwise(cuts)]

    async def scenario() -> list[AudioFrame]:
        talk = Talk()
        dying = [
            FakeWorker(f"a{i}", die_after=death, pace=worker_pace, lead_in=lead_in) for i, death in enumerate(deaths)
        ]
        pool = await talk.fleet(
            *dying, FakeWorker("z", pace=worker_pace), failover={"poison_window": 0.0, "max_attempts": 9}
        )
        # equal progress twice in a row would look like poison; what is tested here is the cut
        synthesis = talk.say(*texts, gap=0.3)
        try:
            return await listen(synthesis, pace=listener_pace)
        except EngineError:
            return []
        finally:
            await synthesis.aclose()
            await pool.aclose()
            await talk.registry.aclose()

    loop = VirtualTimeLoop()
    try:
        frames = loop.run_until_complete(scenario())
    finally:
        loop.close()
    if frames:
        assert words_heard(frames) == numbers(1, 20)
        assert [frame.sequence for frame in frames] == list(range(len(frames)))
        assert frames[-1].final


async def test_a_voice_without_marks_goes_on_at_about_the_right_word(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=100, word_marks=False), FakeWorker("b", word_marks=False))
    frames = await talk.hear(COUNTING)
    assert words_heard(frames)[:10] == numbers(1, 10)
    assert words_heard(frames)[-1] == code_of("20")


async def test_three_workers_share_one_word(talk: Talk) -> None:
    # the first two die within the same word, which nobody has held back
    a = FakeWorker("a", pace=0.02, die_after=42)
    b = FakeWorker("b", pace=0.02, die_after=6)
    await talk.fleet(a, b, FakeWorker("c", pace=0.02), failover={"poison_window": 0.0})
    frames = await talk.hear("1 2 3 4 5 6 7 8", pace=0.0)
    assert words_heard(frames) == numbers(1, 8)
    assert [frame.sequence for frame in frames] == list(range(len(frames)))


async def test_a_stream_that_ends_without_a_final_frame_is_continued(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", cut_short=95), FakeWorker("b"))
    check(await talk.hear(COUNTING))


async def test_a_continuation_that_breaks_off_is_continued(talk: Talk) -> None:
    await talk.fleet(
        FakeWorker("a", die_after=25), FakeWorker("b", cut_short=115), FakeWorker("c"), failover={"poison_window": 0.5}
    )
    check(await talk.hear(COUNTING))


async def test_text_that_breaks_off_after_a_death_is_the_listeners_error(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=20), FakeWorker("b"))

    async def broken() -> Any:
        yield "1 2 "
        await asyncio.sleep(3.0)
        raise ValueError("the model lost its thread")

    assert talk.pool is not None
    synthesis = talk.pool.synthesize(broken(), voice=Voice(), session_id="s", utterance_id="u")
    with pytest.raises(ValueError, match="thread"):
        await listen(synthesis)
    await synthesis.aclose()


async def test_the_end_is_marked_on_the_last_frame_that_was_not_handed_on_yet(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", die_after=20), FakeWorker("b"))
    synthesis = talk.say("1 2")
    await asyncio.sleep(0.5)
    frames = await listen(synthesis)
    assert len(frames) == 20
    assert frames[-1].final
    await synthesis.aclose()
