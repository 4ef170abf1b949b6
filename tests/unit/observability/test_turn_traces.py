"""A turn's spans come from what its session logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.observability.turn_traces import TurnTraces
from parley.session.log import Failed, Latency, ReplyOver, Speculated, ToolCalled, Transition, TurnClosed
from parley.tracing import Span, collecting, place_of

if TYPE_CHECKING:
    from parley.session.log import LogEntry

SECOND = 1_000_000_000


def told(*entries: LogEntry, close: bool = True) -> list[Span]:
    spans: list[Span] = []
    with collecting(spans.append):
        traces = TurnTraces("s1")
        for entry in entries:
            traces.logged(entry)
        if close:
            traces.close()
    return spans


CLOSED = TurnClosed(at=5.0, turn=1, reason="silence", delay=0.5, length=2.0)
LATENCY = Latency(at=5.5, turn=1, stages_ms={"vad": 60.0, "endpoint": 500.0, "llm": 700.0, "sent": 1000.0})
OVER = ReplyOver(at=9.0, utterance_id="u1", outcome="finished", heard=3.25, turn=1)


def near(span: Span, start: float, end: float, root: Span) -> bool:
    """Seconds on the session's clock, counted from the root's beginning at 2.5; entries come a little late."""
    at = [2.5 + (ns - root.start_ns) / SECOND for ns in (span.start_ns, span.end_ns)]
    return at == pytest.approx([start, end], abs=0.05)


def test_a_spoken_turn_spans_from_its_first_sound_to_the_end_of_its_reply() -> None:
    spans = told(CLOSED, Speculated(5.0, 1, used=True), LATENCY, OVER)
    root, speech, *stages = spans
    with collecting(lambda _: None):
        assert root.place == place_of("s1", 1)
    assert root.parent is None
    assert all(span.parent == root.place for span in (speech, *stages))
    assert near(root, 2.5, 9.0, root)
    assert near(speech, 2.5, 4.5, root)
    assert [span.name for span in stages] == ["stage vad", "stage endpoint", "stage llm", "stage sent"]
    assert near(stages[-1], 5.2, 5.5, root)
    assert root.attributes["parley.outcome"] == "finished"
    assert root.attributes["parley.heard_s"] == 3.25
    assert root.attributes["parley.early_reply_used"] is True


def test_a_typed_turn_has_no_speech() -> None:
    assert [span.name for span in told(LATENCY, OVER)][:2] == ["turn", "stage vad"]


def test_a_turn_that_nobody_answered_is_told_with_the_next_one_or_the_session() -> None:
    root, *_ = told(CLOSED, TurnClosed(at=9.0, turn=2, reason="silence", delay=0.5), close=False)
    assert root.attributes["parley.outcome"] == "unanswered"
    assert [span.name for span in told(CLOSED)] == ["turn", "speech"]


def test_a_reply_that_nobody_heard_does_not_end_its_turn() -> None:
    spans = told(CLOSED, ReplyOver(5.1, "u1", "discarded", 0.0, turn=1), LATENCY, OVER)
    assert [span.name for span in spans].count("turn") == 1
    assert spans[0].attributes["parley.outcome"] == "finished"


def test_a_tool_hangs_below_its_turn_also_when_that_is_over() -> None:
    used = ToolCalled(6.0, 1, "umbrella", "done", took=0.5)
    tool, root, *_ = told(CLOSED, used, LATENCY, OVER)
    assert (tool.name, tool.parent) == ("tool umbrella", root.place)
    assert tool.end_ns - tool.start_ns == SECOND // 2
    assert root.attributes["parley.tools"] == 1
    *_, late = told(CLOSED, LATENCY, OVER, used)
    assert (late.name, late.parent.trace_id if late.parent else 0) == ("tool umbrella", root.place.trace_id)


outcomes = st.sampled_from(["finished", "discarded"])
reached = st.dictionaries(st.sampled_from(["vad", "llm"]), st.floats(0, 9))
entries = st.one_of(
    st.builds(TurnClosed, st.just(0.0), st.integers(1, 4), st.just("silence"), st.floats(0, 2), st.floats(0, 9)),
    st.builds(Latency, st.just(0.0), st.integers(0, 4), reached),
    st.builds(ReplyOver, st.just(0.0), st.just("u"), outcomes, st.floats(0, 9), st.integers(0, 4)),
    st.builds(ToolCalled, st.just(0.0), st.integers(0, 4), st.just("t"), st.just("done"), st.floats(0, 2)),
    st.builds(Speculated, st.just(0.0), st.integers(0, 4), st.booleans()),
    st.builds(Transition, st.just(0.0), st.just("e"), st.just("p"), st.just("a")),
    st.builds(Failed, st.just(0.0), st.just("c"), st.just("what was said")),
)  # fmt: skip


@given(st.lists(entries, max_size=30))
def test_whatever_happens_every_turn_is_told_at_most_once_and_in_its_own_trace(happened: list[LogEntry]) -> None:
    from dataclasses import replace

    spans = told(*(replace(entry, at=float(at)) for at, entry in enumerate(happened)))
    roots = [span for span in spans if span.parent is None]
    assert len({span.place for span in roots}) == len(roots)
    assert all(span.end_ns >= span.start_ns for span in spans)
    with collecting(lambda _: None):
        known = {place_of("s1", turn) for turn in range(1, 5)}
    assert {span.parent for span in spans if span.parent is not None} <= known
    assert "what was said" not in repr(spans)
