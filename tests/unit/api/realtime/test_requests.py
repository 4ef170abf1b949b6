"""What a client asks for becomes an order to the session; over a media track a few things are meant otherwise."""

from __future__ import annotations

import itertools

import pytest

from parley.api.realtime.client_events import Append, ClearOutput
from parley.api.realtime.errors import ClientError
from parley.api.realtime.requests import Requests
from parley.api.realtime.session_object import SessionObject
from parley.orders import CancelReply, ReplyBegun, ReplyItem
from parley.values import Voice


def requests(*, paced: bool) -> Requests:
    numbers = itertools.count(1)
    session = SessionObject.new("realtime", "gpt-realtime")
    return Requests(session, lambda _: Voice(), lambda prefix: f"{prefix}_{next(numbers)}", paced=paced)


def say_something(known: Requests) -> None:
    known.events.notice(ReplyBegun("u1", "", text_only=False, beside=False))
    known.events.notice(ReplyItem("u1", "item_a", ""))


def test_in_a_call_sound_does_not_come_as_events() -> None:
    with pytest.raises(ClientError, match="media track") as refused:
        requests(paced=True).take(Append(b"\0\0"), None)
    assert refused.value.code == "invalid_event_for_transport"
    assert requests(paced=False).take(Append(b"\0\0"), None).audio == b"\0\0"


def test_clearing_the_output_stops_the_reply_that_is_being_said() -> None:
    known = requests(paced=True)
    say_something(known)
    (order,) = known.take(ClearOutput(), "e1").orders
    assert isinstance(order, CancelReply)
    assert order.reply_id == "u1"


def test_clearing_an_output_that_is_silent_does_nothing() -> None:
    assert requests(paced=True).take(ClearOutput(), None).orders == ()


def test_over_a_websocket_what_was_sent_is_with_the_client() -> None:
    known = requests(paced=False)
    say_something(known)
    assert known.take(ClearOutput(), None).orders == ()
