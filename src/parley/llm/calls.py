"""Calls of tools as endpoints stream them: in pieces, several at once, by index, by id or by neither (pure)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from parley.values import ToolCall

MOST = 64
"""Calls of one answer that are read."""
LONGEST = 65_536
"""Characters of one call's arguments that are read: what is longer ends in the middle, and is told to be broken."""


@dataclass(slots=True)
class _Growing:
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class CallPieces:
    """Give it each piece; at the end it gives back the calls, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[_Growing] = []
        self._at: dict[Any, _Growing] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, pieces: Any) -> None:
        """``tool_calls`` of a delta or of a whole message. Raises ValueError where they are no list of objects."""
        if not isinstance(pieces, list):
            raise ValueError("tool_calls is not a list")
        for number, piece in enumerate(pieces):
            if not isinstance(piece, dict):
                raise ValueError("a tool call is not an object")
            index = piece.get("index")
            self._add(number if index is None else index, piece.get("id"), piece.get("function"))

    def add_function(self, function: Any) -> None:
        """``function_call``, as it was before there were several."""
        self._add("function", "", function)

    def finish(self) -> list[ToolCall]:
        """All that have a name."""
        return [ToolCall(call.call_id, call.name, call.arguments) for call in self._calls if call.name]

    def _add(self, index: Any, call_id: Any, function: Any) -> None:
        function = function if isinstance(function, dict) else {}
        call_id, name = _text(call_id), _text(function.get("name"))
        given = function.get("arguments")
        arguments = given if isinstance(given, str) else "" if given is None else json.dumps(given)
        key = index if isinstance(index, (int, str)) else 0
        call = self._at.get(key)
        if call is None or _is_another(call, call_id, name):
            if len(self._calls) >= MOST:
                return
            call = self._at[key] = _Growing()
            self._calls.append(call)
        call.call_id = call.call_id or call_id
        if name and name != call.name and not call.arguments:
            call.name += name
        call.arguments = (call.arguments + arguments)[:LONGEST]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_another(call: _Growing, call_id: str, name: str) -> bool:
    """Whether a piece begins a new call under an index that has one: some endpoints count all of them as 0."""
    if call_id and call.call_id:
        return call_id != call.call_id
    return bool(name and call.name and call.arguments and _whole(call.arguments))


def _whole(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True
