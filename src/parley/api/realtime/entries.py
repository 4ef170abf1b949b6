"""Entries of a conversation, as clients write and read them (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parley.api.realtime import fields
from parley.api.realtime.errors import ClientError
from parley.conversation import Call, Item, Message, Result
from parley.values import is_tool_name

MOST_PARTS = 64
_LONGEST_ID = 128


def entry_from(data: Any, where: str = "item") -> tuple[Item, str]:
    """The item, and the type of its content ("" for calls and results). Raises ClientError."""
    item = fields.objects(data, where)
    path = f"{where}."
    item_id = fields.text(item, "id", path, "")
    if len(item_id) > _LONGEST_ID:
        raise ClientError(f"An id has at most {_LONGEST_ID} characters.", param=f"{path}id")
    kind = fields.one_of(
        item.get("type", "message"), ("message", "function_call", "function_call_output"), f"{path}type"
    )
    if kind == "function_call":
        arguments, name = fields.text(item, "arguments", path, "{}"), fields.text(item, "name", path)
        if not is_tool_name(name):
            message = "The name of a function has letters, digits, _ and -, at most 64."
            raise ClientError(message, param=f"{path}name")
        return Call(_call_id(item, path), name, arguments, item_id), ""
    if kind == "function_call_output":
        return Result(_call_id(item, path), fields.text(item, "output", path), item_id), ""
    role: Any = fields.one_of(item.get("role"), ("user", "assistant", "system", "developer"), f"{path}role")
    content, form = _content(item.get("content"), f"{path}content")
    return Message("system" if role == "developer" else role, content, item_id), form


def _call_id(item: Mapping[str, Any], path: str) -> str:
    call_id = fields.text(item, "call_id", path)
    if not 0 < len(call_id) <= _LONGEST_ID:
        raise ClientError(f"A call_id has 1 to {_LONGEST_ID} characters.", param=f"{path}call_id")
    return call_id


def _content(parts: Any, where: str) -> tuple[str, str]:
    if not isinstance(parts, list):
        raise ClientError(f"{where} must be a list.", "invalid_type", where)
    if len(parts) > MOST_PARTS:
        raise ClientError(f"{where} has {len(parts)} parts; at most {MOST_PARTS} are taken.", param=where)
    said, form = [], ""
    for index, part in enumerate(parts):
        path = f"{where}[{index}]"
        data = fields.objects(part, path)
        allowed = ("input_text", "output_text", "text", "input_audio", "output_audio", "audio", "input_image")
        form = form or fields.one_of(data.get("type"), allowed, f"{path}.type")
        kind = fields.one_of(data.get("type"), allowed, f"{path}.type")
        if kind == "input_image":
            raise ClientError("Images are not taken here: no model of this server looks at them.", param=f"{path}.type")
        if kind.endswith("audio"):
            if data.get("audio") is not None and data.get("transcript") is None:
                message = "Audio of an item is taken with its transcript only; append it to the input audio buffer."
                raise ClientError(message, param=f"{path}.audio")
            said.append(fields.text(data, "transcript", f"{path}.", ""))
        else:
            said.append(fields.text(data, "text", f"{path}.", ""))
    return "\n".join(text for text in said if text), form


def shown(item: Item, form: str = "", status: str = "completed") -> dict[str, Any]:
    """An item as clients read it; ``form`` is the type of its content, where that is known."""
    common: dict[str, Any] = {"id": item.id, "object": "realtime.item"}
    if isinstance(item, Call):
        own = {"name": item.name, "call_id": item.call_id, "arguments": item.arguments}
        return {**common, "type": "function_call", "status": status, **own}
    if isinstance(item, Result):
        return {**common, "type": "function_call_output", "call_id": item.call_id, "output": item.output}
    form = form or ("output_text" if item.role == "assistant" else "input_text")
    return {**common, "type": "message", "status": status, "role": item.role, "content": [part(form, item.text)]}


def part(form: str, text: str) -> dict[str, Any]:
    """One part of a message's content."""
    form = {"text": "input_text", "audio": "output_audio"}.get(form, form)
    return {"type": form, "transcript" if form.endswith("audio") else "text": text}
