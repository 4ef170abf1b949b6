"""Messages over a pipe: one byte that says what it is, four bytes of length, and the body."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, BinaryIO

from parley.errors import EngineError, ParleyError, from_code

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = struct.Struct("<cI")
LONGEST = 256 << 20
"""Bytes of the longest body; a header that announces more is no header."""


def pack(kind: bytes, body: bytes = b"") -> bytes:
    """One message."""
    return HEADER.pack(kind, len(body)) + body


def write(stream: BinaryIO, kind: bytes, body: bytes = b"") -> None:
    """Write one message and flush it. Raises BrokenPipeError when the other side is gone."""
    stream.write(pack(kind, body))
    stream.flush()


def read(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Read one message. Raises EOFError when the other side is gone, or says what is no message."""
    kind, size = HEADER.unpack(_exactly(stream, HEADER.size))
    if size > LONGEST:
        raise EOFError
    return kind, _exactly(stream, size)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if data is None or len(data) < size:
        raise EOFError
    return data


def pack_error(error: ParleyError | None) -> bytes:
    """What went wrong; None for nothing."""
    return json.dumps([error.code, error.message] if error else ["", ""]).encode()


def unpack_error(body: bytes) -> ParleyError | None:
    """The inverse of :func:`pack_error`."""
    code, message = json.loads(body)
    return from_code(code, message) if code else None


def attempt(work: Callable[[], object], failing: str) -> ParleyError | None:
    """Run an engine's ``work``; returns what it raised. ``failing`` begins the sentence where that is not of ours."""
    try:
        work()
    except ParleyError as error:
        return error
    except Exception as error:  # noqa: BLE001  (somebody else's code: an engine may raise anything)
        return EngineError(f"{failing}: {error!r}.")
    return None
