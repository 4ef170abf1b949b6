"""What a client is told of the sound on its way to it, where that goes by a media track (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Told = list[tuple[str, str]]
"""``started``, ``stopped`` or ``cleared``, and of which response."""


class OutputBuffer:
    """One sound at a time: each that has started is told to end, once. ``response_id``: the client's name of a reply.

    Where a reply is over and some of its sound has still to leave, the end waits for that.
    """

    def __init__(self, response_id: Callable[[str], str]) -> None:
        self._response_id = response_id
        self._reply_id = self._sounding = ""
        self._settled = False

    def leaves(self, reply_id: str) -> Told:
        """A frame of a reply is on its way now."""
        if reply_id == self._reply_id:
            return []
        told = self._end("stopped")
        self._reply_id, self._sounding, self._settled = reply_id, self._response_id(reply_id), False
        return [*told, *([("started", self._sounding)] if self._sounding else [])]

    def settled(self, reply_id: str, *, waiting: bool) -> Told:
        """A reply is over; ``waiting``: some of its sound has not left yet."""
        if reply_id != self._reply_id:
            return []
        self._settled = True
        return [] if waiting else self._end("stopped")

    def emptied(self) -> Told:
        """Nothing waits to leave."""
        return self._end("stopped") if self._settled else []

    def cleared(self, reply_id: str) -> Told:
        """What had not left of a reply was dropped."""
        return self._end("cleared") if reply_id == self._reply_id else []

    def _end(self, how: str) -> Told:
        response_id, self._sounding = self._sounding, ""
        return [(how, response_id)] if response_id else []
