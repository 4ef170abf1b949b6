"""A WebSocket server that does nothing but take a microphone's frames and send frames of sound, for comparison.

uvicorn, Starlette and websockets as everybody has them, a task and a timer for each session. What a conversation costs
beside it is Parley's own; how much both cost depends on the machine.
Run as ``python -m parley.bench.bare PORT``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE
from parley.transports.binary import pack_agent

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

_FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE


def bare_app() -> Starlette:
    """Answers to ``/health``; who starts a session at ``/v1/session`` and has something said hears frames for ever."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/health", health), WebSocketRoute("/v1/session", _session)])


async def _session(websocket: WebSocket) -> None:
    from starlette.websockets import WebSocketDisconnect

    await websocket.accept()
    sending: asyncio.Task[None] | None = None
    with contextlib.suppress(WebSocketDisconnect):
        while (event := await websocket.receive())["type"] == "websocket.receive":
            kind = json.loads(text)["type"] if (text := event.get("text")) else ""
            if kind == "start":
                await websocket.send_text('{"type":"started"}')
            elif kind == "say_end" and sending is None:
                sending = asyncio.create_task(_send(websocket))
    if sending is not None:
        sending.cancel()


async def _send(websocket: WebSocket) -> None:
    """A frame every 20 ms."""
    due, number, pcm = time.monotonic(), 0, bytes(2 * FRAME_SAMPLES)
    while True:
        await websocket.send_bytes(pack_agent(1, number * FRAME_SAMPLES, final=False, pcm=pcm))
        number += 1
        due += _FRAME_SECONDS
        await asyncio.sleep(due - time.monotonic())


def main() -> None:
    import uvicorn

    port = int(sys.argv[1])
    quiet: dict[str, Any] = {"access_log": False, "log_level": "error", "lifespan": "off"}
    uvicorn.run(bare_app(), port=port, ws="websockets-sansio", ws_per_message_deflate=False, **quiet)


if __name__ == "__main__":
    main()
