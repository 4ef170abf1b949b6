"""Whatever happens, in whatever order: a sound that has started is told to end, once, before the next one starts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.api.realtime.output_buffer import OutputBuffer, Told

REPLIES = ("u1", "u2", "quiet")
HAPPENS = st.one_of(
    st.tuples(st.just("leaves"), st.sampled_from(REPLIES)),
    st.tuples(st.just("settled"), st.sampled_from(REPLIES), st.booleans()),
    st.tuples(st.just("emptied")),
    st.tuples(st.just("cleared"), st.sampled_from(REPLIES)),
)


def response_id(reply_id: str) -> str:
    return "" if reply_id == "quiet" else f"resp_{reply_id}"


def lived(*happens: tuple[object, ...]) -> Told:
    buffer, told = OutputBuffer(response_id), []
    for what, *how in happens:
        match what:
            case "leaves":
                told += buffer.leaves(str(how[0]))
            case "settled":
                told += buffer.settled(str(how[0]), waiting=bool(how[1]))
            case "emptied":
                told += buffer.emptied()
            case "cleared":
                told += buffer.cleared(str(how[0]))
    return told


def test_a_reply_that_is_heard_to_its_end() -> None:
    told = lived(("leaves", "u1"), ("emptied",), ("leaves", "u1"), ("settled", "u1", True), ("emptied",), ("emptied",))
    assert told == [("started", "resp_u1"), ("stopped", "resp_u1")]


def test_one_that_is_over_when_nothing_waits() -> None:
    assert lived(("leaves", "u1"), ("settled", "u1", False)) == [("started", "resp_u1"), ("stopped", "resp_u1")]


def test_one_that_is_cut_off_is_cleared_and_not_stopped() -> None:
    told = lived(("leaves", "u1"), ("cleared", "u1"), ("settled", "u1", False), ("emptied",))
    assert told == [("started", "resp_u1"), ("cleared", "resp_u1")]


def test_what_never_sounded_is_not_told_of() -> None:
    assert lived(("cleared", "u1"), ("settled", "u1", False), ("leaves", "quiet"), ("cleared", "quiet")) == []


@given(st.lists(HAPPENS, max_size=30))
def test_each_start_has_one_end_before_the_next_start(happens: list[tuple[object, ...]]) -> None:
    sounding = ""
    for kind, response in lived(*happens):
        if kind == "started":
            assert not sounding
            sounding = response
        else:
            assert response == sounding
            sounding = ""
