"""Calls of MCP tools come in the order that clients rely on, also where approval is asked for before they are told."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from parley.api.realtime.mcp_events import McpTool
from parley.api.realtime.server_events import ServerEvents
from parley.conversation import Message
from parley.orders import CallNoted, Inserted, Notice, ReplyBegun, ReplyItem, ReplySettled, TurnCommitted

Event = dict[str, Any]
STRICT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
LOOK = McpTool("house", "lamps", "Which are on.", {"type": "object"}, asks=False)
DO = McpTool("house", "switch", "Switch one.", {"type": "object"}, asks=True)
SETTINGS = {
    "output_modalities": ["audio"],
    "max_output_tokens": "inf",
    "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy"}},
}


@pytest.fixture
def known() -> ServerEvents:
    numbers = itertools.count(1)
    events = ServerEvents(lambda prefix: f"{prefix}_{next(numbers)}", lambda: SETTINGS, lambda: False)
    events.mcp.tools = {"house_lamps": LOOK, "house_switch": DO}
    events.notice(ReplyBegun("u1", "", text_only=False, beside=False))
    return events


def noted(name: str, state: Any = "running", output: str = "", result_id: str = "") -> CallNoted:
    return CallNoted("u1", f"s:{name}", f"item_{name}", "item_u", name, "{}", state, output, result_id)


def types(events: list[Event]) -> list[str]:
    for event in events:
        STRICT.validate_python(event)
    return [event["type"] for event in events]


def test_a_server_is_listed(known: ServerEvents) -> None:
    item_id, begun = known.mcp.listing("house")
    assert types(begun) == ["mcp_list_tools.in_progress"]
    assert known.mcp.retrieve(item_id) is not None
    events = known.mcp.listed(item_id, [LOOK])
    assert types(events) == ["conversation.item.added", "conversation.item.done", "mcp_list_tools.completed"]
    assert events[0]["item"]["tools"] == [
        {"name": "lamps", "description": "Which are on.", "input_schema": {"type": "object"}}
    ]
    assert types(known.mcp.not_listed(known.mcp.listing("other")[0])) == ["mcp_list_tools.failed"]


def test_a_call_that_needs_no_approval(known: ServerEvents) -> None:
    begun = known.notice(noted("house_lamps"))
    assert types(begun) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
    ]
    assert (begun[0]["item"]["name"], begun[0]["item"]["status"]) == ("lamps", "in_progress")
    over = known.notice(noted("house_lamps", "done", "On.", "item_r"))
    assert types(over) == ["response.mcp_call.completed", "conversation.item.done", "response.output_item.done"]
    assert (over[-1]["item"]["output"], over[-1]["item"]["error"]) == ("On.", None)
    (item,) = known.notice(ReplySettled("u1", "completed"))[-1]["response"]["output"]
    assert (item["type"], item["server_label"]) == ("mcp_call", "house")


@pytest.mark.parametrize("asked_first", [False, True])
def test_approval_is_asked_for_behind_the_call_and_the_call_goes_on_with_the_answer(
    known: ServerEvents, asked_first: bool
) -> None:
    if asked_first:
        request_id, early = known.mcp.ask("s:house_switch", DO, {"lamp": "hall"})
        assert early == []
    events = known.notice(noted("house_switch"))
    if not asked_first:
        request_id, later = known.mcp.ask("s:house_switch", DO, {"lamp": "hall"})
        events += later
    assert types(events)[-2:] == ["conversation.item.added", "conversation.item.done"]
    assert "response.mcp_call.in_progress" not in types(events)
    request = events[-1]["item"]
    assert (request["type"], request["id"], request["arguments"]) == (
        "mcp_approval_request", request_id, '{"lamp": "hall"}',
    )  # fmt: skip
    answer = known.mcp.answered("", request_id, True, "")
    assert [event["item"]["approve"] for event in answer] == [True, True]
    assert types(known.mcp.at_work("s:house_switch")) == ["response.mcp_call.in_progress"]
    over = known.notice(noted("house_switch", "failed", "Not done."))
    assert types(over)[0] == "response.mcp_call.failed"
    assert over[-1]["item"]["error"]["message"] == "Not done."
    assert over[-1]["item"]["approval_request_id"] == request_id


def test_approval_is_asked_for_though_the_tool_is_gone_by_then(known: ServerEvents) -> None:
    request_id, _ = known.mcp.ask("s:house_switch", DO, {"lamp": "hall"})
    known.mcp.tools = {}
    events = known.notice(noted("house_switch"))
    assert types(events)[-2:] == ["conversation.item.added", "conversation.item.done"]
    assert events[-1]["item"]["id"] == request_id


def test_who_asks_for_what_was_said_already_is_given_an_empty_response(known: ServerEvents) -> None:
    known.notice(noted("house_lamps", "done", "On."))
    assert known.responses.nothing_more() == []
    known.notice(ReplySettled("u1", "completed"))
    begun, done = known.responses.nothing_more()
    assert types([begun, done]) == ["response.created", "response.done"]
    assert (done["response"]["status"], done["response"]["output"]) == ("completed", [])
    assert known.responses.nothing_more() == []


@pytest.mark.parametrize(
    "since",
    [
        TurnCommitted("item_v", "item_r", 2),
        ReplyBegun("u2", "", text_only=False, beside=False),
        Inserted("", Message("user", "And?", "item_w"), ""),
    ],
)
def test_who_has_said_something_since_is_answered(known: ServerEvents, since: Notice) -> None:
    known.notice(noted("house_lamps", "done", "On."))
    known.notice(ReplySettled("u1", "completed"))
    known.notice(since)
    assert known.responses.nothing_more() == []


def test_what_was_cut_off_is_answered_when_it_is_asked_for(known: ServerEvents) -> None:
    known.notice(noted("house_lamps", "done", "On."))
    known.notice(ReplySettled("u1", "cancelled", "turn_detected"))
    assert known.responses.nothing_more() == []


def test_a_call_that_is_over_after_its_reply_still_has_an_end(known: ServerEvents) -> None:
    known.notice(noted("house_lamps"))
    known.notice(ReplySettled("u1", "cancelled", "turn_detected"))
    events = known.notice(noted("house_lamps", "done", "On."))
    assert types(events) == ["response.mcp_call.completed", "conversation.item.done"]


def test_tools_that_the_client_has_not_brought_are_not_told_of_and_stand_before_nothing(known: ServerEvents) -> None:
    assert known.notice(noted("ours")) == []
    assert known.notice(noted("ours", "done", "Yes.", "item_r")) == []
    (_, added, _) = known.notice(ReplyItem("u1", "item_a", "item_r"))
    assert added["previous_item_id"] == "item_u"


def test_what_follows_a_call_stands_behind_it_and_not_behind_its_result(known: ServerEvents) -> None:
    known.notice(noted("house_lamps", "done", "On.", "item_r"))
    committed = known.notice(TurnCommitted("item_v", "item_r", 2))[0]
    assert committed["previous_item_id"] == "item_house_lamps"
