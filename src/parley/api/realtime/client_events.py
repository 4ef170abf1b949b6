"""What a client of the Realtime interface sends, checked as it is read (pure)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parley.api.realtime import fields, session_object
from parley.api.realtime.entries import entry_from
from parley.api.realtime.errors import ClientError
from parley.conversation import Item
from parley.nesting import DEEPEST, deeper

MOST_INPUT = 256
_LONGEST_EVENT_ID = 512
_METADATA = 16
_LONGEST_REASON = 512
LONGEST_WITHOUT_SOUND = 131_072
"""Characters of an event that is no audio and no image."""
_IMAGE_DATA = re.compile(r'"data:image/[a-z]{1,8};base64,[A-Za-z0-9+/=]*"')
_SOUND_ALONE = re.compile(
    r'\s*\{\s*(?:"(?:type|event_id)"\s*:\s*"[^"\\]{0,512}"\s*,\s*){0,2}'
    r'"audio"\s*:\s*"[A-Za-z0-9+/=]*"(?:\s*,\s*"(?:type|event_id)"\s*:\s*"[^"\\]{0,512}"){0,2}\s*\}\s*'
)


@dataclass(frozen=True, slots=True)
class UpdateSession:
    patch: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Append:
    audio: bytes


@dataclass(frozen=True, slots=True)
class CommitAudio:
    pass


@dataclass(frozen=True, slots=True)
class ClearAudio:
    pass


@dataclass(frozen=True, slots=True)
class CreateItem:
    item: Item
    form: str
    after: str | None
    """The id of the item before it; "" for the beginning, None for the end."""


@dataclass(frozen=True, slots=True)
class Approve:
    """A call of an MCP server's tool that waits for this is to be made, or not."""

    request_id: str
    approve: bool
    reason: str = ""
    item_id: str = ""


@dataclass(frozen=True, slots=True)
class RetrieveItem:
    item_id: str


@dataclass(frozen=True, slots=True)
class DeleteItem:
    item_id: str


@dataclass(frozen=True, slots=True)
class TruncateItem:
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class ItemReference:
    """An entry of the conversation, named where a list of items is wanted."""

    item_id: str


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """None wherever the session's own counts."""

    instructions: str | None = None
    output_modalities: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    max_output_tokens: int | str | None = None
    metadata: dict[str, str] | None = None
    voice: str | None = None
    beside: bool = False
    context: tuple[Item | ItemReference, ...] | None = None


@dataclass(frozen=True, slots=True)
class CancelResponse:
    response_id: str


@dataclass(frozen=True, slots=True)
class ClearOutput:
    pass


Request = (
    UpdateSession
    | Append
    | CommitAudio
    | ClearAudio
    | CreateItem
    | Approve
    | RetrieveItem
    | DeleteItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
    | ClearOutput
)


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One event: what is asked, or what is wrong with it."""

    event_id: str | None = None
    request: Request | None = None
    error: ClientError | None = field(default=None)


def read(text: str, longest: int = 1 << 20) -> ClientEvent:
    """An event from the wire, of at most ``longest`` characters. Never raises.

    Only sound and images may be as long as that: what else is in a JSON text of a megabyte takes a tenth of a second
    to read.
    """
    length, most = len(text), min(longest, LONGEST_WITHOUT_SOUND)
    if length > most and (length > longest or not (_SOUND_ALONE.fullmatch(text) or _short_without_images(text, most))):
        message = f"An event has at most {most} characters, {longest} with its audio and images; this one has {length}."
        return ClientEvent(error=ClientError(message, "event_too_large"))
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return ClientEvent(error=ClientError("The message is no JSON.", "invalid_json"))
    if not isinstance(data, dict):
        return ClientEvent(error=ClientError("The message is no JSON object.", "invalid_json"))
    if text.count("[") + text.count("{") > DEEPEST and deeper(data):
        message = f"The message has more than {DEEPEST} lists and objects inside each other."
        return ClientEvent(error=ClientError(message, "invalid_json"))
    event_id = data.get("event_id")
    named = event_id if isinstance(event_id, str) and len(event_id) <= _LONGEST_EVENT_ID else None
    try:
        if event_id is not None and named is None:
            raise ClientError(f"event_id must be a text of at most {_LONGEST_EVENT_ID} characters.", param="event_id")
        kind = fields.text(data, "type")
        reader = _READERS.get(kind)
        if reader is None:
            known = ", ".join(_READERS)
            raise ClientError(f"Invalid value: {kind[:64]!r}. Supported values are: {known}.", param="type")
        return ClientEvent(named, reader(data))
    except ClientError as error:
        return ClientEvent(named, error=error)


def _short_without_images(text: str, most: int) -> bool:
    return len(text) - sum(found.end() - found.start() for found in _IMAGE_DATA.finditer(text)) <= most


def _update(data: Mapping[str, Any]) -> UpdateSession:
    if "session" not in data:
        raise ClientError("Missing required parameter: 'session'.", "missing_required_parameter", "session")
    return UpdateSession(fields.objects(data["session"], "session"))


def _append(data: Mapping[str, Any]) -> Append:
    try:
        return Append(base64.b64decode(fields.text(data, "audio"), validate=True))
    except (binascii.Error, ValueError):
        raise ClientError("audio must be base64.", param="audio") from None


def _create(data: Mapping[str, Any]) -> CreateItem | Approve:
    if isinstance(given := data.get("item"), dict) and given.get("type") == "mcp_approval_response":
        return _approve(given)
    item, form = entry_from(data.get("item"))
    before = fields.text(data, "previous_item_id", default="") or None
    return CreateItem(item, form, "" if before == "root" else before)


def _approve(item: Mapping[str, Any]) -> Approve:
    if not isinstance(item.get("approve"), bool):
        raise ClientError("item.approve must be true or false.", "invalid_type", "item.approve")
    texts = [fields.text(item, name, "item.", "") for name in ("id", "reason")]
    if any(len(text) > _LONGEST_REASON for text in texts):
        raise ClientError(f"The id and the reason have at most {_LONGEST_REASON} characters.", param="item.reason")
    return Approve(fields.text(item, "approval_request_id", "item."), item["approve"], texts[1], texts[0])


def _item_id(data: Mapping[str, Any]) -> str:
    return fields.text(data, "item_id")


def _truncate(data: Mapping[str, Any]) -> TruncateItem:
    if data.get("content_index") is not None:
        fields.whole(data, "content_index", 0, 1_000)
    # A day: whether there is so much of it, the session knows.
    return TruncateItem(_item_id(data), int(fields.number(data, "audio_end_ms", 0, 86_400_000)))


_RESPONSE = (
    "output_modalities", "instructions", "audio", "tools", "tool_choice", "max_output_tokens", "metadata",
    "conversation", "input", "prompt", "reasoning", "parallel_tool_calls",
)  # fmt: skip


def _respond(data: Mapping[str, Any]) -> CreateResponse:
    if data.get("response") is None:
        return CreateResponse()
    wanted = fields.objects(data["response"], "response")
    fields.known(wanted, _RESPONSE, "response.")
    read: dict[str, Any] = {}
    for name, reader in (
        ("instructions", session_object.instructions),
        ("output_modalities", session_object.modalities),
        ("tools", session_object.tools),
        ("tool_choice", session_object.tool_choice),
        ("max_output_tokens", session_object.max_output_tokens),
        ("metadata", _metadata),
    ):
        if wanted.get(name) is not None:
            read[name] = reader(wanted[name], f"response.{name}")
    if wanted.get("audio") is not None:
        sound = fields.objects(wanted["audio"], "response.audio")
        fields.known(sound, ("output",), "response.audio.")
        read["voice"] = session_object.output(sound.get("output") or {}, {}, "response.audio.output").get("voice")
    place = fields.one_of(wanted.get("conversation") or "auto", ("auto", "none"), "response.conversation")
    if wanted.get("input") is not None:
        read["context"] = _context(wanted["input"])
    return CreateResponse(beside=place == "none", **read)


def _metadata(value: Any, where: str) -> dict[str, str]:
    data = fields.objects(value, where)
    texts = all(isinstance(text, str) and len(text) <= 512 for text in data.values())
    if len(data) > _METADATA or not texts or any(len(name) > 64 for name in data):
        message = f"{where} must be at most {_METADATA} texts of at most 512 characters, with names of at most 64."
        raise ClientError(message, param=where)
    return data


def _context(value: Any) -> tuple[Item | ItemReference, ...]:
    if not isinstance(value, list):
        raise ClientError("response.input must be a list.", "invalid_type", "response.input")
    if len(value) > MOST_INPUT:
        raise ClientError(f"response.input has {len(value)} items; {MOST_INPUT} are taken.", param="response.input")
    context: list[Item | ItemReference] = []
    for index, item in enumerate(value):
        path = f"response.input[{index}]"
        if isinstance(item, dict) and item.get("type") == "item_reference":
            context.append(ItemReference(fields.text(item, "id", f"{path}.")))
        else:
            context.append(entry_from(item, path)[0])
    return tuple(context)


_READERS: dict[str, Any] = {
    "session.update": _update,
    "input_audio_buffer.append": _append,
    "input_audio_buffer.commit": lambda _: CommitAudio(),
    "input_audio_buffer.clear": lambda _: ClearAudio(),
    "conversation.item.create": _create,
    "conversation.item.retrieve": lambda data: RetrieveItem(_item_id(data)),
    "conversation.item.delete": lambda data: DeleteItem(_item_id(data)),
    "conversation.item.truncate": _truncate,
    "response.create": _respond,
    "response.cancel": lambda data: CancelResponse(fields.text(data, "response_id", default="")),
    "output_audio_buffer.clear": lambda _: ClearOutput(),
}
