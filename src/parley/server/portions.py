"""What a socket brought at once, handed on in portions: one for each turn of the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

PORTION = 2_048
"""Bytes. A socket gives up to 256 KiB at once, which may be 40,000 tiny frames: half a second of work in one piece."""


class Portions:
    """Stands between a transport and its protocol; nothing more is read while portions are left.

    ``take``: the protocol. ``held``: whether it wants no more for now; it then says :meth:`go_on`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        take: Callable[[bytes], None],
        held: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._take = take
        self._held = held
        self._left = bytearray()
        self._due: asyncio.Handle | None = None
        self._waiting = False

    def add(self, data: bytes) -> None:
        """The socket brought this."""
        if len(data) <= PORTION and not self._left and not self._waiting and not self._held():
            self._take(data)
            return
        self._left += data
        self._transport.pause_reading()
        self._schedule()

    def go_on(self) -> None:
        """The protocol wants more."""
        if self._waiting:
            return
        if self._left:
            self._schedule()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def wait(self, seconds: float) -> None:
        """Hand on nothing, and read nothing, for so long."""
        self._waiting = True
        self._transport.pause_reading()
        self._loop.call_later(seconds, self._waited)

    def _waited(self) -> None:
        self._waiting = False
        if not self._held():
            self.go_on()

    def _schedule(self) -> None:
        if self._due is None:
            self._due = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._due = None
        if self._transport.is_closing():
            self._left.clear()
        elif self._left and not self._waiting and not self._held():
            portion = bytes(self._left[:PORTION])
            del self._left[:PORTION]
            self._take(portion)
            if not self._held():
                self.go_on()
