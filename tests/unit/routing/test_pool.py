"""A reply survives its worker: every word once, in order, on one timeline; and the pool says no in time."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley import clock
from parley.audio.frame import FRAME_SAMPLES
from parley.errors import (
    CapacityError,
    Draining,
    EngineError,
    InvalidRequest,
    NotFound,
    TimedOut,
    UnavailableError,
)
from parley.interfaces import Voice
from parley.registry import WorkerMetrics
from parley.testing.virtual_time import VirtualTimeLoop
from parley.testing.workers import WORD_FRAMES, FakeWorker, code_of, words_heard

from .conftest import Talk, listen, pieces

if TYPE_CHECKING:
    from parley.audio.frame import AudioFrame
    from parley.interfaces import Synthesis

pytestmark = pytest.mark.anyio

COUNTING = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"


def numbers(first: int, last: int) -> list[int]:
    return [code_of(str(number)) for number in range(first, last + 1)]


def check(frames: list[AudioFrame], text: str = COUNTING) -> None:
    """One timeline, every word once, every mark once and at its word."""
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert [frame.start_sample for frame in frames] == [i * FRAME_SAMPLES for i in range(len(frames))]
    assert {frame.utterance_id for frame in frames} == {frames[0].utterance_id}
    assert [frame.final for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert words_heard(frames) == [code_of(word) for word in text.split()]
    marks = [mark for frame in frames for mark in frame.marks]
    assert [text[mark.text_start : mark.text_end] for mark in marks] == text.split()
    for mark in marks:
        sound = memoryview(frames[mark.start_sample // FRAME_SAMPLES].pcm).cast("h")[0]
        assert sound == code_of(text[mark.text_start : mark.text_end])


async def collect(synthesis: Synthesis, frames: list[AudioFrame]) -> None:
    async for frame in synthesis:
        frames.append(frame)
        await asyncio.sleep(0.02)


# --- all is well -----------------------------------------------------------------------


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


# --- a worker dies -----------------------------------------------------------------------


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


# --- other ways to fail --------------------------------------------------------------------


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


# --- pause ---------------------------------------------------------------------------------


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


# --- other voices --------------------------------------------------------------------------


async def test_the_nearest_voice_goes_on_and_the_client_is_told(talk: Talk) -> None:
    await talk.fleet(
        FakeWorker("a", ("piper-x",), die_after=95), FakeWorker("b", ("tone",)), FakeWorker("c", ("piper-y",))
    )
    check(await talk.hear(COUNTING, voice=Voice("piper-x")))
    assert talk.workers["c"].said
    assert [voice.model for voice, _ in talk.notes] == ["piper-y"]
    assert "piper-x is not available" in talk.notes[0][1]


async def test_the_client_is_told_when_the_voice_is_back(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", ("piper-x",)), FakeWorker("b", ("tone",)))
    await talk.hear("1", voice=Voice("piper-x"))
    await talk.registry.withdraw("a")
    await talk.hear("2", voice=Voice("piper-x"))
    await talk.join(FakeWorker("a", ("piper-x",)))
    await asyncio.sleep(0)
    await talk.hear("3", voice=Voice("piper-x"))
    assert [(voice.model, bool(note)) for voice, note in talk.notes] == [("tone", True), ("piper-x", False)]


async def test_a_voice_that_nobody_has_is_refused_not_replaced(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a"))
    with pytest.raises(NotFound):
        await talk.hear("1", voice=Voice("piper-x"))


async def test_a_session_without_a_wish_keeps_the_voice_that_it_began_with(talk: Talk) -> None:
    await talk.fleet(FakeWorker("a", ("tone",)))
    await talk.hear("1")
    await talk.join(FakeWorker("b", ("piper",)))
    await talk.hear("2")
    assert [voice.model for voice in talk.workers["a"].voices] == ["tone", "tone"]


async def test_a_resident_voice_stands_in_while_the_wanted_one_is_loaded(talk: Talk) -> None:
    a, b = FakeWorker("a", ("piper",)), FakeWorker("b", ("tone",))
    pool = await talk.fleet(b, fallback=True)
    await talk.join(a, resident_models=())
    await asyncio.sleep(0)
    check(await talk.hear("1", voice=Voice("piper")), "1")
    await talk.hear("1", voice=Voice("piper"))
    assert a.loaded[0] == "piper"
    assert b.said
    assert pool.stats.stood_in == 2
    await talk.join(a)
    await asyncio.sleep(0)
    await talk.hear("2", voice=Voice("piper"))
    assert a.said == ["2"]


async def test_a_load_that_fails_disturbs_nobody(talk: Talk) -> None:
    a = FakeWorker("a", ("piper",), refusal=EngineError("no memory"))
    await talk.fleet(FakeWorker("b", ("tone",)), fallback=True)
    await talk.join(a, resident_models=())
    await asyncio.sleep(0)
    check(await talk.hear("1", voice=Voice("piper")), "1")


# --- sessions and capacity -----------------------------------------------------------------


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


async def test_opening_a_session_gives_up_in_the_end(talk: Talk) -> None:
    pool = await talk.fleet(*[FakeWorker(name, refusal=UnavailableError("gone")) for name in "abcdef"])
    with pytest.raises(UnavailableError):
        await pool.open_session("new", Voice())


async def test_ending_a_session_that_never_spoke_is_no_error(talk: Talk) -> None:
    pool = await talk.fleet(FakeWorker("a"))
    await pool.end_session("unknown")


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
