"""When ``engine.run`` has returned, the history is complete: whoever comes back goes on with every word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from parley.errors import TimedOut
from parley.messages import SayDelta, SayEnd, TextInput
from parley.session.settings import LimitSettings, SessionSettings
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer

pytestmark = pytest.mark.anyio

STORY = "Once upon a time there was a king who had three daughters and no patience."
SAID = [(0.5, "what time"), (1.0, "what time is it")]


async def _end(talk: Conversation) -> None:
    talk.engine.end("Somebody else goes on with this.")
    await talk.task


async def _cancel(talk: Conversation) -> None:
    talk.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talk.task


async def _fail(talk: Conversation) -> None:
    talk.engine.end(TimedOut("The client took no data."))
    with pytest.raises(TimedOut):
        await talk.task


async def _vanish(talk: Conversation) -> None:
    await talk.participant.vanish()
    await talk.task


Ending = Callable[[Conversation], Awaitable[None]]
endings = pytest.mark.parametrize("end", [_end, _cancel, _fail, _vanish])


def storyteller(seconds: float = 0.0) -> FakeLanguageModel:
    return FakeLanguageModel(answer=lambda _: STORY, first_delta=seconds)


@endings
async def test_words_of_a_turn_that_was_still_open_are_there(end: Ending) -> None:
    async with conversation(sounds=[(0.5, 5.0)], turns=[SAID]) as talk:
        await talk.until(2.0)
        await end(talk)
        assert talk.history == [("user", "what time is it")]


@endings
async def test_words_of_a_turn_that_waits_for_its_last_ones_are_there(end: Ending) -> None:
    recognizer = FakeRecognizer(turns=[SAID], latency=5.0)
    async with conversation(sounds=[(0.5, 2.0)], recognizer=recognizer) as talk:
        await talk.until(4.0)
        await end(talk)
        assert talk.history == [("user", "what time is it")]


@endings
async def test_a_question_whose_answer_nobody_has_heard_is_there(end: Ending) -> None:
    async with conversation(sounds=[(0.5, 2.0)], turns=[SAID], language_model=storyteller(9.0)) as talk:
        await talk.until(4.0)
        await end(talk)
        assert talk.history == [("user", "what time is it")]


@endings
async def test_a_typed_question_whose_answer_nobody_has_heard_is_there(end: Ending) -> None:
    async with conversation(language_model=storyteller(9.0)) as talk:
        talk.say(TextInput("hello"))
        await talk.until(2.0)
        await end(talk)
        assert talk.history == [("user", "hello")]


@endings
async def test_the_words_that_were_heard_of_a_reply_are_there(end: Ending) -> None:
    async with conversation(language_model=storyteller()) as talk:
        talk.say(TextInput("hello"))
        await talk.until(1.0)
        await end(talk)
        assert talk.history == [("user", "hello"), ("assistant", "Once upon a time")]


@endings
async def test_the_words_that_were_heard_of_outside_text_are_there(end: Ending) -> None:
    async with conversation() as talk:
        talk.say(SayDelta(STORY))
        talk.say(SayEnd())
        await talk.until(1.0)
        await end(talk)
        assert talk.history == [("assistant", "Once upon a time")]


@endings
async def test_what_was_being_said_over_a_reply_is_there_behind_what_was_heard(end: Ending) -> None:
    turns = [[(0.45, "no wait")]]
    settings = SessionSettings()
    async with conversation(sounds=[(1.0, 1.3)], turns=turns, language_model=storyteller(), settings=settings) as talk:
        talk.say(TextInput("hello"))
        await talk.until(1.15)
        talk.engine._barge_in.watched.parts[0].text = "no wait"  # type: ignore[union-attr]
        await end(talk)
        assert talk.history == [("user", "hello"), ("assistant", "Once upon a time"), ("user", "no wait")]


@endings
async def test_a_nod_over_a_reply_is_no_turn_at_the_end_either(end: Ending) -> None:
    async with conversation(sounds=[(1.0, 1.6)], turns=[[(0.4, "mhm")]], language_model=storyteller()) as talk:
        talk.say(TextInput("hello"))
        await talk.until(1.5)
        await end(talk)
        assert talk.history == [("user", "hello"), ("assistant", "Once upon a time")]


async def test_a_client_that_takes_nothing_holds_up_no_history() -> None:
    settings = SessionSettings(limits=LimitSettings(stall_timeout=60.0))
    async with conversation(language_model=storyteller(), settings=settings) as talk:
        talk.say(TextInput("hello"))
        await talk.until(1.0)
        talk.participant.taking.clear()
        await talk.until(1.5)
        await _end(talk)
        assert talk.history[0] == ("user", "hello")
        assert talk.history[1][1].startswith("Once upon a time")
        assert asyncio.get_running_loop().time() <= 2.5
