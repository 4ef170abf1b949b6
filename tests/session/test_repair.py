"""Speech that was there and not understood is answered: the agent asks again, or says that it cannot hear."""

from __future__ import annotations

import pytest

from parley.errors import CapacityError, EngineError
from parley.messages import ErrorMessage, ReplyEnded, StartSession, TextInput, TranscriptUpdate
from parley.session.log import TranscriptLate
from parley.session.settings import LimitSettings, ReplySettings, SessionSettings
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer, FakeSynthesizer
from parley.values import Voice

pytestmark = pytest.mark.anyio

NOT_UNDERSTOOD = "I did not catch that."
NOT_HEARD = "I am sorry, I cannot hear well right now. Please say that again."
STORY = "Once upon a time there was a king who had three daughters and no patience."


async def test_clear_speech_without_a_word_is_asked_for_by_voice() -> None:
    async with conversation(sounds=[(0.5, 1.5)], listen_until=8.0) as talk:
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].heard_text == NOT_UNDERSTOOD
        assert not talk.language_model.asked
        assert ("not_understood", "idle") in talk.states()
        assert talk.history == [("assistant", NOT_UNDERSTOOD)]


async def test_it_is_asked_for_once_until_something_was_understood() -> None:
    sounds = [(0.5, 1.5), (5.0, 6.0), (9.0, 10.0), (15.0, 16.0)]
    turns = [[], [], [(0.7, "what time is it")], []]
    async with conversation(sounds=sounds, turns=turns, listen_until=22.0) as talk:
        await talk.until(22.0)
        assert [ended.heard_text for ended in talk.of(ReplyEnded)] == [
            NOT_UNDERSTOOD,
            "You said: what time is it.",
            NOT_UNDERSTOOD,
        ]


async def test_a_cough_is_not_asked_for() -> None:
    async with conversation(sounds=[(0.5, 0.9)], listen_until=5.0) as talk:
        await talk.until(5.0)
        assert talk.states()[-1] == ("turn_empty", "idle")
        assert not talk.participant.frames


async def test_a_sound_over_a_reply_that_was_kept_is_not_asked_for() -> None:
    model = FakeLanguageModel(answer=lambda _: STORY)
    async with conversation(sounds=[(1.0, 1.75)], language_model=model, listen_until=10.0) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.heard_out()
        await talk.until(10.0)
        assert len(talk.of(ReplyEnded)) == 1


async def test_whoever_took_the_floor_with_words_that_were_not_understood_is_asked() -> None:
    model = FakeLanguageModel(answer=lambda _: STORY)
    async with conversation(sounds=[(1.0, 2.5)], language_model=model, listen_until=10.0) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.heard_out(2)
        assert talk.of(ReplyEnded)[1].heard_text == NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (StartSession(language="de-DE"), "Das habe ich nicht verstanden."),
        (StartSession(voice=Voice(language="fr")), "Je n'ai pas compris."),
    ],
)
async def test_it_is_asked_in_the_language_of_the_session(start: StartSession, said: str) -> None:
    async with conversation(sounds=[(0.5, 1.5)], start=start) as talk:
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].heard_text == said


async def test_an_operator_may_choose_the_words_or_silence() -> None:
    for said in ("Pardon?", ""):
        settings = SessionSettings(reply=ReplySettings(not_understood=said))
        async with conversation(sounds=[(0.5, 1.5)], settings=settings, listen_until=6.0) as talk:
            await talk.until(6.0)
            assert [ended.heard_text for ended in talk.of(ReplyEnded)] == [said] * bool(said)


async def test_whoever_speaks_again_meanwhile_is_listened_to() -> None:
    recognizer = FakeRecognizer(turns=[[], [(0.7, "what time is it")]], latency=0.5)
    async with conversation(sounds=[(0.5, 1.5), (2.2, 3.2)], recognizer=recognizer) as talk:
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].heard_text == "You said: what time is it."


async def test_the_question_can_be_interrupted_by_an_answer() -> None:
    sounds = [(0.5, 1.5), (2.3, 3.5)]
    async with conversation(sounds=sounds, turns=[[], [(0.7, "what time"), (1.0, "what time is it")]]) as talk:
        await talk.heard_out(2)
        assert talk.of(ReplyEnded)[0].outcome == "interrupted"
        assert talk.of(ReplyEnded)[1].heard_text == "You said: what time is it."


@pytest.mark.parametrize("error", [CapacityError("Too many turns are waiting."), EngineError("gone")])
async def test_a_recogniser_that_fails_is_told_by_voice_too(error: Exception) -> None:
    recognizer = FakeRecognizer(error=error)  # type: ignore[arg-type]
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer) as talk:
        await talk.heard_out()
        assert len(talk.of(ErrorMessage)) == 1
        assert talk.of(ReplyEnded)[0].heard_text == NOT_HEARD


async def test_a_recogniser_that_takes_too_long_is_told_by_voice_too() -> None:
    settings = SessionSettings(limits=LimitSettings(asr_timeout=1.0))
    recognizer = FakeRecognizer(hang=True)
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer, settings=settings) as talk:
        await talk.heard_out()
        assert talk.of(ErrorMessage)[0].code == "timed_out"
        assert talk.of(ReplyEnded)[0].heard_text == NOT_HEARD


async def test_a_voice_that_breaks_off_says_so_when_it_can_speak_again() -> None:
    voice = FakeSynthesizer(error=EngineError("The voice died."), fail_after=100)
    async with conversation(synthesizer=voice, language_model=FakeLanguageModel(answer=lambda _: STORY)) as talk:
        talk.say(TextInput("hello there"))
        await talk.heard_out(2)
        assert talk.of(ReplyEnded)[1].heard_text == "I am sorry, my voice broke off."
        assert len(talk.of(ErrorMessage)) == 1


async def test_a_voice_that_stays_dead_is_told_once_in_writing() -> None:
    voice = FakeSynthesizer(error=EngineError("The voice died."))
    async with conversation(synthesizer=voice) as talk:
        talk.say(TextInput("hello there"))
        await talk.until(5.0)
        assert len(talk.of(ErrorMessage)) == 1
        assert len(voice.spoken) == 2
        assert talk.states()[-1][1] == "idle"


# --- words that come late -----------------------------------------------------------------

LATE = SessionSettings(limits=LimitSettings(asr_timeout=1.0))


async def test_words_that_come_after_the_apology_are_answered_late() -> None:
    recognizer = FakeRecognizer(turns=[[(9.0, "what time is it")]], latency=6.0)
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer, settings=LATE) as talk:
        await talk.heard_out(2)
        assert [ended.heard_text for ended in talk.of(ReplyEnded)] == [NOT_HEARD, "You said: what time is it."]
        assert [update for update in talk.of(TranscriptUpdate) if update.final][-1] == TranscriptUpdate(
            1, "what time is it", True, 15
        )
        assert [text for role, text in talk.history if role == "user"] == ["what time is it"]


async def test_words_that_come_while_the_apology_is_spoken_are_answered_after_it() -> None:
    recognizer = FakeRecognizer(turns=[[(9.0, "what time is it")]], latency=2.0)
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer, settings=LATE) as talk:
        await talk.heard_out(2)
        assert [ended.heard_text for ended in talk.of(ReplyEnded)] == [NOT_HEARD, "You said: what time is it."]


async def test_words_that_come_late_are_not_answered_twice_when_they_were_said_again() -> None:
    recognizer = FakeRecognizer(turns=[[(9.0, "what time is it")], [(0.7, "what day is it")]], latencies=[9.0])
    async with conversation(
        sounds=[(0.5, 1.5), (8.0, 9.0)], recognizer=recognizer, settings=LATE, listen_until=20.0
    ) as talk:
        await talk.until(20.0)
        assert [text for role, text in talk.history if role == "user"] == ["what time is it", "what day is it"]
        assert talk.history[0] == ("user", "what time is it")  # where it was said: before the apology
        assert [ended.heard_text for ended in talk.of(ReplyEnded)] == [NOT_HEARD, "You said: what day is it."]


async def test_the_end_of_a_turn_that_comes_after_its_answer_is_in_the_history() -> None:
    recognizer = FakeRecognizer(turns=[[(0.7, "what time"), (9.0, "what time is it in Rome")]], latency=3.0)
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer, settings=LATE, listen_until=10.0) as talk:
        await talk.until(8.0)
        assert talk.history == [("user", "what time is it in Rome"), ("assistant", "You said: what time.")]
        last = [update for update in talk.of(TranscriptUpdate) if update.final][-1]
        assert (last.turn, last.text) == (1, "what time is it in Rome")


async def test_words_that_come_late_but_before_the_first_sound_are_answered() -> None:
    recognizer = FakeRecognizer(turns=[[(0.7, "what time"), (9.0, "what time is it in Rome")]], latency=3.0)
    async with conversation(
        sounds=[(0.5, 1.5)], recognizer=recognizer, settings=LATE, synthesizer=FakeSynthesizer(latency=4.0)
    ) as talk:
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].heard_text == "You said: what time is it in Rome."


async def test_what_was_said_before_something_was_typed_is_in_the_history_though_it_comes_late() -> None:
    recognizer = FakeRecognizer(turns=[[(9.0, "what time is it")]], latency=1.0)
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer) as talk:
        await talk.until(1.55)
        talk.say(TextInput("never mind"))
        await talk.heard_out()
        await talk.until(5.0)
        assert talk.history[0] == ("user", "what time is it never mind")


async def test_what_was_said_over_a_reply_before_something_was_typed_is_in_the_history() -> None:
    recognizer = FakeRecognizer(turns=[[(9.0, "no not that one")]], latency=1.0)
    model = FakeLanguageModel(answer=lambda _: STORY)
    async with conversation(sounds=[(1.0, 1.6)], recognizer=recognizer, language_model=model) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(1.62)
        talk.say(TextInput("the other one"))
        await talk.heard_out(2)
        assert talk.history[2] == ("user", "no not that one the other one")


async def test_a_recogniser_that_never_answers_is_given_up_and_leaves_nothing() -> None:
    settings = SessionSettings(limits=LimitSettings(asr_timeout=1.0, asr_late=3.0))
    recognizer = FakeRecognizer(hang=True)
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer, settings=settings) as talk:
        await talk.heard_out()
        await talk.until(12.0)
        assert len(talk.of(ErrorMessage)) == 1
        assert [late.outcome for late in talk.logged(TranscriptLate)] == ["lost"]
