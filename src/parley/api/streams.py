"""Answers that grow while they are sent."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any

import structlog
from starlette.responses import Response, StreamingResponse

from parley.errors import ParleyError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

EVENTS = "text/event-stream"
_STALL = 60.0
"""Seconds for which nobody may read, before the work behind is given up."""


class Streamed(StreamingResponse):
    """``pieces`` as they come. Whoever leaves, or stops to read, ends the work behind them; ``stack`` ends with it.

    What fails after the first piece can only be told by an end that is none: the connection is closed in the middle.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None], content_type: str, stack: AsyncExitStack) -> None:
        super().__init__(pieces, media_type=content_type, headers={"Cache-Control": "no-store"})
        self._pieces, self._stack = pieces, stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(_STALL):
                await send(message)

        async with self._stack, aclosing(self._pieces):
            try:
                await super().__call__(scope, receive, send_in_time)
            except ParleyError as error:
                log.warning("an answer over HTTP ended early", code=error.code, reason=error.message)
            except TimeoutError:
                log.warning("an answer over HTTP was not read", seconds=_STALL)


async def until_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """The answer of ``work``, which ends when whoever asked for it has left."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else Response(status_code=499)
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def event(fields: dict[str, Any]) -> bytes:
    """One of ``text/event-stream``."""
    return b"data: " + json.dumps(fields).encode() + b"\n\n"
