"""From the bytes of a chat endpoint's answer to its JSON objects, streamed or not (pure).

An answer is a stream of server-sent events, whatever its headers say, when its first line looks like one; else it is
one JSON text. Lines end as the events' specification says: no character inside a string ends one.
"""

from __future__ import annotations

import json
import re

MAX_EVENT = 1_048_576
"""Bytes of one event, and of an answer that is no stream."""
_END = re.compile(rb"\r\n|\n|\r(?!\n)")
_FIELD = re.compile(rb"(?:data|event|id|retry)?:")
_DONE = b"[DONE]"


class NotAnAnswer(ValueError):
    """What came is neither a stream of JSON events nor one JSON text."""


class Events:
    """Give it the bytes as they come; it gives back each object once it is complete."""

    def __init__(self) -> None:
        self.done = False
        """True once the endpoint has said that the stream is over."""
        self.beginning = b""
        """The first bytes of the answer, for a log."""
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._streamed: bool | None = None
        self._halved = False
        """True while the newest byte is a carriage return, which may be half of a line's end."""

    def add(self, data: bytes) -> list[object]:
        """The objects that are complete now. Raises NotAnAnswer."""
        if len(self.beginning) < 200:
            self.beginning = (self.beginning + data)[:200]
        if self._halved and data:
            data = data.removeprefix(b"\n")
        self._halved = data.endswith(b"\r") or (self._halved and not data)
        self._rest += data
        self._find_out()
        found: list[object] = []
        if self._streamed:
            *lines, self._rest = _END.split(self._rest)
            found = self._objects(lines)
        if len(self._rest) + self._size > MAX_EVENT:
            raise NotAnAnswer("an event without end")
        return found

    def finish(self) -> list[object]:
        """The objects that are complete now that nothing more comes. Raises NotAnAnswer."""
        rest, self._rest = self._rest, b""
        if self._streamed:
            return self._objects([*_END.split(rest), b""])
        return [_parsed(rest)] if rest.strip() else []

    def _find_out(self) -> None:
        """By the first bytes that are not blank."""
        if self._streamed is None:
            beginning = self._rest.lstrip(b"\xef\xbb\xbf \t\r\n")
            if b":" in beginning[:7] or len(beginning) > 7 or b"\n" in beginning:
                self._streamed = _FIELD.match(beginning) is not None

    def _objects(self, lines: list[bytes]) -> list[object]:
        found: list[object] = []
        for line in lines:
            if line:
                self._note(line)
                continue
            data, self._data, self._size = b"\n".join(self._data), [], 0
            if data.strip() == _DONE:
                self.done = True
            elif data.strip() and not self.done:
                found.append(_parsed(data))
        return found

    def _note(self, line: bytes) -> None:
        """A line of an event; comments and fields other than data carry nothing that is said."""
        name, _, value = line.lstrip(b"\xef\xbb\xbf").partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)


def _parsed(data: bytes) -> object:
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError):
        raise NotAnAnswer("no JSON") from None
    return parsed
