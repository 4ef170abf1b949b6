"""Every wait on somebody else has a deadline; when it passes the session goes on, and the participant is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from parley.errors import NotFound, TimedOut
from parley.messages import (
    EndTurn,
    ErrorMessage,
    Interrupt,
    PlayoutReport,
    ReplyEnded,
    SayDelta,
    SayEnd,
    SetVoice,
    StartSession,
    TextInput,
    VoiceChanged,
)
from parley.session.settings import LimitSettings, SessionSettings
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer, FakeSynthesis, FakeSynthesizer, fake_speech
from parley.values import Voice

pytestmark = pytest.mark.anyio

STORY = "Once upon a time there was a king who had three daughters and no patience."


async def never(*_: Any) -> Any:
    await asyncio.get_running_loop().create_future()


# --- the voice ------------------------------------------------------------------------------


async def test_a_voice_that_never_confirms_a_hold_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSynthesis, "pause", never)
    model = FakeLanguageModel(answer=lambda _: STORY)
    async with conversation(sounds=[(1.0, 1.2), (3.0, 3.2)], language_model=model) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.participant.ear.pcm("u1") == fake_speech(STORY)


async def test_a_voice_that_never_goes_on_after_a_hold_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSynthesis, "resume", never)
    async with conversation(sounds=[(1.0, 1.2)], language_model=FakeLanguageModel(answer=lambda _: STORY)) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out(2)
        assert talk.of(ErrorMessage)[0].code == "timed_out"
        assert talk.of(ReplyEnded)[1].heard_text == "I am sorry, my voice broke off."


async def test_a_voice_that_never_closes_holds_up_no_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSynthesis, "aclose", never)
    async with conversation() as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        talk.say(TextInput("again"))
        await talk.heard_out(2)
        assert [ended.outcome for ended in talk.of(ReplyEnded)] == ["finished"] * 2


async def test_a_voice_that_stalls_in_mid_reply_is_given_up_sooner_than_one_that_has_still_to_begin() -> None:
    limits = LimitSettings(tts_timeout=20.0, tts_between=3.0)
    voice = FakeSynthesizer(hang_after=100)
    model = FakeLanguageModel(answer=lambda _: STORY)
    async with conversation(synthesizer=voice, language_model=model, settings=SessionSettings(limits=limits)) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.time_of(talk.of(ErrorMessage)[0]) < 2.0 + 3.0 + 1.0
        assert talk.of(ReplyEnded)[0].heard_text.startswith("Once upon a time")


async def test_a_voice_that_is_slow_to_begin_may_take_its_time() -> None:
    limits = LimitSettings(tts_timeout=20.0, tts_between=3.0)
    voice = FakeSynthesizer(latency=10.0)
    async with conversation(synthesizer=voice, settings=SessionSettings(limits=limits)) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].outcome == "finished"


# --- the client -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["pause_audio", "resume_audio", "clear_audio", "send_audio", "send_message"])
async def test_a_transport_that_hangs_ends_the_session(order: str) -> None:
    settings = SessionSettings(limits=LimitSettings(stall_timeout=2.0))
    model = FakeLanguageModel(answer=lambda _: STORY)
    async with conversation(sounds=[(1.0, 1.2)], language_model=model, settings=settings) as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.9)
        setattr(talk.transport, order, never)
        if order != "send_audio":
            await talk.until(2.0)
            talk.say(Interrupt())
        with pytest.raises(TimedOut, match="took no data"):
            await talk.task


async def test_a_loudspeaker_that_stands_still_does_not_keep_the_reply_for_ever() -> None:
    """A page whose sound the browser blocks reports that it has played nothing."""
    start = StartSession(playout_reports=True)
    async with conversation(start=start) as talk:
        talk.say(TextInput("hello"))
        while not talk.of(ReplyEnded) and asyncio.get_running_loop().time() < 30:
            talk.say(PlayoutReport("u1", 0))
            await asyncio.sleep(0.1)
        (ended,) = talk.of(ReplyEnded)
        assert ended.heard_text in ("", "You")  # it may have played a tenth of a second between two reports
        assert talk.of(ErrorMessage)[0].code == "timed_out"


# --- the recogniser -------------------------------------------------------------------------


async def test_a_turn_that_is_over_before_its_recogniser_has_begun_has_a_deadline_too() -> None:
    settings = SessionSettings(limits=LimitSettings(asr_timeout=1.0))
    recognizer = FakeRecognizer(hang=True)
    async with conversation(sounds=[(0.5, 3.0)], recognizer=recognizer, settings=settings) as talk:
        await talk.until(0.9)
        talk.say(Interrupt())
        talk.say(EndTurn())
        await talk.until(3.0)
        assert talk.states()[-1][1] != "thinking"


async def test_a_microphone_that_stops_in_a_rising_sound_ends_the_turn_all_the_same() -> None:
    async with conversation(
        sounds=[(0.5, 1.5), (1.62, 1.7)], turns=[[(0.7, "what time is it")]], listen_until=1.66
    ) as talk:
        await talk.heard_out()
        assert talk.history[0] == ("user", "what time is it")


# --- text from outside ----------------------------------------------------------------------


async def test_outside_text_without_an_end_is_taken_for_complete_after_a_while() -> None:
    settings = SessionSettings(limits=LimitSettings(say_timeout=4.0))
    async with conversation(settings=settings) as talk:
        talk.say(SayDelta("Your table is ready. And"))
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].heard_text == "Your table is ready. And"
        assert talk.of(ErrorMessage)[0].code == "timed_out"
        assert "say_end" in talk.of(ErrorMessage)[0].message
        assert talk.participant.times[-1] < 7.0


async def test_outside_text_that_keeps_coming_has_time() -> None:
    settings = SessionSettings(limits=LimitSettings(say_timeout=4.0))
    async with conversation(settings=settings) as talk:
        for piece in ("One. ", "Two. ", "Three."):
            talk.say(SayDelta(piece))
            await asyncio.sleep(3.0)
        talk.say(SayEnd())
        await talk.heard_out()
        assert not talk.of(ErrorMessage)


async def test_text_is_welcome_again_some_time_after_one_was_cut_off_and_never_ended() -> None:
    settings = SessionSettings(limits=LimitSettings(say_timeout=4.0))
    async with conversation(settings=settings) as talk:
        talk.say(SayDelta("A long text that goes on. "))
        await talk.until(0.5)
        talk.say(Interrupt())
        await talk.until(6.0)
        talk.say(SayDelta("Something new."))
        talk.say(SayEnd())
        await talk.heard_out(2)
        assert talk.of(ReplyEnded)[1].heard_text == "Something new."


# --- a voice that is refused ----------------------------------------------------------------


class Choosy(FakeSynthesizer):
    """Has one voice."""

    def synthesize(self, text: Any, *, voice: Voice, **what: Any) -> FakeSynthesis:
        self.error = NotFound(f'There is no model "{voice.model}".') if voice.model else None
        return super().synthesize(text, voice=voice, **what)


@pytest.mark.parametrize("way", ["typed", "outside"])
async def test_a_voice_that_is_refused_loses_no_text(way: str) -> None:
    async with conversation(synthesizer=Choosy()) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        talk.say(SetVoice(Voice("nonsense")))
        talk.say(TextInput("again")) if way == "typed" else talk.say(SayDelta("You said: again."))
        talk.say(SayEnd())
        await talk.heard_out(2)
        ended = talk.of(ReplyEnded)[1]
        assert (ended.outcome, ended.heard_text) == ("finished", "You said: again.")
        assert talk.participant.ear.pcm("u2") == fake_speech("You said: again.")
        assert talk.of(VoiceChanged)[-1] == VoiceChanged(Voice(), 'There is no model "nonsense".')
        assert [error.code for error in talk.of(ErrorMessage)] == ["not_found"]
        assert len(talk.language_model.asked) == (2 if way == "typed" else 1)


async def test_a_voice_that_is_refused_while_text_still_comes_loses_none_of_it() -> None:
    model = FakeLanguageModel(answer=lambda _: STORY, delta=0.2)
    async with conversation(synthesizer=Choosy(), language_model=model) as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.1)
        talk.say(SetVoice(Voice("nonsense")))
        await talk.heard_out()
        talk.say(TextInput("again"))
        await talk.heard_out(2)
        assert talk.of(ReplyEnded)[1].heard_text == STORY
