"""The WebSocket endpoint: who may talk, the first message, and an end whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from starlette.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect

from parley.errors import InvalidRequest, ParleyError, TimedOut
from parley.messages import ErrorMessage, StartSession
from parley.transports.codec import encode
from parley.transports.websocket import WebSocketTransport, close, close_code, read_message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.websockets import WebSocket

    from parley.transports.host import WebSocketHost

SUBPROTOCOL = "parley.v1"
KEY_SUBPROTOCOL = "parley.key."
"""A browser cannot set headers: it offers ``parley.v1`` and ``parley.key.<key>`` as subprotocols."""

_WATCH_INTERVAL = 1.0


async def serve_websocket(websocket: WebSocket, host: WebSocketHost) -> None:
    """Hold one session over ``websocket``; returns when it is over, whatever happened."""
    try:
        host.check_origin(websocket.headers.get("origin", ""), websocket.headers.get("host", ""))
    except ParleyError as error:
        await websocket.send_denial_response(JSONResponse({"code": error.code, "message": error.message}, 403))
        return
    await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope.get("subprotocols", ()) else None)
    try:
        host.check_key(_api_key(websocket), tokens=True)
        start = await _read_start(websocket, host)
        if start is not None:
            await _run(websocket, start, host)
    except ParleyError as error:
        await _refuse(websocket, error)
    except WebSocketDisconnect:
        return


async def _run(websocket: WebSocket, start: StartSession, host: WebSocketHost) -> None:
    """Run the session under a watchdog, and end it with the sentence that it deserves."""
    transport = WebSocketTransport(websocket, start, host.websocket, host.bounds)
    await run_watched(transport, lambda: host.run_session(transport, start))


class Watched(Protocol):
    """A transport that can be told why it ends."""

    def silence(self, now: float) -> TimedOut | None:
        """Asked each second: is there still somebody, and do they still listen?"""

    async def end_with(self, error: ParleyError) -> None:
        """Say what went wrong and close."""

    async def aclose(self) -> None:
        """Hang up."""


async def run_watched(transport: Watched, run: Callable[[], Awaitable[None]]) -> None:
    """Run a session until it is over, whatever happens: ``transport`` says how it ended, and is closed."""
    watchdog = _Watchdog(transport)
    try:
        async with asyncio.timeout(None) as scope:
            watchdog.guard(scope)
            try:
                await run()
            finally:
                watchdog.stop()  # from here on there is nothing that it could end
    except ParleyError as error:
        await transport.end_with(error)
    except TimeoutError:
        if watchdog.verdict is None:
            raise
        await transport.end_with(watchdog.verdict)
    except Exception:  # our own code: the client is told, and it goes on up to the log
        await transport.end_with(ParleyError("The session failed; the server's log says why."))
        raise
    finally:
        await transport.aclose()


class _Watchdog:
    """Cancels a session whose client is silent or stuck; one timer a second, no task."""

    def __init__(self, transport: Watched) -> None:
        self.verdict: TimedOut | None = None
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._scope: asyncio.Timeout | None = None

    def guard(self, scope: asyncio.Timeout) -> None:
        self._scope = scope
        self._timer = self._loop.call_later(_WATCH_INTERVAL, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        assert self._scope is not None
        self.verdict = self._transport.silence(self._loop.time())
        if self.verdict is None:
            self._timer = self._loop.call_later(_WATCH_INTERVAL, self._look)
        else:
            self._scope.reschedule(self._loop.time())


async def _read_start(websocket: WebSocket, host: WebSocketHost) -> StartSession | None:
    """The first message; None when the client left instead."""
    try:
        async with asyncio.timeout(host.websocket.start_timeout):
            event = await websocket.receive()
    except TimeoutError:
        raise TimedOut(f"No start message came within {host.websocket.start_timeout:g} seconds.") from None
    if event["type"] != "websocket.receive":
        return None
    text = event.get("text")
    if text is None:
        raise InvalidRequest('The first message must be a text message of type "start", not audio.')
    message = read_message(text, host.bounds.settings)
    if not isinstance(message, StartSession):
        raise InvalidRequest(f'The first message must be of type "start", not "{message.type}".')
    return message


def _api_key(websocket: WebSocket) -> str:
    scheme, _, key = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    for offered in websocket.scope.get("subprotocols", ()):
        if offered.startswith(KEY_SUBPROTOCOL):
            return str(offered[len(KEY_SUBPROTOCOL) :])
    return ""


async def _refuse(websocket: WebSocket, error: ParleyError) -> None:
    """Say why there will be no session, and close."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.send_text(encode(ErrorMessage(error.code, error.message, fatal=True)))
    await close(websocket, close_code(error), error.code)
