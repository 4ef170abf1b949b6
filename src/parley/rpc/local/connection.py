"""One end of the local wire: a socket, and the calls that share it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from parley.rpc.local.frames import (
    CREDIT,
    GREETING,
    HELLO,
    MAX_UNREAD,
    MESSAGE,
    WINDOW,
    BrokenWire,
    FrameReader,
    frame,
    pack_credit,
    unpack_credit,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable

GREETING_LIMIT = 5.0
"""Seconds for whoever has connected to say so in this protocol."""
_ENOUGH = WINDOW // 2
"""Bytes that were taken before the sender is told: not every message is worth an answer."""


class CallStream:
    """The messages of one call, both ways. Each way has one reader and one writer."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.number = number
        self._connection = connection
        self._inbox: deque[bytes] = deque()
        self._unread = self._taken = self._ahead = 0
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self.complete = False
        """Nothing more will come than what is in the inbox."""
        self.closed = False
        """Nothing more can be sent."""

    # --- what came ---

    async def receive(self) -> bytes | None:
        """The next message; None when there will be no more. Cancelled by :meth:`let_go`."""
        while not self._inbox:
            if self.complete:
                return None
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        payload = self._inbox.popleft()
        self._unread -= len(payload)
        self._taken += len(payload)
        if self._taken >= _ENOUGH and not self.complete:
            taken, self._taken = self._taken, 0
            self._connection.write(frame(CREDIT, self.number, pack_credit(taken)))
        return payload

    def arrived(self, payload: bytes) -> None:
        """A message. Raises BrokenWire when it was sent without room for it."""
        self._unread += len(payload)
        if self._unread > MAX_UNREAD:
            raise BrokenWire("more messages than there is room for")
        self._inbox.append(payload)
        _wake(self._news)

    def ended(self) -> None:
        """The other side has said all."""
        self.complete = True
        _wake(self._news)

    # --- what goes ---

    async def send(self, payload: bytes, *, before: bytes = b"") -> None:
        """Send a message, with frames ``before`` it; waits while there is no room. Nothing goes once it is closed."""
        while self._ahead >= WINDOW and not self.closed:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        await self._connection.writable()
        if not self.closed:
            self._ahead += len(payload)
            self._connection.write(before + frame(MESSAGE, self.number, payload))

    def credited(self, size: int) -> None:
        """The other side has taken so many bytes."""
        self._ahead = max(0, self._ahead - size)
        if self._ahead < WINDOW:
            _wake(self._room)

    def close(self) -> None:
        """Whoever waits for room waits in vain."""
        self.closed = True
        _wake(self._room)

    def let_go(self) -> None:
        """Nobody wants what is left: drop it, and cancel who waits for it."""
        self.complete = True
        self._inbox.clear()
        if self._news is not None:
            self._news.cancel()
        self.close()


class Connection(asyncio.Protocol):
    """Greets, cuts the bytes into frames, hands messages to their calls and the rest to its owner."""

    def __init__(self, on_frame: Callable[[int, int, bytes], None], on_lost: Callable[[], None]) -> None:
        self._on_frame, self._on_lost = on_frame, on_lost
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._greeted = False
        self._deadline: asyncio.TimerHandle | None = None
        self._full: asyncio.Future[None] | None = None
        self.streams: dict[int, CallStream] = {}
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the other side has greeted; cancelled when it did not before it left."""
        self.lost = False
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once its socket is closed."""
        self._closing = False

    def open(self, number: int) -> CallStream:
        """A call's stream; :meth:`forget` it in the end."""
        stream = self.streams[number] = CallStream(self, number)
        return stream

    def forget(self, number: int) -> None:
        """What still comes for that call is passed over."""
        stream = self.streams.pop(number, None)
        if stream is not None:
            stream.close()

    def write(self, data: bytes) -> None:
        """Send at once; nothing, when the other side has left."""
        if self._transport is not None and not self.lost:
            self._transport.write(data)

    async def writable(self) -> None:
        """Wait while the other side does not read."""
        while self._full is not None and not self.lost:
            await asyncio.shield(self._full)

    def close(self) -> None:
        """Send what was written, then hang up; at once where it is still being made."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up, whatever was not sent."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by descent
        if self._closing:
            self._transport.close()
            return
        self._transport.write(frame(HELLO, 0, GREETING))
        self._deadline = asyncio.get_running_loop().call_later(GREETING_LIMIT, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        try:
            for kind, number, payload in self._reader.feed(data):
                self._take(kind, number, payload)
        except BrokenWire:
            self.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True
        self._no_deadline()
        self.ready.cancel()
        self.resume_writing()
        for stream in list(self.streams.values()):
            stream.close()
            stream.ended()
        self._on_lost()
        if not self.gone.done():
            self.gone.set_result(None)

    def pause_writing(self) -> None:
        self._full = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        full, self._full = self._full, None
        _wake(full)

    def _take(self, kind: int, number: int, payload: bytes) -> None:
        if not self._greeted:
            if kind != HELLO or payload != GREETING:
                raise BrokenWire("no greeting")
            self._greeted = True
            self._no_deadline()
            if not self.ready.done():
                self.ready.set_result(None)
        elif kind == MESSAGE:
            if (stream := self.streams.get(number)) is not None:
                stream.arrived(payload)
        elif kind == CREDIT:
            if (stream := self.streams.get(number)) is not None:
                stream.credited(unpack_credit(payload))
        else:
            self._on_frame(kind, number, payload)

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
