"""However a session ends, nothing of it is left: ``conversation`` checks for tasks itself."""

from __future__ import annotations

import asyncio

import pytest

from parley.errors import TimedOut
from parley.messages import SessionEnded, TextInput
from parley.session.settings import LimitSettings, SessionSettings
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeLanguageModel, FakeSynthesizer, fake_speech

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("at", [0.0, 0.3, 0.62, 0.9, 1.15, 1.5, 2.3])
async def test_a_client_that_vanishes_leaves_nothing_behind(at: float) -> None:
    voice, model = FakeSynthesizer(latency=0.05), FakeLanguageModel(delta=0.02)
    async with conversation(sounds=[(0.6, 0.8), (1.1, 2.2)], synthesizer=voice, language_model=model) as talk:
        talk.say(TextInput("hello and tell me a story that goes on"))
        await talk.until(at)
        await talk.participant.vanish()
        await talk.task
        await asyncio.sleep(0)
        assert all(synthesis.closed for synthesis in voice.spoken)
        assert model.closed == len(model.asked)


async def test_a_client_that_stops_reading_is_dropped() -> None:
    settings = SessionSettings(limits=LimitSettings(stall_timeout=2.0))
    async with conversation(settings=settings) as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.5)
        talk.participant.taking.clear()
        with pytest.raises(TimedOut, match="took no data"):
            await talk.task
        assert asyncio.get_running_loop().time() < 3.6


async def test_a_session_ends_when_its_host_says_so() -> None:
    async with conversation() as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.5)
        talk.engine.end("The server stops.")
        await talk.task
        assert talk.of(SessionEnded) == [SessionEnded("The server stops.")]


async def test_a_session_can_be_cancelled_at_any_moment() -> None:
    for at in (0.0, 0.001, 0.3, 0.96):
        async with conversation() as talk:
            talk.say(TextInput("hello"))
            await asyncio.sleep(at)
            talk.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await talk.task


async def test_a_language_model_that_hangs_holds_up_no_goodbye() -> None:
    async with conversation(language_model=FakeLanguageModel(hang=True)) as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.5)
        talk.engine.end("Enough.")
        await talk.task
        assert asyncio.get_running_loop().time() == pytest.approx(0.5)


async def test_one_session_on_hold_changes_no_byte_of_another() -> None:
    voice = FakeSynthesizer()
    async with (
        conversation(sounds=[(0.3, 0.5), (1.2, 3.0)], synthesizer=voice) as held,
        conversation(synthesizer=voice, alone=False) as other,
    ):
        for talk in (held, other):
            talk.say(TextInput("hello there my friend"))
        await other.heard_out()
        assert other.participant.ear.pcm("u1") == fake_speech("You said: hello there my friend.")
        assert other.participant.ear.underruns == 0


async def test_a_new_session_after_one_that_was_stopped_speaks() -> None:
    voice = FakeSynthesizer()
    async with conversation(synthesizer=voice) as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.3)
        await talk.participant.vanish()
        await talk.task
    async with conversation(synthesizer=voice) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.participant.ear.pcm("u1") == fake_speech("You said: hello.")
