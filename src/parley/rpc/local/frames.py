"""What goes over the local wire, byte by byte; nothing here does any I/O.

A frame is a head (length of the payload, kind, number of the call) and a payload. A caller opens a call with CALL,
sends messages and END; the worker answers with messages and STATUS. CANCEL says that nobody wants the rest. CREDIT
says how many bytes of messages were taken: neither side sends more than WINDOW bytes ahead of that.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Final

from parley.rpc.options import MAX_MESSAGE

HELLO: Final = 0
CALL: Final = 1
MESSAGE: Final = 2
END: Final = 3
STATUS: Final = 4
CANCEL: Final = 5
CREDIT: Final = 6

GREETING = b"parley.tts.v1 local 1"
"""The first frame of both sides: whoever says something else speaks another protocol."""
WINDOW = 65_536
"""Bytes of one call's messages on their way: small, as over gRPC, so that audio waits in the worker."""
MAX_PAYLOAD = MAX_MESSAGE + 65_536
MAX_UNREAD = WINDOW + MAX_MESSAGE
"""Bytes that may lie unread: one message may begin within the window and end beyond it."""
_HEAD = struct.Struct("<IBQ")
_CREDIT = struct.Struct("<I")


class BrokenWire(Exception):
    """What came is not of this protocol; the connection is of no more use."""


def frame(kind: int, call: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(len(payload), kind, call) + payload


class FrameReader:
    """Cuts what a socket gives into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Take what came; return the frames that are whole, as kind, call and payload. Raises BrokenWire."""
        if self._rest:
            data = self._rest + data
        frames, at, size = [], 0, len(data)
        while size - at >= _HEAD.size:
            length, kind, call = _HEAD.unpack_from(data, at)
            if length > MAX_PAYLOAD:
                raise BrokenWire(f"a frame of {length} bytes")
            end = at + _HEAD.size + length
            if end > size:
                break
            frames.append((kind, call, data[at + _HEAD.size : end]))
            at = end
        self._rest = data[at:]
        return frames


@dataclass(frozen=True, slots=True)
class Opening:
    """What a call begins with."""

    method: str
    metadata: tuple[tuple[str, str], ...] = ()

    def pack(self) -> bytes:
        return json.dumps([self.method, self.metadata]).encode()

    @classmethod
    def unpack(cls, payload: bytes) -> Opening:
        """Raises BrokenWire."""
        try:
            method, metadata = json.loads(payload)
            return cls(str(method), _pairs(metadata))
        except (ValueError, TypeError, RecursionError) as error:
            raise BrokenWire("a call that cannot be read") from error


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended: the number of a gRPC status code, what it means here, trailing metadata."""

    code: int
    details: str = ""
    trailing: tuple[tuple[str, str], ...] = ()

    def pack(self) -> bytes:
        return json.dumps([self.code, self.details, self.trailing]).encode()

    @classmethod
    def unpack(cls, payload: bytes) -> Status:
        """Raises BrokenWire."""
        try:
            code, details, trailing = json.loads(payload)
            return cls(int(code), str(details), _pairs(trailing))
        except (ValueError, TypeError, RecursionError) as error:
            raise BrokenWire("a status that cannot be read") from error


def pack_credit(size: int) -> bytes:
    """So many more bytes may come."""
    return _CREDIT.pack(size)


def unpack_credit(payload: bytes) -> int:
    """How many. Raises BrokenWire."""
    if len(payload) != _CREDIT.size:
        raise BrokenWire("a credit that cannot be read")
    return int(_CREDIT.unpack(payload)[0])


def _pairs(said: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(said, list):
        raise TypeError("not a list")
    return tuple((str(key), str(value)) for key, value in said)
