from __future__ import annotations

import asyncio
import itertools

import pytest

from parley.audio.frame import FRAME_SAMPLES
from parley.conversation import History
from parley.errors import EngineError, NotFound, UnavailableError
from parley.llm.script import ScriptModel
from parley.messages import (
    EndSession,
    ErrorMessage,
    Ping,
    Pong,
    ReplyEnded,
    ReplyStarted,
    ReplyText,
    SayDelta,
    SayEnd,
    SessionEnded,
    SessionStarted,
    SetVoice,
    StartSession,
    TextInput,
    TurnLatency,
    VoiceChanged,
)
from parley.session.settings import LimitSettings, ReplySettings, SessionSettings
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeLanguageModel, FakeSynthesizer, fake_speech
from parley.values import ChangeVoice, ChatMessage, Deadlines, Thinking, Voice

pytestmark = pytest.mark.anyio

APOLOGY = "I am sorry, I cannot think clearly right now. Please try again."


async def test_a_typed_turn_is_answered_aloud() -> None:
    async with conversation() as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert isinstance(talk.participant.messages[0], SessionStarted)
        assert talk.participant.ear.pcm("u1") == fake_speech("You said: hello.")
        assert [message.text for message in talk.of(ReplyText)] == ["You said: hello."]
        (ended,) = talk.of(ReplyEnded)
        assert (ended.outcome, ended.heard_text) == ("finished", "You said: hello.")
        assert talk.history == [("user", "hello"), ("assistant", "You said: hello.")]
        assert [agent for _, agent in talk.states()] == ["thinking", "speaking", "idle"]


async def test_frames_leave_in_real_time_never_more_than_the_lead_ahead() -> None:
    async with conversation() as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        for at, frame in talk.participant.frames:
            assert at == pytest.approx(max(0.0, frame.end_sample / 48_000 - 0.06), abs=1e-6)
        assert talk.participant.ear.underruns == 0


@pytest.mark.parametrize("sentences", [1, 20])
async def test_the_first_frame_does_not_wait_for_the_length_of_the_text(sentences: int) -> None:
    model = FakeLanguageModel(answer=lambda _: "This is one sentence. " * sentences, delta=0.03)
    async with conversation(language_model=model, synthesizer=FakeSynthesizer(latency=0.05)) as talk:
        talk.say(TextInput("hello"))
        await talk.until(1.0)
        # Four words and the beginning of a fifth, or the end of the text, close the first sentence.
        assert talk.participant.frames[0][0] == pytest.approx(0.17, abs=0.0201)


async def test_a_voice_that_falls_behind_costs_a_gap_and_no_sample() -> None:
    async with conversation(synthesizer=FakeSynthesizer(pace=0.025)) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.participant.ear.pcm("u1") == fake_speech("You said: hello.")


async def test_text_from_outside_is_spoken_while_it_is_still_arriving() -> None:
    async with conversation() as talk:
        talk.say(SayDelta("First things first. "))
        await talk.until(0.5)
        assert talk.participant.frames
        talk.say(SayDelta("Then the rest."))
        talk.say(SayEnd())
        await talk.heard_out()
        text = "First things first. Then the rest."
        assert talk.participant.ear.pcm("u1") == fake_speech(text)
        assert talk.history == [("assistant", text)]
        assert not talk.language_model.asked


async def test_a_second_text_from_outside_waits_for_the_first() -> None:
    async with conversation() as talk:
        for text in ("One.", "Two."):
            talk.say(SayDelta(text))
            talk.say(SayEnd())
        await talk.heard_out(2)
        assert [ended.heard_text for ended in talk.of(ReplyEnded)] == ["One.", "Two."]


async def test_a_new_voice_speaks_from_the_next_utterance_on() -> None:
    async with conversation() as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.2)
        talk.say(SetVoice(Voice("other")))
        await talk.heard_out()
        talk.say(TextInput("again"))
        await talk.heard_out(2)
        assert [spoken.voice.model for spoken in talk.synthesizer.spoken] == ["", "other"]
        assert [message.voice.model for message in talk.of(VoiceChanged)] == ["other"]
        assert talk.of(ReplyStarted)[1].voice == Voice("other")


async def test_the_language_model_may_change_the_voice() -> None:
    model = FakeLanguageModel(answer=lambda _: ["As you wish.", ChangeVoice(Voice("other"))])
    async with conversation(language_model=model) as talk:
        for number in (1, 2):
            talk.say(TextInput("change your voice"))
            await talk.heard_out(number)
        assert [spoken.voice.model for spoken in talk.synthesizer.spoken] == ["", "other"]


@pytest.mark.parametrize("way", ["said", "typed", "set"])
async def test_however_the_voice_is_changed_the_current_utterance_is_whole_and_the_next_one_has_it(way: str) -> None:
    asked = way != "set"
    sounds, turns = ([(0.5, 1.5)], [[(0.7, "change your voice")]]) if way == "said" else ([], [])
    model = ScriptModel(voices=lambda: [Voice("other")]) if asked else FakeLanguageModel()
    async with conversation(sounds=sounds, turns=turns, language_model=model) as talk:
        if way == "typed":
            talk.say(TextInput("change your voice"))
        elif way == "set":
            talk.say(TextInput("hello"))
            await talk.until(0.5)
            talk.say(SetVoice(Voice("other")))
        await talk.heard_out()
        (ended,) = talk.of(ReplyEnded)
        assert ended.outcome == "finished"
        assert talk.participant.ear.pcm("u1") == fake_speech(ended.heard_text), "not a frame is lost"
        assert talk.participant.ear.underruns == 0
        talk.say(TextInput("hello"))
        await talk.heard_out(2)
        assert [spoken.voice.model for spoken in talk.synthesizer.spoken] == ["", "other"]
        assert [message.voice.model for message in talk.of(VoiceChanged)] == ["other"]


async def test_a_voice_that_does_not_exist_is_told_and_given_back() -> None:
    voice = FakeSynthesizer()
    async with conversation(synthesizer=voice) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        talk.say(SetVoice(Voice("nonsense")))
        voice.error = NotFound('There is no model "nonsense".')
        talk.say(TextInput("hello"))
        await talk.until(3.0)
        voice.error = None
        talk.say(TextInput("hello"))
        await talk.heard_out(2)
        # Nor could the voice before it speak at that moment, which was told too.
        assert [error.code for error in talk.of(ErrorMessage)] == ["not_found"] * 2
        assert talk.of(VoiceChanged)[-1] == VoiceChanged(Voice(), 'There is no model "nonsense".')
        assert voice.spoken[-1].voice == Voice()


@pytest.mark.parametrize(
    "model",
    [
        FakeLanguageModel(hang=True),
        FakeLanguageModel(answer=lambda _: " \n "),
        FakeLanguageModel(error=UnavailableError("The model is gone.")),
        FakeLanguageModel(error=ZeroDivisionError("a bug")),  # type: ignore[arg-type]
    ],
)
async def test_when_the_language_model_fails_an_apology_is_written_and_spoken(model: FakeLanguageModel) -> None:
    settings = SessionSettings()
    async with conversation(language_model=model, settings=settings) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert len(talk.of(ErrorMessage)) == 1
        assert talk.synthesizer.spoken[0].text == APOLOGY
        assert talk.of(ReplyEnded)[0].outcome == "failed"
        model.hang, model.error, model.answer = False, None, FakeLanguageModel().answer
        talk.say(TextInput("again"))
        await talk.heard_out(2)
        assert talk.of(ReplyEnded)[1].heard_text == "You said: again."


async def test_a_language_model_that_fails_in_mid_reply_has_said_what_was_heard() -> None:
    model = FakeLanguageModel(
        answer=lambda _: "One two three. Four five six.", fail_after=4, error=UnavailableError("gone")
    )
    async with conversation(language_model=model) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].heard_text == f"One two three. {APOLOGY}"


async def test_when_the_voice_is_lost_the_session_says_so_and_lives_on() -> None:
    voice = FakeSynthesizer(error=EngineError("The voice died."), fail_after=25)
    async with conversation(synthesizer=voice) as talk:
        talk.say(TextInput("hello there"))
        await talk.heard_out()
        assert talk.of(ErrorMessage)[0].code == "engine_failed"
        (ended,) = talk.of(ReplyEnded)
        assert (ended.outcome, ended.heard_text) == ("failed", "You said:")
        voice.error = None
        await talk.heard_out(2)  # it says that it was lost
        talk.say(TextInput("again"))
        await talk.heard_out(3)
        assert talk.of(ReplyEnded)[2].outcome == "finished"
        assert talk.history[1] == ("assistant", "You said: I am sorry, my voice broke off.")


async def test_a_voice_that_hangs_is_given_up() -> None:
    settings = SessionSettings(limits=LimitSettings(tts_between=3.0))
    async with conversation(synthesizer=FakeSynthesizer(hang_after=10), settings=settings) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.of(ErrorMessage)[0].code == "timed_out"
        assert talk.participant.times[-1] < 4.5


async def test_a_slow_language_model_is_not_held_against_the_voice() -> None:
    settings = SessionSettings(limits=LimitSettings(tts_timeout=1.0))
    model = FakeLanguageModel(answer=lambda _: ["One. ", "Two. ", "Three."], delta=3.0)
    async with conversation(language_model=model, settings=settings) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].outcome == "finished"


async def test_an_empty_reply_is_told_and_apologised_for() -> None:
    async with conversation(language_model=FakeLanguageModel(answer=lambda _: [])) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert [error.code for error in talk.of(ErrorMessage)] == ["no_reply"]
        assert talk.synthesizer.spoken[0].text == APOLOGY


@pytest.mark.parametrize(
    ("language", "setting", "apology"),
    [("de-AT", "auto", "Entschuldigung, ich kann"), ("xx", "auto", "I am sorry, I cannot"), ("de", "Oh.", "Oh.")],
)
async def test_the_apology_is_in_the_sessions_language_unless_the_setting_has_its_own(
    language: str, setting: str, apology: str
) -> None:
    settings = SessionSettings(reply=ReplySettings(apology=setting))
    model = FakeLanguageModel(error=UnavailableError("gone"))
    start = StartSession(language=language)
    async with conversation(language_model=model, settings=settings, start=start) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.synthesizer.spoken[0].text.startswith(apology)


async def test_a_reply_of_nothing_but_another_voice_needs_no_apology() -> None:
    model = FakeLanguageModel(answer=lambda _: [ChangeVoice(Voice("other"))])
    async with conversation(language_model=model) as talk:
        talk.say(TextInput("hello"))
        await talk.until(1.0)
        assert not talk.of(ErrorMessage)
        assert talk.of(VoiceChanged)
        assert [agent for _, agent in talk.states()] == ["thinking", "idle"]


async def test_a_cold_model_may_take_the_time_that_its_setting_allows() -> None:
    model = FakeLanguageModel(first_delta=55.0, deadlines=Deadlines(first=60.0, between=10.0))
    async with conversation(language_model=model) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].heard_text == "You said: hello."
        assert not talk.of(ErrorMessage)


async def test_reasoning_that_flows_is_life_and_not_a_word_of_it_is_said() -> None:
    model = FakeLanguageModel(answer=lambda _: [*[Thinking()] * 10, "Four."], delta=5.0)
    async with conversation(language_model=model) as talk:
        talk.say(TextInput("two and two"))
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].text == "Four."
        assert not talk.of(ErrorMessage)
        (latency,) = talk.of(TurnLatency)
        assert latency.stages_ms["llm"] == pytest.approx(50_000)


async def test_reasoning_without_end_is_given_up() -> None:
    model = FakeLanguageModel(
        answer=lambda _: [Thinking()] * 100, delta=1.0, deadlines=Deadlines(first=5.0, between=5.0, thinking=30.0)
    )
    async with conversation(language_model=model) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        (error,) = talk.of(ErrorMessage)
        assert error.code == "timed_out"
        assert talk.time_of(error) == pytest.approx(30.0, abs=0.01)


@pytest.mark.parametrize("text", ["", "   ", "x" * 100_000])
async def test_text_that_cannot_be_a_turn_is_refused(text: str) -> None:
    async with conversation() as talk:
        talk.say(TextInput(text))
        await talk.until(0.1)
        assert talk.of(ErrorMessage)[0].code == "invalid_request"
        talk.say(TextInput("hello"))
        await talk.heard_out()


@pytest.mark.parametrize("entrance", ["question", "say"])
@pytest.mark.parametrize(("length", "taken"), [(8_001, True), (20_000, True), (20_001, False)])
async def test_every_way_in_takes_texts_of_the_same_length(entrance: str, length: int, taken: bool) -> None:
    text = ("word " * length)[: length - 1] + "."
    model = FakeLanguageModel(answer=lambda _: ["Yes."])
    async with conversation(language_model=model) as talk:
        if entrance == "question":
            talk.say(TextInput(text))
        else:
            talk.say(SayDelta(text))
            talk.say(SayEnd())
        await talk.until(1.0)
        errors = [error.code for error in talk.of(ErrorMessage)]
        assert errors == ([] if taken else ["invalid_request"])
        assert bool(talk.of(ReplyStarted)) is taken


async def test_a_long_text_from_outside_is_cut_into_clauses_while_others_have_their_turn() -> None:
    text = "And nobody has to wait. " * 400
    async with conversation() as talk:
        talk.say(SayDelta(text))
        talk.say(SayEnd())
        grown = [0]
        while grown[-1] < len(text):
            await asyncio.sleep(0)
            reply = talk.engine._replies.current
            grown.append(len(reply.text) if reply is not None else 0)
        assert max(after - before for before, after in itertools.pairwise(grown)) <= 300
        await talk.until(1.0)
        assert not talk.of(ErrorMessage)


async def test_typed_turns_that_come_too_quickly_are_refused_and_nothing_else_is_lost() -> None:
    settings = SessionSettings(limits=LimitSettings(text_burst=3, text_rate=2))
    async with conversation(settings=settings) as talk:
        for number in range(50):
            talk.say(TextInput(f"text {number}"))
        await talk.until(0.1)
        errors = talk.of(ErrorMessage)
        assert len(errors) == 47
        assert {error.code for error in errors} == {"too_many_requests"}
        assert "send it again in 0.5 seconds" in errors[0].message
        await talk.heard_out()
        assert talk.of(ReplyEnded)[-1].heard_text == "You said: text 0 text 1 text 2."
        talk.say(TextInput("later"))
        await talk.heard_out(2)
        assert talk.history[-2:] == [("user", "later"), ("assistant", "You said: later.")]


async def test_a_greeting_is_spoken_to_newcomers_and_not_to_those_who_come_back() -> None:
    settings = SessionSettings(reply=ReplySettings(greeting="Good day."))
    async with conversation(settings=settings) as talk:
        await talk.heard_out()
        assert talk.history == [("assistant", "Good day.")]
        known = talk.engine.history
    async with conversation(settings=settings, history=known) as talk:
        await talk.until(2.0)
        assert talk.of(SessionStarted)[0].resumed
        assert not talk.participant.frames


@pytest.mark.parametrize("by", ["operator", "client"])
@pytest.mark.parametrize("way", ["said", "typed"])
async def test_while_replies_are_the_clients_own_nobody_else_answers_a_turn(by: str, way: str) -> None:
    operator = SessionSettings(reply=ReplySettings(enabled=by == "client"))
    start = StartSession(settings={"session.reply.enabled": False} if by == "client" else {})
    sounds, turns = ([(0.5, 1.5)], [[(0.7, "hello")]]) if way == "said" else ([], [])
    async with conversation(sounds=sounds, turns=turns, settings=operator, start=start) as talk:
        if way == "typed":
            talk.say(TextInput("hello"))
        await talk.until(4.0)
        assert talk.engine.history.messages() == [ChatMessage("user", "hello")]
        assert talk.states()[-1][1] == "idle"
        talk.say(SayDelta("From outside."))
        talk.say(SayEnd())
        await talk.heard_out()
        assert [spoken.text for spoken in talk.synthesizer.spoken] == ["From outside."]
        assert not talk.of(ErrorMessage)
        assert not talk.language_model.asked
        assert talk.history == [("user", "hello"), ("assistant", "From outside.")]


async def test_a_history_goes_on_in_another_session() -> None:
    history = History()
    history.add_participant("I am Ada.")
    async with conversation(history=history) as talk:
        talk.say(TextInput("Who am I?"))
        await talk.heard_out()
        assert talk.language_model.asked[0][0].text == "I am Ada. Who am I?"


async def test_the_times_of_a_turn_are_told() -> None:
    model = FakeLanguageModel(first_delta=0.1)
    async with conversation(language_model=model, synthesizer=FakeSynthesizer(latency=0.05), reports=True) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        (latency,) = talk.of(TurnLatency)
        assert list(latency.stages_ms) == ["llm", "tts", "sent", "heard"]
        assert latency.stages_ms["llm"] == pytest.approx(100)
        assert latency.stages_ms["sent"] == pytest.approx(150)


async def test_a_ping_is_answered() -> None:
    async with conversation() as talk:
        talk.say(Ping(7))
        await talk.until(0.1)
        assert talk.of(Pong) == [Pong(7)]


async def test_goodbye_ends_the_session_in_mid_reply() -> None:
    async with conversation() as talk:
        talk.say(TextInput("hello"))
        await talk.until(0.5)
        talk.say(EndSession())
        await talk.task
        assert isinstance(talk.participant.messages[-1], SessionEnded)
        assert talk.of(ReplyEnded)[0].outcome == "interrupted"
        assert talk.history[-1] == ("assistant", "You said:")
        assert all(synthesis.closed for synthesis in talk.synthesizer.spoken)


async def test_marks_tell_the_words_of_a_frame() -> None:
    async with conversation() as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        marks = [mark for _, frame in talk.participant.frames for mark in frame.marks]
        assert [(mark.text_start, mark.text_end) for mark in marks] == [(0, 3), (4, 9), (10, 16)]
        assert talk.participant.frames[-1][1].final
        assert len(talk.participant.frames[0][1].pcm) == 2 * FRAME_SAMPLES
