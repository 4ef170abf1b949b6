"""From an endpoint's bytes to objects: the same wherever the network cuts them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.llm.events import MAX_EVENT, Events, NotAnAnswer

STREAM = (
    b": keep-alive\r\n\r\n"
    b'data: {"n": 1}\n\n'
    b"event: message\ndata:  {\ndata: \"n\": 2}\n\n"
    b": keep-alive\n\nid: 7\nretry: 3\n\n"
    b'data:{"n": "\xe2\x80\xa8 line"}\r\n\r\n'
    b"data: [DONE]\n\n"
    b'data: {"n": "after the end"}\n\n'
)  # fmt: skip
OBJECTS = [{"n": 1}, {"n": 2}, {"n": "\u2028 line"}]


def read(pieces: list[bytes]) -> list[object]:
    events = Events()
    found = [item for piece in pieces for item in events.add(piece)]
    return found + events.finish()


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_a_stream_is_read_wherever_it_is_cut(places: list[int]) -> None:
    ends = sorted({*places, len(STREAM)})
    assert read([STREAM[start:end] for start, end in zip([0, *ends], ends, strict=False)]) == OBJECTS


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_each_of_the_three_ways(end: bytes) -> None:
    data = end.join([b'data: {"n": 1}', b"", b'data: {"n": 2}', b"", b""])
    assert read([data]) == read([bytes([byte]) for byte in data]) == [{"n": 1}, {"n": 2}]


def test_an_event_is_there_as_soon_as_its_last_line_has_come() -> None:
    events = Events()
    assert events.add(b'data: {"n": 1}\n') == []
    assert events.add(b"\n") == [{"n": 1}]


def test_an_answer_that_is_no_stream_is_one_object() -> None:
    assert read([b' {"a":', b' "data: b"}\n']) == [{"a": "data: b"}]


def test_an_answer_without_a_byte_holds_nothing() -> None:
    assert read([]) == read([b"\n\n"]) == []


def test_a_stream_that_ends_without_its_last_line_end_is_read_to_the_end() -> None:
    assert read([b'data: {"n": 1}']) == [{"n": 1}]


@pytest.mark.parametrize(
    "junk", [b"<!DOCTYPE html><p>Hi</p>", b"data: {]\n\n", b"\xff\xfe\n\n", b"hi", b"data: " + b"[" * 100_000 + b"\n\n"]
)
def test_anything_else_is_no_answer(junk: bytes) -> None:
    with pytest.raises(NotAnAnswer):
        read([junk])


@pytest.mark.parametrize("start", [b"data: ", b"{", b"data: x\ndata: "])
def test_an_event_without_end_is_given_up(start: bytes) -> None:
    with pytest.raises(NotAnAnswer, match="without end"):
        read([start, *[b"x" * 65_536] * (MAX_EVENT // 65_536 + 1)])


@given(st.lists(st.dictionaries(st.text(), st.text()), max_size=5))
def test_every_json_object_comes_through(objects: list[dict[str, str]]) -> None:
    data = b"".join(
        b"data: " + json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n" for item in objects
    )
    assert read([data]) == objects
