"""What is said in a reply's last moments is known only when something else is typed: a nod is no part of that."""

from __future__ import annotations

from typing import Any

import pytest

from parley.conversation import Message
from parley.messages import BargeInDecided, ReplyEnded, TextInput
from parley.orders import AskReply, Insert, Manner, ReplyRequest, TurnCommitted, TurnSettled
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer

pytestmark = pytest.mark.anyio

STORY = "Once upon a time there was a king who had three daughters and no patience."
"""Heard for 4.44 seconds."""
OVER = (4.24, 4.54)
"""Speech that begins when the last word has almost been heard: whatever it is, it takes the floor at 4.7."""
NOD, ANSWER = ((0.2, "uh huh"),), ((0.2, "yes"),)
BEFORE = [("user", "tell me a story"), ("assistant", STORY)]


def storyteller() -> FakeLanguageModel:
    return FakeLanguageModel(answer=lambda _: STORY)


def told(talk: Conversation) -> list[tuple[str, str]]:
    """What the model was asked last."""
    return [(message.role, message.text) for message in talk.language_model.asked[-1]]


async def typed(talk: Conversation, at: float) -> None:
    """Two typed turns, the second at this moment."""
    talk.say(TextInput("tell me a story"))
    await talk.until(at)
    talk.say(TextInput("Good morning"))
    await talk.until(12.0)


async def asked(talk: Conversation, at: float) -> None:
    """The same, from a client that knows the conversation entry by entry."""
    for text in ("tell me a story", "Good morning"):
        talk.say(Insert("", Message("user", text)))
        talk.say(AskReply(ReplyRequest()))
        await talk.until(at)
    await talk.until(12.0)


def over_the_end(words: Any, **how: Any) -> Any:
    return conversation(sounds=[OVER], turns=[words], language_model=storyteller(), listen_until=13.0, **how)


async def test_a_nod_at_the_end_of_a_reply_is_not_joined_to_what_is_typed_next() -> None:
    async with over_the_end(NOD) as talk:
        await typed(talk, at=4.8)
        assert [decided.outcome for decided in talk.of(BargeInDecided)] == ["take_floor"]
        assert told(talk) == [*BEFORE, ("user", "Good morning")]


async def test_nor_where_a_reply_is_asked_for_while_the_nod_may_still_go_on() -> None:
    async with over_the_end(NOD, manner=Manner()) as talk:
        await asked(talk, at=4.8)
        assert told(talk) == [*BEFORE, ("user", "Good morning")]
        ((committed,), (settled,)) = (talk.noted(TurnCommitted), talk.noted(TurnSettled))
        assert (settled.item_id, settled.text) == (committed.item_id, "")


async def test_nor_where_nothing_may_interrupt_the_reply_and_the_nod_outlasts_it() -> None:
    async with over_the_end(NOD, manner=Manner(interrupts=False)) as talk:
        await asked(talk, at=4.8)
        assert told(talk) == [*BEFORE, ("user", "Good morning")]


async def test_nor_while_its_own_answer_is_made() -> None:
    model = FakeLanguageModel(answer=lambda _: STORY, first_delta=1.0)
    async with conversation(sounds=[(5.24, 5.54)], turns=[NOD], language_model=model, listen_until=16.0) as talk:
        await typed(talk, at=6.55)
        assert ("turn_ended", "thinking") in talk.states()
        assert told(talk) == [*BEFORE, ("user", "Good morning")]


async def test_a_nod_at_the_end_is_answered_where_nothing_else_is_said() -> None:
    async with over_the_end(NOD) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(12.0)
        assert told(talk) == [*BEFORE, ("user", "uh huh")]


@pytest.mark.parametrize("words", [ANSWER, ((0.2, "tell me another"),)])
async def test_what_answers_or_says_more_than_a_nod_is_kept_whatever_is_typed_next(words: Any) -> None:
    async with over_the_end(words) as talk:
        await typed(talk, at=4.8)
        assert told(talk) == [*BEFORE, ("user", f"{words[0][1]} Good morning")]


async def test_a_client_that_asks_for_every_reply_itself_is_told_every_nod() -> None:
    async with over_the_end(NOD, manner=Manner(answers=False)) as talk:
        await asked(talk, at=4.8)
        assert told(talk)[-1][1].count("uh huh") == 1


async def test_a_stop_that_is_understood_late_does_not_cut_the_reply_to_what_was_typed_after_it() -> None:
    ears = FakeRecognizer(turns=[[(9.0, "please stop")]], latency=1.2, confidence=0.95)
    async with conversation(
        sounds=[(3.54, 3.94)], recognizer=ears, language_model=storyteller(), listen_until=13.0
    ) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.heard_out()
        talk.say(TextInput("Good morning"))
        await talk.heard_out(2)
        assert [ended.outcome for ended in talk.of(ReplyEnded)] == ["finished", "finished"]
        # It was said over the story, and stands where it was said.
        assert talk.history == [*BEFORE, ("user", "please stop Good morning"), ("assistant", STORY)]
