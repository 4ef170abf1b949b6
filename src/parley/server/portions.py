"""What sockets brought, handed on in portions: all connections together have a slice of each turn of the loop."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

PORTION, SMALLEST = 2_048, 256
"""Bytes. A socket gives up to 256 KiB at once, which may be 40,000 tiny frames: half a second of work in one piece.
Portions that took long are followed by smaller ones: 2,048 bytes are 341 tiny frames, or a part of one."""
SLICE = 0.001
"""Seconds of a turn that what comes in may take, whoever sent it; a portion that was begun is finished."""


class Turns:
    """Whose bytes are handed on next. Shared by the connections of a server, so that twenty keep the loop no longer
    than one does. Who sends little does not stand in line with those who send much."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spent = 0.0
        self._little: deque[Portions] = deque()
        self._much: deque[Portions] = deque()
        self._due: asyncio.Handle | None = None

    def take(self, work: Callable[[bytes], None], data: bytes, loop: asyncio.AbstractEventLoop) -> bool:
        """Hand ``data`` on at once; False when this turn has no time left for it."""
        if self._spent >= SLICE:
            return False
        self._timed(work, data)
        self._schedule(loop)
        return True

    def join(self, portions: Portions, loop: asyncio.AbstractEventLoop, *, little: bool) -> None:
        """Stand in line."""
        (self._little if little else self._much).append(portions)
        self._schedule(loop)

    def _timed(self, work: Callable[[bytes], None], data: bytes) -> float:
        began = self._clock()
        try:
            work(data)
        finally:
            took = self._clock() - began
            self._spent += took
        return took

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._due is None:
            self._due = loop.call_soon(self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = None
        self._spent = 0.0
        try:
            while self._little and self._spent < SLICE:
                self._little.popleft().hand_on(self._timed)
            if self._much:  # one at least: they wait longer than others, and not for ever
                self._much.popleft().hand_on(self._timed)
            while self._much and self._spent < SLICE:
                self._much.popleft().hand_on(self._timed)
        finally:
            if self._little or self._much:
                self._schedule(loop)


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
        turns: Turns,
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._take = take
        self._held = held
        self._turns = turns
        self._size = PORTION
        self._left = bytearray()
        self._in_line = False
        self._waiting = False

    def add(self, data: bytes) -> None:
        """The socket brought this."""
        little = len(data) <= self._size and not self._left and not self._waiting and not self._held()
        if little and self._turns.take(self._take, data, self._loop):
            return
        self._left += data
        self._transport.pause_reading()
        self._join(little=little)

    def go_on(self) -> None:
        """The protocol wants more."""
        if self._waiting:
            return
        if self._left:
            self._join()
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

    def _join(self, *, little: bool = False) -> None:
        if not self._in_line:
            self._in_line = True
            self._turns.join(self, self._loop, little=little)

    def hand_on(self, timed: Callable[[Callable[[bytes], None], bytes], float]) -> None:
        """The next portion has its turn."""
        self._in_line = False
        if self._transport.is_closing():
            self._left.clear()
        elif self._left and not self._waiting and not self._held():
            portion = bytes(self._left[: self._size])
            del self._left[: self._size]
            took = timed(self._take, portion)
            if took > SLICE / 2:
                self._size = max(SMALLEST, self._size // 2)
            elif took < SLICE / 8:
                self._size = min(PORTION, self._size * 2)
            if not self._held():
                self.go_on()
