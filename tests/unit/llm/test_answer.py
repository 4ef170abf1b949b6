"""What chat endpoints really send, and what is said of it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.errors import NoReply
from parley.llm.answer import Answer, EndpointFailed
from parley.values import Thinking


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def said(*events: object, inside: bool = False) -> str:
    answer = Answer(inside_reasoning=inside)
    parts = [part for event in events for part in answer.add(event)]
    return "".join(part for part in [*parts, *answer.finish()] if isinstance(part, str))


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "finish_reason": "stop"}]},
        {"choices": [{}]},
        {"choices": [], "usage": {"total_tokens": 9}},
        {"choices": None, "usage": {}},
        {"object": "chat.completion.chunk"},
        {"usage": {"total_tokens": 9}},
        {"type": "ping"},
        chunk("stop", content=None),
        chunk("stop", role="assistant", content=""),
        chunk("stop", content="", tool_calls=None, reasoning_content=None, refusal=None),
        {"choices": [{"index": 0, "delta": {}, "message": None, "logprobs": None, "finish_reason": None}]},
    ],
)
def test_what_is_missing_or_null_says_nothing(last: object) -> None:
    assert said(last, chunk(content="Hello "), last, chunk(content="there."), last) == "Hello there."


@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"thinking": "hm"},
        {"reasoning_content": "hm", "content": ""},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
        {"content": "<think>hm</think>"},
    ],
)
def test_reasoning_is_a_sign_of_life_and_never_said(thought: dict[str, Any]) -> None:
    answer = Answer()
    assert answer.add(chunk(**thought)) == [Thinking()]
    assert answer.add(chunk(content="Four.")) == ["Four."]
    assert answer.finish() == []


def test_content_in_pieces_is_said() -> None:
    assert said(chunk(content=[{"type": "text", "text": "Hello "}, "there."])) == "Hello there."


def test_a_refusal_is_said() -> None:
    assert said(chunk(refusal="I would rather not.")) == "I would rather not."


def test_a_whole_completion_is_said() -> None:
    message = {"role": "assistant", "content": "<think>hm</think>Hello.", "reasoning_content": "hm"}
    assert said({"object": "chat.completion", "choices": [{"message": message, "finish_reason": "stop"}]}) == "Hello."


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "empty"),
        ([chunk("stop", content="")], "empty"),
        ([chunk(content=" \n "), chunk("stop")], "empty"),
        (
            [chunk(tool_calls=[{"index": 0, "function": {"name": "x", "arguments": "{"}}]), chunk("tool_calls")],
            "a tool",
        ),
        ([chunk(function_call={"name": "x"}), chunk("function_call")], "a tool"),
        ([chunk(reasoning_content="hm"), chunk("stop")], "thought"),
        ([chunk(content="<think>hm"), chunk("stop")], "thought"),
        ([chunk(content="<think>hm"), chunk("length")], "max_tokens"),
        ([chunk("content_filter")], "content filter"),
        ([chunk(content="Well, "), chunk("content_filter")], "content filter"),
        ([{"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}], "empty"),
    ],
)
def test_a_reply_without_a_word_is_told(events: list[object], words: str) -> None:
    with pytest.raises(NoReply, match=words):
        said(*events)


def test_a_reply_that_only_was_too_long_is_said() -> None:
    assert said(chunk(content="Once upon"), chunk("length")) == "Once upon"


@pytest.mark.parametrize(
    ("error", "words", "kind"),
    [
        ({"error": {"message": "No memory.", "type": "server_error", "code": 500}}, "No memory.", "500"),
        ({"error": {"message": "No memory.", "type": "server_error", "code": None}}, "No memory.", "server_error"),
        ({"error": "No memory."}, "No memory.", ""),
        ({"object": "error", "message": "No memory.", "code": 7}, "No memory.", "7"),
    ],
)
def test_an_error_in_place_of_a_reply_is_told(error: object, words: str, kind: str) -> None:
    with pytest.raises(EndpointFailed) as caught:
        said(chunk(content="Well, "), error)
    assert (caught.value.said, caught.value.kind) == (words, kind)


@pytest.mark.parametrize(
    "junk",
    [
        5,
        [],
        "x",
        None,
        {"choices": 7},
        {"choices": [7]},
        {"choices": [{"delta": 7}]},
        {"detail": "Not Found"},
        chunk(content=7),
    ],
)
def test_anything_else_is_no_chat_completion(junk: object) -> None:
    with pytest.raises(ValueError):
        said(junk)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "content", "message", "text", "type", "error"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(st.lists(_json, max_size=4))
def test_nothing_that_is_json_is_a_crash(events: list[object]) -> None:
    with contextlib.suppress(NoReply, EndpointFailed, ValueError):
        assert isinstance(said(*events), str)
