"""What a session does comes to its client in the order and the shape that clients rely on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from parley.api.realtime.server_events import Asked, ServerEvents
from parley.conversation import Call, Message, Result
from parley.messages import ReplyText, TranscriptUpdate
from parley.orders import (
    CallHanded,
    Cleared,
    Configured,
    Deleted,
    Inserted,
    Notice,
    Refused,
    ReplyBegun,
    ReplyItem,
    ReplySettled,
    ReplyWritten,
    Retrieved,
    SilenceNoted,
    SpeechNoted,
    Truncated,
    TurnCommitted,
    TurnSettled,
)
from parley.values import Usage

Event = dict[str, Any]
SETTINGS = {
    "output_modalities": ["audio"],
    "max_output_tokens": "inf",
    "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy"}},
}
STRICT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def events_of(writes_down: Callable[[], bool] = lambda: True, *, paced: bool = False) -> ServerEvents:
    numbers = itertools.count(1)
    return ServerEvents(lambda prefix: f"{prefix}_{next(numbers)}", lambda: SETTINGS, writes_down, paced=paced)


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def all_of(known: ServerEvents, *notices: Notice) -> list[Event]:
    return [event for notice in notices for event in known.notice(notice)]


def spoken(known: ServerEvents) -> list[Event]:
    return [
        *all_of(known, ReplyBegun("u1", "", text_only=False, beside=False), ReplyItem("u1", "item_a", "item_u")),
        *known.message(ReplyText("u1", "Yes, ")),
        *known.responses.audio("u1", b"\0\0\1\0"),
        *known.message(ReplyText("u1", "of course.")),
    ]


def test_a_reply_opens_its_item_before_any_delta_and_closes_it_before_it_is_done() -> None:
    known = events_of()
    events = [*spoken(known), *all_of(known, ReplySettled("u1", "completed", told=40, samples=48_000))]
    assert types(events) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = events[-1]["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Yes, of course."}]
    assert done["usage"]["output_token_details"] == {"text_tokens": 4, "audio_tokens": 20}
    assert {event["previous_item_id"] for event in events if event["type"].startswith("conversation")} == {"item_u"}
    assert not known.responses.response_id("u1")


@pytest.mark.parametrize(
    ("settled", "details"),
    [
        (ReplySettled("u1", "cancelled", "turn_detected"), {"type": "cancelled", "reason": "turn_detected"}),
        (ReplySettled("u1", "incomplete"), {"type": "incomplete", "reason": "max_output_tokens"}),
        (
            ReplySettled("u1", "failed", code="unavailable", message="No."),
            {"type": "failed", "error": {"type": "server_error", "code": "unavailable", "message": "No."}},
        ),
    ],
)
def test_a_reply_that_is_not_complete_says_why(settled: ReplySettled, details: Event) -> None:
    known = events_of()
    spoken(known)
    *_, item, done = all_of(known, settled)
    assert item["item"]["status"] == "incomplete"
    assert done["response"]["status_details"] == details
    assert not known.notice(settled)
    assert not known.message(ReplyText("u1", "late"))
    assert not known.responses.audio("u1", b"late")


def test_a_call_is_complete_in_the_events_that_clients_act_on() -> None:
    known = events_of()
    spoken(known)
    events = all_of(known, CallHanded("u1", "item_c", "item_a", "call_1", "look", '{"x": 1}'))
    assert types(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert events[1]["item"]["name"] == events[3]["name"] == "look"
    assert events[1]["item"]["call_id"] == "call_1"
    assert (events[-1]["item"]["status"], events[-1]["output_index"]) == ("completed", 1)
    done = all_of(known, ReplySettled("u1", "completed"))[-1]["response"]
    assert [item["type"] for item in done["output"]] == ["message", "function_call"]


def test_a_turn_is_committed_with_its_item_and_its_words_follow() -> None:
    known = events_of()
    events = all_of(known, SpeechNoted("i", True, 0.7), SpeechNoted("i", False, 2.0), TurnCommitted("i", "", 3))
    assert types(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert (events[0]["audio_start_ms"], events[1]["audio_end_ms"]) == (700, 2_000)
    assert events[2]["previous_item_id"] is None
    assert events[3]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    first = known.message(TranscriptUpdate(3, "how is the whether", stable=6))
    assert [event["delta"] for event in first] == ["how is"]
    assert not known.message(TranscriptUpdate(3, "who is", stable=6))  # what was told is not revoked
    assert not known.message(TranscriptUpdate(9, "nobody's", stable=8))
    rest = all_of(known, TurnSettled("i", "how is the weather", 1.5))
    assert [event.get("delta") or event.get("transcript") for event in rest] == [" the weather", "how is the weather"]
    assert rest[-1]["usage"] == {"type": "duration", "seconds": 1.5}


def test_words_are_told_to_whoever_wants_to_read_them_alone() -> None:
    known = events_of(lambda: False)
    all_of(known, TurnCommitted("i", "", 3))
    assert not known.message(TranscriptUpdate(3, "how", stable=3))
    assert not all_of(known, TurnSettled("i", "how"))


@pytest.mark.parametrize(
    ("why", "kind", "code"),
    [
        ("no_item", "conversation.item.retrieve", "item_retrieve_invalid_item_id"),
        ("no_item", "conversation.item.delete", "item_delete_invalid_item_id"),
        ("no_item", "conversation.item.truncate", "item_truncate_invalid_item_id"),
        ("no_item", "conversation.item.create", "invalid_value"),
        ("duplicate", "conversation.item.create", "item_create_duplicate_item_id"),
        ("active", "response.create", "conversation_already_has_active_response"),
        ("not_active", "response.cancel", "response_cancel_not_active"),
        ("nothing_said", "input_audio_buffer.commit", "input_audio_buffer_commit_empty"),
        ("no_audio", "conversation.item.truncate", "unsupported_content_type"),
        ("too_long", "conversation.item.truncate", "invalid_value"),
    ],
)
def test_a_refusal_has_the_code_that_clients_match_and_the_event_that_it_is_about(
    why: Any, kind: str, code: str
) -> None:
    known = events_of()
    ref = known.ask(Asked("e1", kind))
    (error,) = known.notice(Refused(ref, why, "No."))
    assert (error["error"]["code"], error["error"]["event_id"]) == (code, "e1")


def test_what_was_asked_with_metadata_comes_back_with_it() -> None:
    known = events_of()
    ref = known.ask(Asked(None, "response.create", response={"metadata": {"client_event_id": "x"}}))
    (created,) = known.notice(ReplyBegun("a1", ref, text_only=True, beside=True))
    response = created["response"]
    assert (response["metadata"], response["conversation_id"]) == ({"client_event_id": "x"}, None)
    assert response["output_modalities"] == ["text"]
    assert known.responses.reply_id(response["id"]) == "a1"
    events = all_of(known, ReplyItem("a1", "i", ""), ReplyWritten("a1", "Hi"), ReplySettled("a1", "completed"))
    assert not [kind for kind in types(events) if kind.startswith("conversation.")]
    assert known.responses.reply_id(response["id"]) is None


def everything() -> list[Event]:
    """Events of every kind that there is."""
    known = events_of()
    message = Message("user", "Hi", "i")
    session = known.ask(Asked("e", "session.update", session={"type": "realtime"}))
    shown = known.ask(Asked("e", "conversation.item.create", form="input_text"))
    events = all_of(
        known,
        Configured(session),
        Inserted(shown, message, ""),
        Retrieved("", message),
        Retrieved("", Call("c", "f", "{}", "k")),
        Retrieved("", Result("c", "ok", "r")),
        Deleted("", "i"),
        Truncated("", "i", 480),
        Cleared(""),
        Refused("", "invalid", "No."),
        SpeechNoted("i", True, 0.1),
        SpeechNoted("i", False, 0.2),
        SilenceNoted("i", 0.2, 5.2),
        TurnCommitted("t", "i", 1),
        TurnSettled("t", "words", 1.0),
        TurnSettled("x", "", 1.0, "Not understood."),
    )
    events += spoken(known)
    events += all_of(
        known,
        CallHanded("u1", "item_c", "item_a", "call_1", "look", "{}"),
        ReplySettled("u1", "cancelled", "client_cancelled", usage=Usage(5, 6, 1)),
        ReplyBegun("w", "", text_only=True, beside=False),
        ReplyItem("w", "j", ""),
        ReplyWritten("w", "Hi"),
        ReplySettled("w", "failed", code="x", message="y"),
    )
    return [*events, known.failure("internal", "No.")]


def test_a_reply_that_is_still_said_is_shown_as_far_as_it_was_told() -> None:
    known = events_of()
    all_of(known, ReplyBegun("u", "", text_only=False, beside=False), ReplyItem("u", "i", ""))
    known.message(ReplyText("u", "One two"))
    (event,) = known.notice(Retrieved("", Message("assistant", "", "i")))
    assert (event["item"]["status"], event["item"]["content"][0]["transcript"]) == ("in_progress", "One two")
    known.notice(ReplySettled("u", "completed"))
    (event,) = known.notice(Retrieved("", Message("assistant", "One two", "i")))
    assert (event["item"]["status"], event["item"]["content"][0]["transcript"]) == ("completed", "One two")
    STRICT.validate_python(event)


def test_every_event_is_what_the_sdk_says_it_is() -> None:
    """By the SDK's own types, strictly, as the agents SDK for Python checks each of them."""
    for event in everything():
        STRICT.validate_python(event)
        json.dumps(event)


NULLABLE = {
    "previous_item_id", "turn_detection", "transcription", "noise_reduction", "status_details", "conversation_id",
    "metadata", "usage", "transcript", "param", "event_id",
}  # fmt: skip


def nulls(value: Any, name: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(nulls(inner, key) for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(nulls(inner, name) for inner in value))
    return {name} if value is None else set()


def test_nothing_is_null_that_a_client_drops_an_event_for() -> None:
    for event in everything():
        assert event["event_id"]
        assert nulls(event) <= NULLABLE


CUT = ReplySettled("u1", "cancelled", "turn_detected", samples=48_000, heard=24_000)


def test_where_the_sound_is_ours_to_stop_the_client_is_told_how_much_was_heard() -> None:
    known = events_of(paced=True)
    spoken(known)
    *_, done, cut = known.notice(CUT)
    assert done["type"] == "response.done"
    assert (cut["type"], cut["item_id"], cut["audio_end_ms"]) == ("conversation.item.truncated", "item_a", 500)
    STRICT.validate_python(cut)


@pytest.mark.parametrize("notice", [ReplySettled("u1", "completed", samples=9), ReplySettled("u1", "cancelled")])
def test_what_was_heard_to_its_end_or_not_at_all_is_not_truncated(notice: ReplySettled) -> None:
    known = events_of(paced=True)
    spoken(known)
    assert types(known.notice(notice))[-1] == "response.done"


def test_over_a_websocket_the_client_truncates_itself() -> None:
    known = events_of()
    spoken(known)
    assert types(known.notice(CUT))[-1] == "response.done"


def test_a_reply_that_is_said_is_found_by_the_clients_name_and_by_ours() -> None:
    known = events_of(paced=True)
    assert (known.responses.spoken, known.responses.response_id("u1")) == ("", "")
    spoken(known)
    assert known.responses.spoken == "u1"
    assert STRICT.validate_python(known.buffer("started", known.responses.response_id("u1"))).response_id.startswith(
        "resp_"
    )


def test_clearing_what_was_over_by_then_is_no_mistake() -> None:
    known = events_of(paced=True)
    ref = known.ask(Asked("e1", "output_audio_buffer.clear"))
    assert known.notice(Refused(ref, "not_active", "Cancellation failed: no active response found")) == []
