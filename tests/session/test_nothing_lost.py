"""Nothing is lost that nobody interrupted: only a floor that is taken, or a button, may discard an answer."""

from __future__ import annotations

import pytest

from parley.errors import EngineError
from parley.messages import (
    BargeInDecided,
    EndTurn,
    Interrupt,
    PauseAudio,
    ReplyEnded,
    ReplyStarted,
    ReplyText,
    SayDelta,
    SayEnd,
    StartSession,
    TextInput,
)
from parley.session.log import Decided, Speculated
from parley.session.settings import ReplySettings, SessionSettings
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, fake_speech

pytestmark = pytest.mark.anyio

COUGH = (0.5, 0.75)
QUESTION = [(0.8, "what time"), (1.3, "what time is it")]


def slow(seconds: float = 2.0) -> FakeLanguageModel:
    return FakeLanguageModel(first_delta=seconds)


# --- a sound before the first sound of an answer ------------------------------------------


async def test_a_cough_before_the_answer_to_a_typed_question_costs_nothing() -> None:
    async with conversation(sounds=[COUGH], language_model=slow()) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.participant.ear.pcm("u1") == fake_speech("You said: hello.")
        assert talk.participant.frames[0][0] == pytest.approx(2.0, abs=0.001)  # not a moment later
        assert talk.history == [("user", "hello"), ("assistant", "You said: hello.")]
        assert len(talk.language_model.asked) == 1


async def test_a_cough_that_is_still_judged_when_the_answer_is_there_delays_it_until_the_verdict() -> None:
    async with conversation(sounds=[(0.5, 0.75)], language_model=slow(0.7)) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        (decided,) = talk.of(BargeInDecided)
        assert decided.outcome == "backchannel"
        assert talk.time_of(decided) == pytest.approx(talk.participant.frames[0][0])
        assert talk.participant.ear.pcm("u1") == fake_speech("You said: hello.")
        assert not talk.of(PauseAudio)  # nothing sounded that could have been paused


async def test_a_cough_before_outside_text_is_spoken_costs_nothing() -> None:
    async with conversation(sounds=[COUGH], synthesizer=FakeSynthesizer(latency=2.0)) as talk:
        talk.say(SayDelta("Your table is ready. "))
        talk.say(SayDelta("Please come in."))
        talk.say(SayEnd())
        await talk.heard_out()
        assert talk.participant.ear.pcm("u1") == fake_speech("Your table is ready. Please come in.")


async def test_a_cough_before_the_greeting_costs_nothing() -> None:
    settings = SessionSettings(reply=ReplySettings(greeting="Good day."))
    voice = FakeSynthesizer(latency=2.0)
    async with conversation(sounds=[COUGH], synthesizer=voice, settings=settings) as talk:
        await talk.heard_out()
        assert talk.history == [("assistant", "Good day.")]


async def test_a_nod_before_the_first_sound_is_no_turn() -> None:
    async with conversation(sounds=[(0.5, 0.9)], turns=[[(0.4, "mhm")]], language_model=slow()) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.history == [("user", "hello"), ("assistant", "You said: hello.")]


async def test_several_coughs_before_the_first_sound_cost_nothing() -> None:
    coughs = [(0.3, 0.5), (1.1, 1.3), (1.8, 2.05)]
    async with conversation(sounds=coughs, language_model=slow()) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.history == [("user", "hello"), ("assistant", "You said: hello.")]
        assert [decided.outcome for decided in talk.logged(Decided)] == ["backchannel"] * 3


async def test_whoever_speaks_before_the_first_sound_takes_the_floor_and_both_turns_are_known() -> None:
    turns = [[(0.8, "no I mean"), (1.4, "no I mean goodbye")]]
    async with conversation(sounds=[(0.5, 1.8)], turns=turns, language_model=slow()) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.history == [
            ("user", "hello no I mean goodbye"),
            ("assistant", "You said: hello no I mean goodbye."),
        ]
        assert [ended.outcome for ended in talk.of(ReplyEnded)] == ["finished"]
        assert len(talk.of(ReplyStarted)) == 1


async def test_stop_understood_late_before_the_first_sound_takes_the_floor() -> None:
    recognizer = FakeRecognizer(turns=[[(9.0, "stop")]], latency=0.4)
    async with conversation(sounds=[(0.5, 0.8)], recognizer=recognizer, language_model=slow()) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.history[0] == ("user", "hello stop")


async def test_the_short_answer_before_the_first_sound_of_a_short_reply_takes_no_floor() -> None:
    """A reply that has not begun is not in its last moments, however short it is."""
    model = FakeLanguageModel(answer=lambda _: "Yes.", first_delta=0.0)
    voice = FakeSynthesizer(latency=2.0)
    async with conversation(sounds=[COUGH], language_model=model, synthesizer=voice) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.participant.ear.pcm("u1") == fake_speech("Yes.")


async def test_where_barge_in_is_off_a_sound_before_the_first_sound_changes_nothing() -> None:
    start = StartSession(settings={"barge_in.enabled": False})
    async with conversation(sounds=[(0.5, 1.5)], start=start, language_model=slow()) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert [agent for _, agent in talk.states()] == ["thinking", "speaking", "idle"]


async def test_a_reply_that_fails_while_a_cough_is_judged_is_told() -> None:
    voice = FakeSynthesizer(latency=0.7, error=EngineError("gone"))
    async with conversation(sounds=[COUGH], synthesizer=voice) as talk:
        talk.say(TextInput("hello"))
        await talk.until(6.0)
        assert talk.history[0] == ("user", "hello")
        assert talk.states()[-1][1] == "idle"


# --- a spoken turn ------------------------------------------------------------------------


async def test_a_cough_before_the_answer_to_a_spoken_question_keeps_the_answer() -> None:
    async with conversation(
        sounds=[(0.5, 1.9), (2.5, 2.7)], turns=[QUESTION], synthesizer=FakeSynthesizer(latency=2.0)
    ) as talk:
        await talk.heard_out()
        assert talk.history == [("user", "what time is it"), ("assistant", "You said: what time is it.")]
        assert len(talk.language_model.asked) == 1
        assert talk.participant.frames[0][0] < 1.9 + 0.1 + 2.0 + 0.1


async def test_a_cough_while_a_reply_is_prepared_keeps_what_was_prepared() -> None:
    turns = [[(0.7, "what time is it")], []]
    start = StartSession(settings={"endpointing.min_delay": 1.0})
    async with conversation(sounds=[(0.5, 1.5), (2.0, 2.2)], turns=turns, start=start) as talk:
        await talk.heard_out()
        assert len(talk.language_model.asked) == 1
        assert [entry.used for entry in talk.logged(Speculated)] == [True]


async def test_whoever_goes_on_before_the_first_sound_is_answered_for_all_of_it() -> None:
    turns = [QUESTION, [(0.9, "in Paris of all places")]]
    async with conversation(
        sounds=[(0.5, 1.9), (2.5, 3.6)], turns=turns, synthesizer=FakeSynthesizer(latency=2.0)
    ) as talk:
        await talk.heard_out()
        assert talk.history[0] == ("user", "what time is it in Paris of all places")
        assert len(talk.of(ReplyStarted)) == 1


# --- text from outside ----------------------------------------------------------------------


async def test_outside_text_waits_for_whoever_is_speaking_and_both_are_answered() -> None:
    async with conversation(sounds=[(0.5, 1.9)], turns=[QUESTION]) as talk:
        await talk.until(1.0)
        talk.say(SayDelta("Your taxi is here."))
        talk.say(SayEnd())
        await talk.heard_out(2)
        assert [ended.heard_text for ended in talk.of(ReplyEnded)] == [
            "You said: what time is it.",
            "Your taxi is here.",
        ]


async def test_outside_text_that_waits_is_spoken_after_a_spoken_turn_went_on() -> None:
    """A turn that goes on discards nothing but the reply that nobody has heard."""
    turns = [QUESTION, [(0.9, "in Paris of all places")]]
    async with conversation(
        sounds=[(0.5, 1.9), (2.5, 3.6)], turns=turns, synthesizer=FakeSynthesizer(latency=2.0)
    ) as talk:
        await talk.until(1.0)
        talk.say(SayDelta("Your taxi is here."))
        talk.say(SayEnd())
        await talk.heard_out(2)
        assert talk.of(ReplyEnded)[1].heard_text == "Your taxi is here."


async def test_the_rest_of_a_text_that_was_cut_off_stays_dropped_when_another_reply_has_ended() -> None:
    async with conversation() as talk:
        talk.say(SayDelta("A long text that goes on. "))
        await talk.until(0.5)
        talk.say(TextInput("hello"))
        await talk.heard_out(2)
        talk.say(SayDelta("And on it goes."))
        talk.say(SayEnd())
        await talk.until(8.0)
        assert len(talk.of(ReplyEnded)) == 2


# --- buttons --------------------------------------------------------------------------------


async def test_a_button_before_the_first_sound_keeps_what_was_typed() -> None:
    async with conversation(language_model=slow()) as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.5)
        talk.say(Interrupt())
        await talk.until(0.6)
        assert talk.history == [("user", "hello")]


async def test_a_button_before_the_first_sound_keeps_what_was_said() -> None:
    async with conversation(sounds=[(0.5, 1.9)], turns=[QUESTION], synthesizer=FakeSynthesizer(latency=2.0)) as talk:
        await talk.until(2.6)
        talk.say(Interrupt())
        await talk.until(2.7)
        assert talk.history == [("user", "what time is it")]


async def test_the_talk_button_over_a_reply_that_has_not_begun_gives_the_floor() -> None:
    turns = [[(0.3, "goodbye")]]
    async with conversation(sounds=[(0.5, 1.0)], turns=turns, language_model=slow()) as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.98)
        talk.say(EndTurn())
        await talk.heard_out()
        assert talk.history[0] == ("user", "hello goodbye")


async def test_what_was_typed_while_a_sound_is_judged_is_answered_with_what_was_typed_before() -> None:
    async with conversation(sounds=[COUGH], language_model=slow()) as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.6)
        talk.say(TextInput("are you there"))
        await talk.heard_out()
        assert talk.history[0] == ("user", "hello are you there")
        assert "".join(text.text for text in talk.of(ReplyText)) == "You said: hello are you there."


async def test_what_is_understood_when_the_next_sound_over_the_reply_has_begun_is_in_the_history() -> None:
    model = FakeLanguageModel(answer=lambda _: "Yes of course I can, and with pleasure.")
    recognizer = FakeRecognizer(turns=[[(9.0, "stop")], [(0.8, "what time is it")]], latencies=[1.5])
    async with conversation(sounds=[(0.4, 0.7), (1.5, 2.6)], recognizer=recognizer, language_model=model) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out(2)
        assert " ".join(text for role, text in talk.history if role == "user") == "hello stop what time is it"
