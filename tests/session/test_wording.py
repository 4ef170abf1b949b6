"""What a session says of how its text becomes words reaches the voice; what says nothing reaches none."""

from __future__ import annotations

import pytest

from parley.messages import ReplyStarted, SayDelta, SayEnd, StartSession, TextInput
from parley.session.settings import SessionSettings
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeLanguageModel, FakeSynthesizer
from parley.text.settings import TextSettings
from parley.values import Wording

pytestmark = pytest.mark.anyio


async def wordings(start: StartSession, settings: SessionSettings, *texts: SayDelta) -> list[Wording]:
    synthesizer = FakeSynthesizer()
    async with conversation(start=start, settings=settings, synthesizer=synthesizer) as talk:
        for text in texts:
            talk.say(text)
            talk.say(SayEnd())
        await talk.until(3.0)
    return [synthesis.wording for synthesis in synthesizer.spoken]


async def test_how_text_becomes_words_is_the_workers_to_say_where_nobody_else_does() -> None:
    assert await wordings(StartSession(), SessionSettings(), SayDelta("Number 5.")) == [Wording()]


async def test_a_text_from_outside_may_be_spoken_as_it_stands() -> None:
    texts = (SayDelta("Number 5.", normalize=False), SayDelta("Number 6."))
    assert await wordings(StartSession(), SessionSettings(), *texts) == [Wording(normalize=False), Wording()]


async def test_a_client_gives_its_session_a_lexicon_and_may_switch_words_off() -> None:
    start = StartSession(settings={"text.lexicon": "GIF = jif", "text.normalize": False})
    assert await wordings(start, SessionSettings(), SayDelta("A GIF.")) == [Wording(False, "GIF = jif")]


async def test_the_operators_lexicon_is_every_sessions() -> None:
    settings = SessionSettings(text=TextSettings(lexicon="GIF = jif"))
    assert await wordings(StartSession(), settings, SayDelta("A GIF.")) == [Wording(None, "GIF = jif")]


@pytest.mark.parametrize("answer", ["...", "***", "😀 👍", "```\nx = 1\n```"])
async def test_a_reply_that_says_nothing_is_an_empty_reply_and_reaches_no_voice(answer: str) -> None:
    synthesizer = FakeSynthesizer()
    async with conversation(language_model=FakeLanguageModel(answer=lambda _: answer), synthesizer=synthesizer) as talk:
        talk.say(TextInput("hello"))
        await talk.until(1.0)
        assert [agent for _, agent in talk.states()] == ["thinking", "idle"]
        assert not talk.of(ReplyStarted)
        assert not synthesizer.spoken


async def test_marks_before_words_do_not_hold_them_up() -> None:
    synthesizer = FakeSynthesizer()
    async with conversation(
        language_model=FakeLanguageModel(answer=lambda _: "...\nIt is late."), synthesizer=synthesizer
    ) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.history[-1] == ("assistant", "...\nIt is late.")
