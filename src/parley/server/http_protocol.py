"""uvicorn's HTTP protocol with bounds: connections are counted, requests have to arrive, answers have to be taken."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from parley.errors import CapacityError, ParleyError, TimedOut, TooManyRequests, UnavailableError
from parley.server.connections import network_of
from parley.server.portions import Portions
from parley.server.unsent import keep_little
from parley.server.websocket_protocol import BoundedWebSocketProtocol

if TYPE_CHECKING:
    import asyncio

    from parley.server.connections import Connections
    from parley.server.handshakes import Handshakes
    from parley.server.portions import Turns
    from parley.transports.bounds import Tally

LONGEST_IN_LINE = 10.0
"""Seconds for which a handshake waits while others are opened."""
ANSWER_TIMEOUT = 60.0
"""Seconds for which a client may take nothing of an answer that waits for it; the work behind has its own limits."""

LINGER, LINGER_BYTES = 1.0, 65_536
"""Seconds and bytes for which a client that was turned away may go on sending; nobody looks at it."""


class BoundedHttpProtocol(H11Protocol):
    """For ``uvicorn.Config(http=...)``, with the first arguments given by ``functools.partial``.

    ``request_timeout``: seconds that a request may take to arrive, headers and body together. What has arrived of a
    body gives it more, at ``upload_rate`` bytes a second; and while nobody reads it here, its client is not waited for.
    """

    def __init__(
        self,
        connections: Connections,
        handshakes: Handshakes,
        turns: Turns,
        tally: Tally,
        request_timeout: float,
        upload_rate: int,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._connections = connections
        self._handshakes = handshakes
        self._turns = turns
        self._tally = tally
        self._request_timeout = request_timeout
        self._upload_rate = upload_rate
        self._due = 0.0
        """Loop time at which the request that is arriving has to be complete."""
        self._deadline: asyncio.TimerHandle | None = None
        self._entered: str | None = None
        self._successor: BoundedWebSocketProtocol | None = None
        self._line = ""
        """Where a handshake stands in line."""
        self._dropped: int | None = None
        """Bytes that came after the client was turned away; None before."""
        self._upgrade: h11.Request | None = None
        """A handshake that waits for its turn; nothing more is read meanwhile."""

    # --- life ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        keep_little(transport)
        self._portions = Portions(self.loop, transport, self._take, self._held, self._turns)
        self.flow = _Flow(transport, self._portions)
        address = self.client[0] if self.client else ""
        try:
            wait = self._connections.enter(address, self.loop.time())
        except CapacityError as error:
            self._tally.refused_connection(error.code)
            self._turn_away(error)
            return
        self._entered = address
        if wait > 0:
            self._portions.wait(wait)
        self._expect(self._request_timeout + wait)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        self._give_up_upgrade()
        super().connection_lost(exc)
        if self._successor is None:
            self._leave()

    def _leave(self) -> None:
        if self._entered is not None:
            self._connections.leave(self._entered)
            self._entered = None

    def shutdown(self) -> None:
        if self._dropped is not None:
            self.transport.close()  # its answer has been sent, and there is no request to end
            return
        if self._upgrade is None:
            super().shutdown()
            return
        self._give_up_upgrade()
        self._turn_away(UnavailableError("The server is stopping and takes no new conversations."))

    # --- WebSockets ------------------------------------------------------------------------

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """A WebSocket is wanted: it is opened when it is its turn."""
        self._stop_clock()
        address = self._entered or ""
        try:
            wait = self._connections.handshake(address, self.loop.time())
        except TooManyRequests as error:
            self._tally.refused_connection(error.code)
            self._turn_away(error)
            return
        self._upgrade = event
        if wait > 0:
            self._deadline = self.loop.call_later(wait, self._join)
        else:
            self._join()

    def _join(self) -> None:
        self._deadline = None
        self._line = network_of(self._connections.comes_from(self._entered or "", _forwarded(self._upgrade)))
        self._handshakes.join(self._line, self._open_websocket, self.loop)
        if self._upgrade is not None:
            self._deadline = self.loop.call_later(LONGEST_IN_LINE, self._waited_in_vain)

    def _waited_in_vain(self) -> None:
        self._deadline = None
        self._give_up_upgrade()
        self._tally.refused_connection(CapacityError.code)
        self._turn_away(CapacityError("Too many want to connect at this moment; try again later.", retry_after=5.0))

    def _open_websocket(self) -> None:
        """From here on it is a session's, with other deadlines."""
        self._stop_clock()
        event, self._upgrade = self._upgrade, None
        if event is None or self.transport.is_closing():
            return
        super().handle_websocket_upgrade(event)
        successor = self.transport.get_protocol()
        if isinstance(successor, BoundedWebSocketProtocol):
            self._successor = successor
            successor.lost = self._leave
        self._portions.go_on()

    def _give_up_upgrade(self) -> None:
        if self._upgrade is not None:
            self._stop_clock()
            self._upgrade = None
            self._handshakes.leave(self._line, self._open_websocket)

    def _held(self) -> bool:
        return self.flow.read_paused or self._upgrade is not None

    # --- in --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._dropped is None:
            self._portions.add(data)
            return
        self._dropped += len(data)
        if self._dropped > LINGER_BYTES:
            self.transport.close()

    def _take(self, data: bytes) -> None:
        if self._successor is not None:
            self._successor.data_received(data)
            return
        if self._entered is None or self._over:
            return
        super().data_received(data)
        if self.conn.their_state is h11.SEND_BODY:
            self._due += len(data) / self._upload_rate
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def _look(self) -> None:
        """Set the clock for what is due next."""
        if self._successor is not None or self._upgrade is not None or self._over:
            return
        if self._asked:
            self._stop_clock()
            self._expect(ANSWER_TIMEOUT)
        elif self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self._stop_clock()  # between two requests uvicorn's keep-alive timer runs
        elif self._deadline is None:
            self._expect(self._request_timeout)

    @property
    def _over(self) -> bool:
        """True once nothing that comes matters any more."""
        return self._dropped is not None or self.transport.is_closing()

    @property
    def _asked(self) -> bool:
        """True from a request's last byte until its answer is complete."""
        return self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)

    # --- deadlines ---------------------------------------------------------------------------

    def _expect(self, seconds: float) -> None:
        self._due = self.loop.time() + seconds
        self._deadline = self.loop.call_later(seconds, self._overdue)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _overdue(self) -> None:
        self._deadline = None
        if self._over:
            return
        if self._asked and not self.flow.write_paused:
            self._expect(ANSWER_TIMEOUT)  # whoever waits is not kept waiting by the client
            return
        if not self._asked and self.flow.read_paused:
            self._expect(self._request_timeout)  # it is we who do not read
            return
        if not self._asked and (left := self._due - self.loop.time()) > 0.001:
            self._deadline = self.loop.call_later(left, self._overdue)
            return
        self._tally.refused_connection("timed_out")
        answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if answering:
            self.transport.abort()
        else:
            self._turn_away(
                TimedOut(f"The request did not arrive within {self._request_timeout:g} seconds, or too slowly.")
            )

    def _turn_away(self, error: ParleyError) -> None:
        """Say why in one sentence, past the machinery, and close.

        A socket that is closed resets who still sends, and the answer may be lost with that. Whoever has a place here
        keeps it a little longer, so that the answer can be read; who never had one is closed at once.
        """
        self.transport.write(_answer(error))
        if self._entered is None or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._dropped = 0
        self._stop_clock()
        self.transport.write_eof()
        self.transport.resume_reading()
        self._deadline = self.loop.call_later(LINGER, self.transport.close)


class _Flow(FlowControl):
    """Reading goes on through the portions that are left."""

    def __init__(self, transport: asyncio.Transport, portions: Portions) -> None:
        super().__init__(transport)
        self._portions = portions

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._portions.go_on()


def _forwarded(event: h11.Request | None) -> str:
    """What a proxy says of whose request it is; empty when nothing is said."""
    headers = event.headers if event is not None else ()
    return next((value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"), "")


def _answer(error: ParleyError) -> bytes:
    status = HTTPStatus.REQUEST_TIMEOUT if isinstance(error, TimedOut) else HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, TooManyRequests):
        status = HTTPStatus.TOO_MANY_REQUESTS
    body = json.dumps({"code": error.code, "message": error.message}).encode()
    later = f"Retry-After: {max(1, round(error.retry_after))}\r\n" if isinstance(error, CapacityError) else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{later}Connection: close\r\n\r\n"
    )
    return head.encode() + body
