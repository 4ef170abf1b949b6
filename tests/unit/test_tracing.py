"""Trace contexts and spans: made for whoever collects, and for nobody else."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import tracing
from parley.tracing import Place, Span, collecting, place_from, place_of, working_for

ids = st.builds(Place, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))


@given(ids)
def test_a_place_is_told_by_its_header_and_known_by_it(place: Place) -> None:
    assert len(place.header) == 55
    assert place_from(place.header) == place


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        "nonsense-of-some-kind",
        f"00-{0:032x}-{1:016x}-01",
        f"00-{1:032x}-{0:016x}-01",
        f"00-{1:032x}-{1:016x}-00",
        f"ff-{1:032x}-{1:016x}-01",
        f"00-{'g' * 32}-{1:016x}-01",
        f"00-{1:031x}-{1:016x}-01",
    ],
)
def test_a_header_that_names_no_sampled_span_is_none(header: str) -> None:
    assert place_from(header) is None


@given(st.text(max_size=80))
def test_whatever_a_stranger_writes_into_the_header_is_no_error(header: str) -> None:
    place_from(header)


def test_a_header_of_a_later_version_may_say_more() -> None:
    assert place_from(f"01-{7:032x}-{9:016x}-01-more") == Place(7, 9)


def test_where_nobody_collects_nothing_is_made() -> None:
    with working_for(lambda: Place(1, 2)):
        span = tracing.begin("work")
        assert span.place is None
        assert (span.headers, tracing.headers()) == ({}, {})
        span.end()
        span.inside("part", 0.0, 1.0)
    assert place_of("s", 1) is None
    assert tracing.parent_of({"traceparent": Place(1, 2).header}) is None


def test_a_turn_has_its_place_whoever_asks_and_no_other_turn_has_it() -> None:
    with collecting(lambda _: None):
        places = [place_of(session, turn) for session in ("a", "b") for turn in (1, 2)]
        assert places == [place_of(session, turn) for session in ("a", "b") for turn in (1, 2)]
        assert len({place.trace_id for place in places if place}) == 4
        assert place_of("a", 0) is None


def test_of_many_turns_the_share_that_is_set_is_collected() -> None:
    for sample in (0.0, 0.25, 1.0):
        with collecting(lambda _: None, sample):
            kept = sum(place_of("session", turn) is not None for turn in range(1, 2_001))
        assert kept == pytest.approx(2_000 * sample, abs=80)


async def _in_a_task() -> Span:
    spans: list[Span] = []

    async def work() -> None:
        span = tracing.begin("work", "client", server__port=7)
        span.reached("first_s")
        span.reached("first_s")
        span.inside("part", 0.0, 0.5, process__pid=4)
        span.end("timed_out", server__port=8)
        span.end()

    with collecting(spans.append):
        with working_for(lambda: Place(5, 6)):
            task = asyncio.create_task(work())
        await task
    part, span = spans
    assert part.parent == span.place
    assert part.end_ns - part.start_ns == 500_000_000
    return span


async def test_a_task_works_for_whoever_began_it_and_its_span_is_told_once() -> None:
    span = await _in_a_task()
    assert (span.name, span.kind, span.error) == ("work", "client", "timed_out")
    assert span.parent == Place(5, 6)
    assert span.place.trace_id == 5
    assert span.attributes["server.port"] == 7
    assert span.start_ns <= span.end_ns


async def test_where_the_work_belongs_is_asked_when_it_is_over() -> None:
    turn = 0
    spans: list[Span] = []
    with collecting(spans.append), working_for(lambda: place_of("s", turn)):
        heard, noise = tracing.begin("recogniser"), tracing.begin("recogniser")
        noise.end()
        turn = 3
        heard.end()
        assert [span.parent for span in spans] == [place_of("s", 3)]


def test_whoever_collected_before_collects_again() -> None:
    first: list[Span] = []
    with ExitStack() as stack:
        stack.enter_context(collecting(first.append))
        with collecting(lambda _: None):
            pass
        with working_for(lambda: Place(1, 1)):
            tracing.begin("work").end()
    assert len(first) == 1
    assert not tracing.is_collecting()


def test_who_fails_to_take_a_span_harms_nobody_and_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Span) -> None:
        raise ValueError("no such attribute")

    with collecting(broken):
        with working_for(lambda: Place(1, 1)):
            for _ in range(3):
                tracing.begin("work").end()
        assert tracing.lost() == 3
        assert len(caplog.records) == 1
    assert caplog.messages[-1].startswith("3 spans were lost")
    assert tracing.lost() == 0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio
