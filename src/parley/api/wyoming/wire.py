"""Wyoming's messages: a line of JSON, perhaps more of it, perhaps bytes (github.com/OHF-voice/wyoming, 1.10)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from parley.errors import InvalidRequest

VERSION = "1.10.2"
"""Of the protocol that is spoken here."""
LONGEST_LINE = 65_536
"""Bytes of the first line; what a server describes can be longer, what a client says is not."""
_LONGEST_DATA = 1 << 20
_LONGEST_PAYLOAD = 1 << 20
"""Bytes: eleven seconds of sound at 48 kHz, where clients send a tenth."""


@dataclass(frozen=True, slots=True)
class Event:
    """One message."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""


async def read(reader: asyncio.StreamReader) -> Event | None:
    """The next message; None once there is no more. Raises InvalidRequest for what is none."""
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial.strip():
            return None
        raise InvalidRequest("The connection ended in the middle of a message.") from None
    except asyncio.LimitOverrunError:
        raise InvalidRequest(f"A message's first line is longer than {LONGEST_LINE} bytes.") from None
    head = _object(line)
    kind, data = head.get("type"), head.get("data") or {}
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise InvalidRequest("A message needs a type, and data that is an object.")
    more = await _exactly(reader, _length(head, "data_length", _LONGEST_DATA))
    if more:
        data = {**data, **_object(more)}
    return Event(kind, data, await _exactly(reader, _length(head, "payload_length", _LONGEST_PAYLOAD)))


def packed(event: Event) -> bytes:
    """A message as bytes."""
    head: dict[str, Any] = {"type": event.kind, "version": VERSION}
    data = json.dumps(event.data).encode() if event.data else b""
    if data:
        head["data_length"] = len(data)
    if event.payload:
        head["payload_length"] = len(event.payload)
    return json.dumps(head).encode() + b"\n" + data + event.payload


def _object(text: bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise InvalidRequest("A message is no JSON.") from None
    if not isinstance(said, dict):
        raise InvalidRequest("A message is no JSON object.")
    return said


def _length(head: dict[str, Any], name: str, most: int) -> int:
    length = head.get(name) or 0
    if isinstance(length, bool) or not isinstance(length, int) or not 0 <= length <= most:
        raise InvalidRequest(f"{name} must be a number of bytes up to {most}.")
    return length


async def _exactly(reader: asyncio.StreamReader, length: int) -> bytes:
    try:
        return await reader.readexactly(length) if length else b""
    except asyncio.IncompleteReadError:
        raise InvalidRequest("The connection ended in the middle of a message.") from None
