"""What a session says of how its text becomes words reaches the voice; what says nothing reaches none."""

from __future__ import annotations

import pytest

from parley.errors import EngineError
from parley.messages import ErrorMessage, SayDelta, SayEnd, StartSession, TextInput
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


WORDLESS = ["...", "***", "😀 👍", "```\nx = 1\n```", "... \n😀\n", "…" * 300]


@pytest.mark.parametrize("piece", [1, 1_000])
@pytest.mark.parametrize("answer", WORDLESS)
async def test_a_reply_that_nobody_could_hear_is_an_empty_reply_and_is_apologised_for(answer: str, piece: int) -> None:
    synthesizer = FakeSynthesizer()
    model = FakeLanguageModel(answer=lambda _: [answer[at : at + piece] for at in range(0, len(answer), piece)])
    async with conversation(language_model=model, synthesizer=synthesizer) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert [error.code for error in talk.of(ErrorMessage)] == ["no_reply"]
        assert "sorry" in talk.history[-1][1]
        assert len(synthesizer.spoken) == 1


@pytest.mark.parametrize("code", ["```\nx = 1", "```\nx = 1\n", "It is:\n```\nx = 1\n```", "| a | b |\n| --- | --- |"])
async def test_no_block_of_code_swallows_the_apology_behind_it(code: str) -> None:
    model = FakeLanguageModel(answer=lambda _: [code], error=EngineError("The model died."), fail_after=1)
    async with conversation(language_model=model) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert "I am sorry, I cannot think clearly" in talk.history[-1][1]


@pytest.mark.parametrize("text", WORDLESS)
async def test_a_text_from_outside_that_says_nothing_is_refused_aloud_to_its_client(text: str) -> None:
    synthesizer = FakeSynthesizer()
    async with conversation(synthesizer=synthesizer) as talk:
        talk.say(SayDelta(text))
        talk.say(SayEnd())
        talk.say(SayDelta("It is late."))
        talk.say(SayEnd())
        await talk.heard_out()
        assert [(error.code, error.message) for error in talk.of(ErrorMessage)] == [
            ("invalid_request", "Nothing in this text can be spoken.")
        ]
        assert len(synthesizer.spoken) == 1, "what waited behind it is spoken"


async def test_marks_before_words_do_not_hold_them_up() -> None:
    synthesizer = FakeSynthesizer()
    async with conversation(
        language_model=FakeLanguageModel(answer=lambda _: "...\nIt is late."), synthesizer=synthesizer
    ) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.history[-1] == ("assistant", "...\nIt is late.")
