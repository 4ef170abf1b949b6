"""``/v1/audio/listen``: nobody is heard faster than may be, and a server that stops takes no new stream."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.websockets import WebSocket

from parley.api.listening.endpoint import Listening
from parley.api.settings import ApiSettings
from parley.server.at_work import AtWork
from parley.testing.fakes import FakeRecognizer, FakeVad
from parley.testing.virtual_time import run_virtual
from parley.transports.bounds import ClientBounds
from parley.transports.websocket_settings import WebSocketSettings

START = {"text": '{"type": "start"}'}
SECOND = {"bytes": bytes(32_000)}
Told = list[tuple[float, Any]]
COMMIT = {"text": '{"type": "commit"}'}
END = {"text": '{"type": "end"}'}


async def listened(*messages: dict[str, Any], at_work: AtWork | None = None, **settings: Any) -> Told:
    """What a client is told that says all of this at once: each message with its time; the last is the close code."""
    everybody = SimpleNamespace(
        bounds=ClientBounds(),
        websocket=WebSocketSettings(),
        check_origin=lambda *_: None,
        check_key=lambda _: None,
    )
    told: Told = []
    waiting = [{"type": "websocket.connect"}, *({"type": "websocket.receive", **one} for one in messages)]
    loop, silence = asyncio.get_running_loop(), asyncio.Event()
    began = loop.time()

    async def receive() -> Any:
        if not waiting:
            await silence.wait()
        return waiting.pop(0)

    async def send(message: Any) -> None:
        if message["type"] != "websocket.accept":
            said = json.loads(message["text"]) if message["type"] == "websocket.send" else message["code"]
            told.append((loop.time() - began, said))

    listening = Listening(everybody, ApiSettings(**settings), FakeRecognizer(), FakeVad, at_work or AtWork())  # type: ignore[arg-type]
    scope = {"type": "websocket", "path": "/v1/audio/listen", "headers": [], "subprotocols": []}
    await listening.routes[0].endpoint(WebSocket(scope, receive, send))
    return told


def test_sound_is_taken_at_a_pace() -> None:
    told = run_virtual(listened(START, *([SECOND] * 60), END, listening_burst=15, listening_rate=4))
    (at, done), (_, code) = told[-2:]
    assert done == {"type": "done", "seconds": 60.0}
    assert at == pytest.approx((60 - 15) / 4)
    assert code == 1000


def test_who_sends_as_fast_as_they_speak_never_waits() -> None:
    told = run_virtual(listened(START, *([SECOND] * 14), END))
    assert told[-2] == (0.0, {"type": "done", "seconds": 14.0})


def test_who_goes_on_sending_messages_too_quickly_is_sent_away() -> None:
    told = run_virtual(listened(START, *([COMMIT] * 5_000)))
    (at, error), (_, code) = told[-2:]
    assert (error["code"], code) == ("too_many_requests", 1008)
    assert at == pytest.approx(10.0, abs=1.0)


def test_a_server_that_stops_takes_no_new_stream_and_waits_for_those_that_there_are() -> None:
    async def scene() -> tuple[bool, Told, bool]:
        at_work = AtWork()
        first = asyncio.create_task(listened(START, *([SECOND] * 20), END, at_work=at_work))
        await asyncio.sleep(0.1)
        at_work.close()
        early = await at_work.ended(0.5)
        refused = await listened(START, END, at_work=at_work)
        return early, refused, await at_work.ended(2.0) and (await first)[-1][1] == 1000

    early, refused, late = run_virtual(scene())
    assert (early, late) == (False, True)
    assert [refused[0][1]["code"], refused[1][1]] == ["draining", 1013]
