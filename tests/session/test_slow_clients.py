"""A client of the Realtime interface that reads slowly makes its own session slow, and nothing heap up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import tracemalloc
import weakref
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from parley import clock
from parley.api.realtime.requests import Requests
from parley.api.realtime.session_object import SessionObject
from parley.api.realtime.transport import RealtimeTransport
from parley.api.settings import RealtimeSettings
from parley.messages import StartSession
from parley.orders import Guest, Manner
from parley.session.engine import SessionEngine
from parley.session.outbox import Outbox
from parley.testing.fakes import (
    FakeLanguageModel,
    FakeRecognizer,
    FakeSynthesizer,
    FakeVad,
    PassThroughMicrophone,
)
from parley.transports.bounds import ClientBounds
from parley.transports.client_settings import ClientSettings
from parley.transports.memory import MemoryTransport
from parley.values import Voice

pytestmark = pytest.mark.anyio
ECHO = 6 * 60_000
"""Characters of an update as it is told: what is not ASCII is escaped."""
MOST_WAITING = 1_000_000 + 2 * ECHO


@dataclass
class Socket:
    """Hands over what its client sent, and takes one event in so many seconds."""

    seconds: float
    sent: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    gone: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, **event: Any) -> None:
        self.sent.append(json.dumps(event, ensure_ascii=False))
        self._news.set()

    def leave(self) -> None:
        self.gone = True
        self._news.set()

    async def receive(self) -> dict[str, Any]:
        while not self.sent and not self.gone:
            self._news.clear()
            await self._news.wait()
        if self.gone:
            return {"type": "websocket.disconnect"}
        return {"type": "websocket.receive", "text": self.sent.pop(0)}

    async def send(self, event: dict[str, Any]) -> None:
        await asyncio.sleep(self.seconds)
        if self.gone:
            raise WebSocketDisconnect
        self.read.append(json.loads(event["text"])["type"])

    async def close(self, code: int, reason: str) -> None:
        self.gone = True


@contextlib.asynccontextmanager
async def talking(socket: Socket, client: ClientSettings | None = None) -> AsyncGenerator[asyncio.Task[None], None]:
    """A session with that client; the task is its whole life."""
    numbers = itertools.count(1)
    transport = RealtimeTransport(
        socket,  # type: ignore[arg-type]
        Requests(
            SessionObject.new("realtime", "gpt-realtime"), lambda _: Voice(), lambda prefix: f"{prefix}_{next(numbers)}"
        ),
        RealtimeSettings(),
        ClientBounds(client or ClientSettings()),
        stall_timeout=5,
    )
    engine = SessionEngine(
        transport,
        StartSession(),
        session_id="s1",
        microphone=PassThroughMicrophone(),
        vad=FakeVad(),
        recognizer=FakeRecognizer(),
        language_model=FakeLanguageModel(),
        synthesizer=FakeSynthesizer(),
        guest=Guest(Manner(), transport.told, lambda: f"item_{next(numbers)}"),
    )
    task = asyncio.create_task(engine.run())
    try:
        yield task
    finally:
        socket.leave()
        await task
        await transport.aclose()


def update(socket: Socket) -> None:
    socket.put(type="session.update", session={"type": "realtime", "instructions": "é" * 60_000})


async def test_who_reads_slowly_is_listened_to_no_faster() -> None:
    socket, asked = Socket(0.4), 0
    async with talking(socket) as life:
        for _ in range(400):
            update(socket)
            asked += 1
            await asyncio.sleep(0.02)
            taken = asked - len(socket.sent)
            assert ECHO * (taken - len(socket.read)) <= MOST_WAITING
        assert not life.done()
        assert len(socket.read) > 15


async def test_a_client_that_reads_again_is_answered_all_that_it_asked() -> None:
    socket = Socket(0.4)
    async with talking(socket, ClientSettings(message_rate=1_000)) as life:
        for _ in range(50):
            update(socket)
        await asyncio.sleep(5)
        socket.seconds = 0.0
        await asyncio.sleep(5)
        assert socket.read.count("session.updated") == 50
        assert not life.done()


async def test_what_waited_for_a_client_that_left_is_forgotten() -> None:
    socket = Socket(0.4)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        async with talking(socket) as life:
            for _ in range(20):
                update(socket)
            await asyncio.sleep(2)
            assert tracemalloc.get_traced_memory()[0] - before > 1_000_000
            socket.sent.clear()
            socket.leave()
            await life
            kept = tracemalloc.get_traced_memory()[0] - before  # with the session still in scope
        assert kept < 700_000
    finally:
        tracemalloc.stop()


async def test_updates_cost_a_client_more_than_other_events() -> None:
    socket = Socket(0.0)
    async with talking(socket):
        began = clock.now()
        for _ in range(40):
            socket.put(type="session.update", session={"type": "realtime"})
        while socket.read.count("session.updated") < 40:
            await asyncio.sleep(0.02)
        assert clock.now() - began > 1.5


async def test_a_box_that_nobody_empties_any_more_holds_nothing() -> None:
    class Order:
        async def __call__(self) -> None:
            await asyncio.sleep(60)

    box, orders = Outbox(MemoryTransport()), [Order() for _ in range(3)]
    known = [weakref.ref(order) for order in orders]
    for order in orders:
        box.call(order)
    del order
    orders.clear()
    task = asyncio.create_task(box.run())
    await asyncio.sleep(1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    assert [ref() for ref in known[1:]] == [None, None]
