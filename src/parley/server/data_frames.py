"""WebSocket frames as almost all of them are: one message each, whole, without extensions (RFC 6455, section 5.2)."""

from __future__ import annotations

from typing import NamedTuple

TEXT, BINARY = 0x81, 0x82
"""First bytes of a frame that is a whole message, with no reserved bit set."""


class Head(NamedTuple):
    """Where a client's frame lies in the bytes that came."""

    first: int
    """Its first byte: the end of a message or not, reserved bits, and what it is."""
    masked: bool
    mask: int
    """Where the mask begins, which is four bytes long."""
    start: int
    """Where the payload begins."""
    end: int
    """Where the next frame begins."""


def head_at(data: bytes, at: int) -> Head | None:
    """The frame that begins at ``at``; None while its head is not whole."""
    have = len(data) - at
    if have < 2:
        return None
    size, start = data[at + 1] & 127, at + 2
    if size == 126:
        start = at + 4
        size = int.from_bytes(data[at + 2 : start])
    elif size == 127:
        start = at + 10
        size = int.from_bytes(data[at + 2 : start])
    masked = data[at + 1] >= 128
    mask = start
    if masked:
        start += 4
    return Head(data[at], masked, mask, start, start + size) if start - at <= have else None


def framed(first: int, payload: bytes) -> bytes:
    """A server's frame, which has no mask."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126, size >> 8, size & 255)) + payload
    return bytes((first, 127)) + size.to_bytes(8) + payload
