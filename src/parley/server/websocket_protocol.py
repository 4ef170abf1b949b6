"""uvicorn's WebSocket protocol with two promises more: nobody keeps the loop, and what is over is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from parley.allowance import Allowance
from parley.server.data_frames import BINARY, TEXT, framed
from parley.server.portions import Portions

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from websockets.frames import Frame

    from parley.server.portions import Turns
    from parley.transports.bounds import Tally

WRITE_BUFFER = 32 * 1024
"""Bytes that may wait for the socket before sending blocks: a third of a second of audio."""
LINGER = 3.0
"""Seconds that an ended connection may take to get rid of what it still has to send."""
FRAMES_AT_ONCE, FRAMES_A_SECOND = 1_000, 500.0
"""Frames of whatever kind, pings and pieces of messages among them; the messages have bounds of their own."""
PATIENCE = 10.0
"""Seconds for which a client may go on sending more frames than that; then it is sent away."""
_WELL_AGAIN = 0.5
"""Share of those at once that has to have come back before a client counts as one that sends no more than it may."""
_PIECES = 64


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """For ``uvicorn.Config(ws=...)``, with the first arguments given by ``functools.partial``.

    Messages leave as one frame each without the library's many steps, as all of ours can.
    Bytes are parsed in portions, and a client that sends more frames than it may is not read for a while.
    A client that stops reading is dropped by the session's watchdog, but a polite close would wait for
    that very client to read; so the socket is cut off when it has not gone by itself.
    """

    lost: Callable[[], None] | None = None
    """Called once, when the connection is gone."""
    _pinged = False
    _owing_since: float | None = None

    def __init__(self, turns: Turns, tally: Tally, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turns = turns
        self._tally = tally

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        socket = cast("asyncio.Transport", transport)
        socket.set_write_buffer_limits(high=WRITE_BUFFER)
        self._frames = Allowance(burst=FRAMES_AT_ONCE, per_second=FRAMES_A_SECOND)
        self._portions = Portions(self.loop, socket, super().data_received, lambda: self.read_paused, self._turns)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.lost is not None:
            self.lost()

    # --- in ------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._portions.add(data)

    def handle_events(self) -> None:
        now = self.loop.time()
        wait = self._frames.owe(now, len(self.conn.events))
        super().handle_events()
        if self._pinged:
            self._answer_pings()
        if wait and self._owing_since is None:
            self._owing_since = now
        elif self._owing_since is not None and self._frames.share_left(now) > _WELL_AGAIN:
            self._owing_since = None
        elif self._owing_since is not None and now - self._owing_since > PATIENCE:
            self._send_away()
            return
        if wait:
            self._tally.excess("message", "waited")
            self._portions.wait(wait)

    def _send_away(self) -> None:
        """It has been made to wait again and again, and goes on; what it sent meanwhile is not looked at any more."""
        if self.transport.is_closing():
            return
        self._tally.excess("message", "closed")
        self.conn.fail(1008, "frames went on coming too quickly")
        self.handle_parser_exception()

    async def receive(self) -> Any:
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._portions.go_on()
        return message

    def handle_ping(self) -> None:
        """The answers to all that came together go out together."""
        self._pinged = True

    def _answer_pings(self) -> None:
        """Unless the client does not take the answers."""
        self._pinged = False
        answers = b"".join(self.conn.data_to_send())
        if self.writable.is_set() and not self.transport.is_closing():
            self.transport.write(answers)

    def handle_cont(self, event: Frame) -> None:
        """A message in pieces; nobody can make it of endless tiny ones."""
        if event.data or event.fin:
            super().handle_cont(event)
        if len(self.frames) > _PIECES:
            self.frames = [b"".join(self.frames)]

    def send_receive_event_to_app(self) -> None:
        """Close where a text message is none; uvicorn does so as well, with a traceback in the log."""
        if self.curr_msg_data_type == "text" and not _is_text(self.frames):
            self.frames = []
            self.conn.send_close(1007)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    # --- out -----------------------------------------------------------------------------

    async def send(self, message: Any) -> None:
        if message["type"] != "websocket.send" or not self._may_send():
            await super().send(message)
            return
        data = message.get("bytes")
        frame = framed(TEXT, message["text"].encode()) if data is None else framed(BINARY, data)
        self.transport.write(frame)

    def _may_send(self) -> bool:
        """Whether there is nothing to wait for, to agree on or to compress."""
        return (
            self.handshake_complete
            and self.conn.state is State.OPEN
            and self.writable.is_set()
            and self.initial_response is None
            and not (self.close_sent or self.disconnected or self.conn.extensions)
        )

    # --- the end -------------------------------------------------------------------------

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            if not self.disconnected:
                self.loop.call_later(LINGER, self._cut_off)

    def _cut_off(self) -> None:
        if not self.disconnected:
            self.transport.abort()


def _is_text(pieces: list[bytes]) -> bool:
    try:
        b"".join(pieces).decode()
    except UnicodeDecodeError:
        return False
    return True
