"""WebSocket frames as ours are: one message each, whole, without a mask or extensions (RFC 6455, section 5.2)."""

from __future__ import annotations

TEXT, BINARY = 0x81, 0x82
"""First bytes of a frame that is a whole message, with no reserved bit set."""


def framed(first: int, payload: bytes) -> bytes:
    """A server's frame, which has no mask."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126, size >> 8, size & 255)) + payload
    return bytes((first, 127)) + size.to_bytes(8) + payload
