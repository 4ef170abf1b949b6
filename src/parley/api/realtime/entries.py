"""Entries of a conversation, as clients write and read them (pure)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from parley.api.realtime import fields
from parley.api.realtime.errors import ClientError
from parley.conversation import Call, Item, Message, Result
from parley.conversation.history import MOST_IMAGES
from parley.values import Image, is_tool_name

MOST_PARTS = 64
_DATA = re.compile(r"data:image/(png|jpeg|webp|gif);base64,")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_BEGINNINGS = {"png": b"\x89PNG", "jpeg": b"\xff\xd8", "gif": b"GIF8"}
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
    content, form, images = _content(item.get("content"), f"{path}content")
    if images and role != "user":
        raise ClientError("Images are shown by the user alone.", param=f"{path}role")
    return Message("system" if role == "developer" else role, content, item_id, images=images), form


def _call_id(item: Mapping[str, Any], path: str) -> str:
    call_id = fields.text(item, "call_id", path)
    if not 0 < len(call_id) <= _LONGEST_ID:
        raise ClientError(f"A call_id has 1 to {_LONGEST_ID} characters.", param=f"{path}call_id")
    return call_id


def _content(parts: Any, where: str) -> tuple[str, str, tuple[Image, ...]]:
    if not isinstance(parts, list):
        raise ClientError(f"{where} must be a list.", "invalid_type", where)
    if len(parts) > MOST_PARTS:
        raise ClientError(f"{where} has {len(parts)} parts; at most {MOST_PARTS} are taken.", param=where)
    said, form = [], ""
    images: list[Image] = []
    for index, part in enumerate(parts):
        path = f"{where}[{index}]"
        data = fields.objects(part, path)
        allowed = ("input_text", "output_text", "text", "input_audio", "output_audio", "audio", "input_image")
        kind = fields.one_of(data.get("type"), allowed, f"{path}.type")
        form = form or ("" if kind == "input_image" else kind)
        if kind == "input_image":
            images.append(_image(data, path))
            if len(images) > MOST_IMAGES:
                raise ClientError(f"An item shows at most {MOST_IMAGES} images.", param=where)
        elif kind.endswith("audio"):
            if data.get("audio") is not None and data.get("transcript") is None:
                message = "Audio of an item is taken with its transcript only; append it to the input audio buffer."
                raise ClientError(message, param=f"{path}.audio")
            said.append(fields.text(data, "transcript", f"{path}.", ""))
        else:
            said.append(fields.text(data, "text", f"{path}.", ""))
    return "\n".join(text for text in said if text), form, tuple(images)


def _image(data: Mapping[str, Any], path: str) -> Image:
    """One that stands in the event itself: nothing is fetched for a client."""
    url: Any = data.get("image_url")
    if isinstance(url, dict):  # as chat endpoints are told
        url = url.get("url")
    found = _DATA.match(url) if isinstance(url, str) else None
    if found is None or (len(url) - found.end()) % 4 or not _BASE64.fullmatch(url, found.end()):
        message = f"{path}.image_url must be a data URI, data:image/png;base64,... (png, jpeg, webp or gif)."
        raise ClientError(message, param=f"{path}.image_url")
    if not _begins_as(found[1], base64.b64decode(url[found.end() : found.end() + 16])):
        raise ClientError(f"{path}.image_url holds no {found[1]}.", param=f"{path}.image_url")
    detail: Any = fields.one_of(data.get("detail") or "auto", ("auto", "low", "high"), f"{path}.detail")
    return Image(url, detail)


def _begins_as(kind: str, data: bytes) -> bool:
    if kind == "webp":
        return data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return data.startswith(_BEGINNINGS[kind])


def shown(item: Item, form: str = "", status: str = "completed") -> dict[str, Any]:
    """An item as clients read it; ``form`` is the type of its content, where that is known."""
    common: dict[str, Any] = {"id": item.id, "object": "realtime.item"}
    if isinstance(item, Call):
        own = {"name": item.name, "call_id": item.call_id, "arguments": item.arguments}
        return {**common, "type": "function_call", "status": status, **own}
    if isinstance(item, Result):
        return {**common, "type": "function_call_output", "call_id": item.call_id, "output": item.output}
    form = form or ("output_text" if item.role == "assistant" else "input_text")
    content = [part(form, item.text)] if item.text or not item.images else []
    content += [{"type": "input_image", "image_url": image.url, "detail": image.detail} for image in item.images]
    return {**common, "type": "message", "status": status, "role": item.role, "content": content}


def part(form: str, text: str) -> dict[str, Any]:
    """One part of a message's content."""
    form = {"text": "input_text", "audio": "output_audio"}.get(form, form)
    return {"type": form, "transcript" if form.endswith("audio") else "text": text}
