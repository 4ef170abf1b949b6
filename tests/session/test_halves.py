"""Half a character in a delta costs nobody a word, wherever the text comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest

from parley.messages import ErrorMessage, ReplyEnded, SayDelta, SayEnd, TextInput
from parley.testing.conversation import conversation
from parley.values import ChangeVoice, ChatMessage, Deadlines

pytestmark = pytest.mark.anyio


class Cutting:
    """A language model whose deltas end where UTF-16 units do."""

    deadlines = Deadlines()

    def __init__(self, *deltas: str) -> None:
        self.deltas = deltas

    async def reply(
        self, history: Sequence[ChatMessage], tools: Sequence[object] = ()
    ) -> AsyncGenerator[str | ChangeVoice, None]:
        for delta in self.deltas:
            yield delta

    async def aclose(self) -> None: ...


async def test_a_reply_whose_deltas_cut_a_character_in_two_is_spoken_whole() -> None:
    async with conversation(language_model=Cutting("Hi \ud83d", "\ude00 there.")) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].text == "Hi 😀 there."


async def test_a_reply_that_ends_in_half_a_character_is_spoken() -> None:
    async with conversation(language_model=Cutting("Hi there \ud83d")) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert (talk.of(ReplyEnded)[0].outcome, talk.of(ReplyEnded)[0].text) == ("finished", "Hi there \ufffd")


async def test_text_to_be_said_may_cut_a_character_in_two() -> None:
    async with conversation() as talk:
        for delta in ("Hi \ud83d", "\ude00 there, ", "you \ud83d"):
            talk.say(SayDelta(delta))
        talk.say(SayEnd())
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].text == "Hi 😀 there, you \ufffd"
        assert not talk.of(ErrorMessage)


async def test_typed_text_with_half_a_character_is_answered() -> None:
    async with conversation() as talk:
        talk.say(TextInput("hello \ud83d"))
        await talk.heard_out()
        assert talk.history[0] == ("user", "hello \ufffd")
