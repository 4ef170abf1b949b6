"""Calls of tools, however an endpoint streams them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.errors import NoReply
from parley.llm.answer import Answer
from parley.llm.calls import LONGEST, MOST, CallPieces
from parley.values import Thinking, ToolCall

ROME = '{"city": "Rome"}'


def piece(index: int | None = 0, call_id: str | None = None, name: str | None = None, arguments: Any = None) -> Any:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    known = {"index": index, "id": call_id, "function": function}
    return {key: value for key, value in known.items() if value is not None}


def calls(*deltas: list[Any]) -> list[tuple[str, str, str]]:
    pieces = CallPieces()
    for delta in deltas:
        pieces.add(delta)
    return [(call.call_id, call.name, call.arguments) for call in pieces.finish()]


def test_arguments_come_in_pieces() -> None:
    assert calls(
        [piece(0, "a", "weather", "")], [piece(0, arguments='{"city"')], [piece(0, arguments=': "Rome"}')]
    ) == [("a", "weather", ROME)]


def test_parallel_calls_are_told_apart_by_their_index() -> None:
    assert calls(
        [piece(0, "a", "weather", "")],
        [piece(1, "b", "time", "")],
        [piece(0, arguments=ROME), piece(1, arguments="{}")],
    ) == [("a", "weather", ROME), ("b", "time", "{}")]


def test_whole_calls_that_all_have_the_index_0_are_told_apart_by_their_ids() -> None:
    assert calls([piece(0, "a", "weather", ROME)], [piece(0, "b", "weather", ROME)]) == [
        ("a", "weather", ROME),
        ("b", "weather", ROME),
    ]


def test_whole_calls_without_index_and_id_are_told_apart_by_being_whole() -> None:
    assert calls([piece(None, None, "weather", ROME)], [piece(None, None, "time", "{}")]) == [
        ("", "weather", ROME),
        ("", "time", "{}"),
    ]
    assert len(calls([piece(None, None, "weather", ROME), piece(None, None, "time", "{}")])) == 2


def test_an_id_and_a_name_that_are_said_again_begin_nothing() -> None:
    assert calls([piece(0, "a", "weather", '{"city"')], [piece(0, "a", "weather", ': "Rome"}')]) == [
        ("a", "weather", ROME)
    ]


def test_a_name_in_pieces_is_one_name() -> None:
    assert calls([piece(0, "a", "wea")], [piece(0, None, "ther")], [piece(0, arguments="{}")]) == [
        ("a", "weather", "{}")
    ]


def test_arguments_that_are_an_object_are_written_as_json() -> None:
    ((_, _, arguments),) = calls([piece(0, "a", "weather", {"city": "Rome"})])
    assert json.loads(arguments) == {"city": "Rome"}


def test_calls_and_arguments_without_end_are_bounded() -> None:
    assert len(calls(*([piece(n, str(n), "f", "{}")] for n in range(3 * MOST)))) == MOST
    ((_, _, arguments),) = calls(*([piece(0, "a", "f", "x" * 50_000)] for _ in range(10)))
    assert len(arguments) == LONGEST


@pytest.mark.parametrize("pieces", ["weather", [5], {"name": "weather"}])
def test_what_are_no_calls_is_a_value_error(pieces: Any) -> None:
    with pytest.raises(ValueError):
        CallPieces().add(pieces)


@given(st.lists(st.integers(1, 30), max_size=5), st.integers(0, 3))
def test_however_the_arguments_are_cut_they_are_whole_again(cuts: list[int], count: int) -> None:
    written = json.dumps({"city": "R" * 40, "days": [1, 2, 3]})
    places = sorted({0, len(written), *cuts})
    deltas = [[piece(n, f"c{n}", "f", "")] for n in range(count)]
    for start, end in pairwise(places):
        deltas += [[piece(n, arguments=written[start:end])] for n in range(count)]
    assert calls(*deltas) == [(f"c{n}", "f", written) for n in range(count)]


# --- in an answer -------------------------------------------------------------------------


def chunk(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"delta": delta}]}


def test_an_answer_ends_with_its_calls() -> None:
    answer = Answer(tools=True)
    assert answer.add(chunk(content="One moment.")) == ["One moment."]
    assert answer.add(chunk(tool_calls=[piece(0, "a", "weather", ROME)])) == [Thinking()]
    assert answer.finish() == [ToolCall("a", "weather", ROME)]


def test_a_whole_message_and_the_old_form_have_calls_too() -> None:
    answer = Answer(tools=True)
    answer.add({"choices": [{"message": {"content": None, "tool_calls": [piece(None, "a", "weather", ROME)]}}]})
    assert answer.finish() == [ToolCall("a", "weather", ROME)]
    old = Answer(tools=True)
    old.add(chunk(function_call={"name": "weather", "arguments": '{"city"'}))
    old.add(chunk(function_call={"arguments": ': "Rome"}'}))
    assert old.finish() == [ToolCall("", "weather", ROME)]


def test_a_call_where_no_tool_was_offered_is_no_answer() -> None:
    answer = Answer()
    answer.add(chunk(tool_calls=[piece(0, "a", "weather", ROME)]))
    with pytest.raises(NoReply, match="a tool"):
        answer.finish()
