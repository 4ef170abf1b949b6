"""Outside text (``say``) is bounded: a client can not make the process grow."""

from __future__ import annotations

import pytest

from parley.messages import ErrorMessage, ReplyEnded, SayDelta, SayEnd
from parley.session.settings import LimitSettings, SessionSettings
from parley.testing.conversation import conversation

pytestmark = pytest.mark.anyio


async def test_more_outside_text_than_may_wait_is_refused_whole_and_what_was_taken_is_spoken() -> None:
    settings = SessionSettings(limits=LimitSettings(max_waiting_text=30))
    async with conversation(settings=settings) as talk:
        for text in ("First of all.", "This is second.", "Third and third.", "Four."):
            talk.say(SayDelta(text))
            talk.say(SayEnd())
        await talk.heard_out()
        await talk.until(10)
        errors = talk.of(ErrorMessage)
        assert [(error.code, error.fatal) for error in errors] == [("too_many_requests", False)]
        assert "30 characters wait" in errors[0].message
        spoken = [ended.text for ended in talk.of(ReplyEnded)]
        assert spoken == ["First of all.", "This is second.", "Four."]


async def test_a_flood_of_outside_text_that_never_ends_is_told_once_and_kept_up_to_its_limit() -> None:
    settings = SessionSettings(limits=LimitSettings(max_text=100))
    async with conversation(settings=settings) as talk:
        for _ in range(200):
            talk.say(SayDelta("word " * 4))
        talk.say(SayEnd())
        talk.say(SayDelta("After it."))
        talk.say(SayEnd())
        await talk.until(40)
        assert len(talk.of(ErrorMessage)) == 1
        first, second = (ended.text for ended in talk.of(ReplyEnded))
        assert (len(first), second) == (100, "After it.")
