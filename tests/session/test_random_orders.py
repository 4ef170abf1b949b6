"""Sessions of clients that know the entries, under any orders at any moment: what begins is told to end, once."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from parley.conversation import Message
from parley.orders import (
    AskReply,
    CancelReply,
    Clear,
    Commit,
    Configure,
    Insert,
    Manner,
    ReplyBegun,
    ReplyRequest,
    ReplySettled,
    SpeechNoted,
    TurnCommitted,
)
from parley.session.settings import LimitSettings, SessionSettings
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer
from parley.testing.virtual_time import run_virtual
from parley.values import ToolCall, ToolInfo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from parley.orders import Order

HISTORIES = min(1_000, int(os.environ.get("PARLEY_TEST_HISTORIES", "80")))
SEED = int(os.environ.get("PARLEY_TEST_SEED", "0"))
QUIET = 60.0
"""Seconds after which nothing goes on any more."""

TOOL = ToolInfo("order", "Order a pizza", effect="write", filler_after=0)
ANSWERS: tuple[Any, ...] = (
    "Once upon a time. There was a king. He had no crown at all.",
    "Right.",
    "",
    [ToolCall("c", "order", "{}")],
)
WORDS = ((), ((0.3, "mhm"),), ((0.4, "stop please"),), ((0.5, "tell me"), (0.9, "tell me a story")))

maybe = st.booleans()
manners = st.builds(
    Manner,
    tools=st.sampled_from(((), (TOOL,))),
    answers=maybe,
    interrupts=maybe,
    detects=st.sampled_from((True, True, True, False)),
    text_only=maybe,
    idle=st.sampled_from((0.0, 3.0)),
)
requests = st.builds(
    ReplyRequest,
    st.just("r"),
    text_only=st.sampled_from((None, True, False)),
    beside=st.sampled_from((False, False, True)),
    context=st.sampled_from((None, None, (Message("user", "this"),))),
)
orders = st.one_of(
    st.builds(AskReply, requests),
    st.builds(AskReply, requests),
    st.just(CancelReply("c")),
    st.just(Clear("x")),
    st.just(Commit("m")),
    st.builds(lambda: Insert("i", Message("user", "hello"))),
    st.builds(Configure, manners),
)
moments = st.lists(st.tuples(st.sampled_from((0.0, 0.02, 0.11, 0.5, 1.3, 2.9)), orders), min_size=1, max_size=12)
speech = st.lists(
    st.tuples(st.sampled_from((0.2, 0.4, 0.7, 1.5, 4.0)), st.sampled_from((0.06, 0.3, 0.8, 2.0))), max_size=6
)


def stretches(pauses: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Sounds, of silences and the sounds after them."""
    at, sounds = 0.0, list[tuple[float, float]]()
    for silence, sound in pauses:
        sounds.append((at + silence, at + silence + sound))
        at += silence + sound
    return sounds


def troubles(talk: Conversation) -> list[str]:
    """What is wrong with what the client was told."""
    begun, over = [note.reply_id for note in talk.noted(ReplyBegun)], [end.reply_id for end in talk.noted(ReplySettled)]
    open_speech: Counter[str] = Counter()
    found = [] if sorted(begun) == sorted(over) else [f"replies {begun} were begun and {over} are over"]
    found += [f"{end.reply_id}: {end.message}" for end in talk.noted(ReplySettled) if end.code == "conversation_busy"]
    for note in talk.noted(SpeechNoted):
        open_speech[note.item_id] += 1 if note.started else -1
        if open_speech[note.item_id] not in (0, 1):
            found.append(f"{note} came twice")
    found += [f"{item} never ended" for item, count in open_speech.items() if count]
    turns = Counter(turn.item_id for turn in talk.noted(TurnCommitted))
    return found + [f"{item} was committed twice" for item, count in turns.items() if count > 1]


@pytest.mark.timeout(600)
def test_what_is_begun_is_told_to_be_over_once_whatever_is_ordered() -> None:
    @seed(SEED)
    @settings(
        max_examples=HISTORIES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(manners, speech, moments, st.sampled_from((0.0, 0.2, 3.0)), st.randoms(use_true_random=False))
    def histories(
        manner: Manner,
        pauses: list[tuple[float, float]],
        ordered: list[tuple[float, Order]],
        latency: float,
        chance: Random,
    ) -> None:
        async def live() -> list[str]:
            ears = FakeRecognizer(turns=[chance.choice(WORDS) for _ in range(12)], latency=latency)
            model = FakeLanguageModel(answer=lambda _: chance.choice(ANSWERS), delta=0.1)
            sounds = stretches(pauses)
            async with conversation(
                manner=manner,
                sounds=sounds,
                recognizer=ears,
                language_model=model,
                settings=SessionSettings(limits=LimitSettings(asr_timeout=0.5, asr_late=9.0)),
            ) as talk:
                for wait, order in ordered:
                    await asyncio.sleep(wait)
                    talk.say(order)
                await asyncio.sleep(QUIET)
                at_rest = troubles(talk)
            return at_rest or troubles(talk)

        assert run_virtual(live()) == []

    histories()
