"""What comes over the data channel of a call is bounded, and what is wrong with it is said there."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from parley.api.realtime.call import RealtimeCall
from parley.api.realtime.requests import Requests
from parley.api.realtime.session_object import SessionObject
from parley.messages import ReplyStarted, SessionStarted, StartSession
from parley.orders import Commit, Configure, Configured
from parley.transports.bounds import ClientBounds, Uncounted
from parley.transports.client_settings import ClientSettings
from parley.transports.round_robin import RoundRobin
from parley.transports.rtc_settings import WebRtcSettings
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from parley.transports.bounds import Excess, Fate

pytestmark = pytest.mark.anyio
TAKES = 2_000
"""Bytes of one message that the other end takes."""


class Channel:
    """A data channel as aiortc's."""

    label = "oai-events"
    readyState = "open"
    bufferedAmount = 0

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.hears: dict[str, Callable[..., None]] = {}

    def on(self, what: str, listener: Callable[..., None]) -> None:
        self.hears[what] = listener

    def send(self, text: str) -> None:
        if len(text.encode()) > TAKES:
            raise ValueError("Cannot send so much.")
        self.told.append(json.loads(text))

    def take(self, **event: Any) -> None:
        self.hears["message"](json.dumps(event))

    @property
    def errors(self) -> list[str]:
        return [event["error"]["code"] for event in self.told if event["type"] == "error"]


@contextlib.asynccontextmanager
async def called(
    client: ClientSettings | None = None, tally: Uncounted | None = None
) -> AsyncGenerator[tuple[RealtimeCall, Channel], None]:
    numbers = itertools.count(1)
    session = SessionObject.new("realtime", "gpt-realtime")
    requests = Requests(session, lambda _: Voice(), lambda prefix: f"{prefix}_{next(numbers)}", paced=True)
    bounds = ClientBounds(client or ClientSettings(), tally or Uncounted())
    call = RealtimeCall(WebRtcSettings(), bounds, RoundRobin(8), requests, StartSession(language="en"))
    channel: Any = Channel()
    call._on_channel(channel)
    try:
        yield call, channel
    finally:
        call._channel = None
        await call.aclose()


async def test_the_channel_begins_the_session_which_is_the_first_to_speak() -> None:
    async with called() as (call, channel):
        assert (await call.started()).language == "en"
        await call.send_message(SessionStarted("s1"))
        await call.send_message(ReplyStarted("u1", 1))
        assert [event["type"] for event in channel.told] == ["session.created"]


async def test_orders_reach_the_session_and_mistakes_do_not() -> None:
    async with called() as (call, channel):
        channel.take(type="session.update", session={"type": "realtime", "instructions": "Be kind."})
        channel.take(type="what")
        channel.hears["message"](b"bytes")
        channel.take(type="input_audio_buffer.commit")
        call.leave()
        orders = [order async for order in call]
        assert [type(order) for order in orders] == [Configure, Commit]
        assert channel.errors == ["invalid_value", "invalid_request"]


async def test_who_sends_nothing_but_mistakes_is_sent_away() -> None:
    async with called(ClientSettings(max_mistakes=3)) as (call, channel):
        for _ in range(10):
            channel.take(type="what")
        assert [order async for order in call] == []
        assert len(channel.errors) == 4


async def test_who_sends_too_much_is_told_and_the_excess_is_not_taken() -> None:
    async with called(ClientSettings(message_burst=5, message_rate=1)) as (call, channel):
        for _ in range(8):
            channel.take(type="input_audio_buffer.commit")
        call.leave()
        assert len([order async for order in call]) == 5
        assert channel.errors == ["too_many_requests"]


@pytest.mark.parametrize("client", [ClientSettings(message_burst=15, message_rate=1), None])
async def test_an_update_that_is_not_taken_changes_nothing_and_is_named(client: ClientSettings | None) -> None:
    async with called(client) as (call, channel):
        if client is None:  # nobody reads: full of others' work
            for _ in range(call._inbox.room - 1):
                call._inbox.put_message(Commit("c"))
        else:
            channel.take(type="session.update", session={"type": "realtime", "instructions": "First."})
        channel.take(type="session.update", event_id="e2", session={"type": "realtime", "instructions": "Second."})
        await call.send_message(SessionStarted("s1"))
        error, created = channel.told
        assert (error["error"]["code"], error["error"]["event_id"]) == ("too_many_requests", "e2")
        assert created["session"]["instructions"] != "Second."
        call.leave()
        manners = [order.manner.instructions async for order in call if isinstance(order, Configure)]
        assert manners == ([] if client is None else ["First."])


async def test_who_does_not_read_is_sent_away_and_counted() -> None:
    class Counted(Uncounted):
        def excess(self, kind: Excess, fate: Fate, amount: float = 1) -> None:
            counted.append((kind, fate))

    counted: list[tuple[str, str]] = []
    async with called(tally=Counted()) as (call, channel):
        channel.bufferedAmount = (1 << 20) + 1
        with capture_logs() as logged:
            await call.send_message(SessionStarted("s1"))
            await call.send_message(SessionStarted("s2"))
        assert [order async for order in call] == []
    assert counted == [("unread", "closed")]
    assert [(line["transport"], line["unsent"]) for line in logged] == [("realtime_call", (1 << 20) + 1)]


async def test_an_event_that_is_too_large_for_the_channel_is_told_of_in_one_that_is_not() -> None:
    async with called() as (call, channel):
        channel.take(type="session.update", session={"type": "realtime", "instructions": "x" * TAKES})
        call.leave()
        (order,) = [order async for order in call]
        assert isinstance(order, Configure)
        call._inbox.closed = False  # it has not left; only the order had to be read
        await call.told(Configured(order.ref))
        assert "session.updated" in channel.told[-1]["error"]["message"]


async def test_half_a_pair_of_surrogates_comes_back_in_one_piece() -> None:
    async with called() as (call, channel):
        channel.take(type="session.update", session={"type": "realtime", "instructions": "\ud83d"})
        await call.send_message(SessionStarted("s1"))
        assert channel.told[-1]["session"]["instructions"] == "\ud83d"
