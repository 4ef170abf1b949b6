"""What a client sends is read, or refused in a sentence that names the field and returns the event's id."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from parley.api.realtime.client_events import (
    LONGEST_WITHOUT_SOUND,
    Append,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    CommitAudio,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ItemReference,
    RetrieveItem,
    TruncateItem,
    UpdateSession,
    read,
)
from parley.conversation import Call, Message, Result

USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "e1", **fields})


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (event("session.update", session={"type": "realtime"}), UpdateSession({"type": "realtime"})),
        (event("input_audio_buffer.append", audio="AAAB"), Append(b"\0\0\1")),
        (event("input_audio_buffer.commit"), CommitAudio()),
        (event("input_audio_buffer.clear"), ClearAudio()),
        (event("conversation.item.retrieve", item_id="i"), RetrieveItem("i")),
        (event("conversation.item.delete", item_id="i"), DeleteItem("i")),
        (event("conversation.item.truncate", item_id="i", content_index=0, audio_end_ms=5), TruncateItem("i", 5)),
        (event("conversation.item.truncate", item_id="i", audio_end_ms=7.9), TruncateItem("i", 7)),
        (event("response.create"), CreateResponse()),
        (event("response.create", response={"output_modalities": ["text"]}), CreateResponse(None, ["text"])),
        (event("response.create", response={"conversation": "none", "input": []}),
         CreateResponse(beside=True, context=())),
        (event("response.create", response={"input": [{"type": "item_reference", "id": "i"}]}),
         CreateResponse(context=(ItemReference("i"),))),
        (event("response.cancel"), CancelResponse("")),
        (event("response.cancel", response_id="r"), CancelResponse("r")),
        (event("output_audio_buffer.clear"), ClearOutput()),
    ],
)  # fmt: skip
def test_every_event_that_clients_send_is_read(text: str, request_: Any) -> None:
    asked = read(text)
    assert asked.error is None
    assert asked.request == request_
    assert asked.event_id == "e1"


@pytest.mark.parametrize(
    ("item", "kind", "fields"),
    [
        (USER, Message, {"role": "user", "text": "Hi"}),
        ({**USER, "id": "mine"}, Message, {"id": "mine"}),
        ({**USER, "role": "developer"}, Message, {"role": "system"}),
        ({"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Yes."}]},
         Message, {"role": "assistant", "text": "Yes."}),
        ({"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": None}]},
         Message, {"text": ""}),
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
         Call, {"call_id": "c", "name": "f"}),
        ({"type": "function_call_output", "call_id": "c", "output": "ok"}, Result, {"output": "ok"}),
    ],
)  # fmt: skip
def test_entries_of_every_kind_are_read(item: Any, kind: type, fields: dict[str, str]) -> None:
    asked = read(event("conversation.item.create", item=item, previous_item_id="root")).request
    assert isinstance(asked, CreateItem)
    assert isinstance(asked.item, kind)
    assert {name: getattr(asked.item, name) for name in fields} == fields
    assert asked.after == ""


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        ("no json", "invalid_json", None),
        ("[1]", "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ('{"type":' + "[" * 32 + "]" * 32 + "}", "invalid_json", None),
        ('{"a":' * 900 + "1" + "}" * 900, "invalid_json", None),
        (json.dumps({"event_id": "e1"}), "missing_required_parameter", "type"),
        (event("sing"), "invalid_value", "type"),
        (event("session.update"), "missing_required_parameter", "session"),
        (event("session.update", session=[]), "invalid_type", "session"),
        (event("input_audio_buffer.append"), "missing_required_parameter", "audio"),
        (event("input_audio_buffer.append", audio="?"), "invalid_value", "audio"),
        (event("conversation.item.create"), "invalid_type", "item"),
        (event("conversation.item.create", item={"type": "song"}), "invalid_value", "item.type"),
        (event("conversation.item.create", item={**USER, "role": "queen"}), "invalid_value", "item.role"),
        (event("conversation.item.create", item={**USER, "content": "Hi"}), "invalid_type", "item.content"),
        (event("conversation.item.create", item={**USER, "content": [{"type": "input_image"}]}),
         "invalid_value", "item.content[0].image_url"),
        (event("conversation.item.create", item={"type": "function_call", "name": "f"}),
         "missing_required_parameter", "item.call_id"),
        (event("conversation.item.create",
               item={"type": "function_call", "call_id": "c", "name": "n" * 65, "arguments": "{}"}),
         "invalid_value", "item.name"),
        (event("conversation.item.truncate", item_id="i", audio_end_ms=-1), "invalid_value", "audio_end_ms"),
        (event("conversation.item.truncate", audio_end_ms=1), "missing_required_parameter", "item_id"),
        (event("response.create", response={"voice": "alloy"}), "unknown_parameter", "response.voice"),
        (event("response.create", response={"conversation": "both"}), "invalid_value", "response.conversation"),
        (event("response.create", response={"metadata": {"a": 1}}), "invalid_value", "response.metadata"),
        (event("response.create", response={"metadata": {"a" * 65: "b"}}), "invalid_value", "response.metadata"),
        (event("response.create", response={"audio": {"output": {"voice": "v" * 257}}}),
         "invalid_value", "response.audio.output.voice"),
        (event("response.create", response={"input": "x"}), "invalid_type", "response.input"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str, code: str, param: str | None) -> None:
    asked = read(text)
    assert asked.request is None
    assert asked.error is not None
    assert (asked.error.code, asked.error.param) == (code, param)
    assert asked.error.message.endswith(".")
    assert asked.event_id == ("e1" if '"e1"' in text else None)


def test_only_sound_may_be_long() -> None:
    audio = base64.b64encode(bytes(600_000)).decode()
    assert isinstance(read(event("input_audio_buffer.append", audio=audio)).request, Append)
    sound_first = json.dumps({"audio": audio, "type": "input_audio_buffer.append"})
    assert isinstance(read(sound_first).request, Append)
    for text in (
        event("input_audio_buffer.append", audio="AAAA", more=audio),
        event("response.create", response={"instructions": "x" * LONGEST_WITHOUT_SOUND}),
        "[" + "{}," * 100_000 + "{}]",
    ):
        asked = read(text)
        assert asked.error is not None
        assert asked.error.code == "event_too_large"
    assert read(event("input_audio_buffer.append", audio=audio), 100_000).error is not None
