"""Words that come late: what does not reach the end of the speech proves nothing, and what was judged stays judged."""

from __future__ import annotations

import pytest

from parley.messages import (
    BargeInDecided,
    ErrorMessage,
    ReplyEnded,
    ReplyStarted,
    ResumeAudio,
    TextInput,
)
from parley.session.log import Speculated, TurnClosed
from parley.session.settings import EndpointingSettings, LimitSettings, SessionSettings
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeRecognizer

pytestmark = pytest.mark.anyio

STORY = "tell me a long story " * 4
FIRST = ([(0.6, "hello there")], (0.5, 1.2))
"""A turn from which the session learns that its recogniser says how much it covers."""


def ears(*turns: list[tuple[float, str]], settles_in: float, **how: object) -> FakeRecognizer:
    return FakeRecognizer(turns=[FIRST[0], *turns], settles_in=settles_in, **how)  # type: ignore[arg-type]


async def test_the_recogniser_is_told_at_once_that_its_speaker_is_silent_and_that_they_go_on() -> None:
    recognizer = FakeRecognizer(turns=[[(0.6, "I would like to"), (1.9, "I would like to sleep")]], settles_in=0.1)
    async with conversation(sounds=[(0.5, 1.2), (2.0, 3.0)], recognizer=recognizer) as talk:
        await talk.heard_out()
        assert talk.history[0] == ("user", "I would like to sleep")
        # The silence is noticed at 3.0 + 0.08, understood 0.1 later, and long enough after the last voice.
        assert talk.logged(TurnClosed)[0].at == pytest.approx(3.0 + EndpointingSettings().delay, abs=0.04)


async def test_a_turn_is_not_over_before_its_last_words_are_told() -> None:
    recognizer = ears([(0.4, "I would"), (0.8, "I would like to"), (2.4, "I would like to sleep")], settles_in=0.6)
    async with conversation(sounds=[FIRST[1], (6.0, 7.0), (8.2, 9.0)], recognizer=recognizer) as talk:
        await talk.heard_out(2)
        assert talk.history[2] == ("user", "I would like to sleep")
        assert len(talk.logged(TurnClosed)) == 2


async def test_no_reply_is_begun_before_the_words_reach_the_end_of_the_speech() -> None:
    recognizer = ears([(0.4, "what time is it"), (0.9, "what time is it in Rome")], settles_in=0.4)
    async with conversation(sounds=[FIRST[1], (6.0, 7.0)], recognizer=recognizer) as talk:
        await talk.heard_out(2)
        asked = [messages[-1].text for messages in talk.language_model.asked]
        assert asked == ["hello there", "what time is it in Rome"]
        assert all(entry.used for entry in talk.logged(Speculated))


async def test_words_that_reach_the_end_are_answered_though_the_last_transcript_does_not_come() -> None:
    recognizer = FakeRecognizer(turns=[[(0.7, "what time is it")]], settles_in=0.1, hang=True)
    settings = SessionSettings(limits=LimitSettings(asr_timeout=8.0))
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer, settings=settings) as talk:
        await talk.heard_out()
        assert talk.time_of(talk.of(ReplyStarted)[0]) < 1.5 + 1.0
        assert not talk.of(ErrorMessage)


@pytest.mark.parametrize(
    ("confidence", "latency", "answered", "waited"),
    [
        (0.3, 0.6, "what can you do", 0.6),  # corrected before anybody hears a reply to it
        (0.3, 1.5, "what can you hear", 0.8),
        (0.9, 0.6, "what can you hear", 0.3),
        (0.9, 0.2, "what can you do", 0.2),
    ],
)
async def test_doubtful_words_wait_longer_for_the_final_transcript(
    confidence: float, latency: float, answered: str, waited: float
) -> None:
    said = [(0.4, "what can"), (0.7, "what can you hear"), (9.0, "what can you do")]
    recognizer = FakeRecognizer(turns=[said], settles_in=0.1, latency=latency, confidence=confidence)
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer) as talk:
        await talk.heard_out()
        (started,) = talk.of(ReplyStarted)
        (closed,) = talk.logged(TurnClosed)
        assert talk.language_model.asked[-1][-1].text == answered
        assert -0.02 < talk.time_of(started) - closed.at - waited < 0.25  # the voice's first frame


async def test_a_short_sound_over_a_reply_waits_for_the_words_of_a_recogniser_that_is_behind() -> None:
    recognizer = ears([(0.3, "wait stop")], settles_in=0.3, confidence=0.9)
    async with conversation(sounds=[FIRST[1], (10.0, 10.5)], recognizer=recognizer, listen_until=14.0) as talk:
        await talk.heard_out()
        await talk.until(8.0)
        talk.say(TextInput(STORY))
        await talk.until(12.0)
        assert [decided.outcome for decided in talk.of(BargeInDecided)] == ["take_floor"]
        assert not talk.of(ResumeAudio)


async def test_the_wait_for_words_over_a_reply_is_bounded() -> None:
    recognizer = ears([(0.3, "wait stop")], settles_in=0.1, confidence=0.9)
    async with conversation(sounds=[FIRST[1], (10.0, 10.5)], recognizer=recognizer, listen_until=14.0) as talk:
        await talk.heard_out()
        recognizer.settles_in = 9.0
        await talk.until(8.0)
        talk.say(TextInput(STORY))
        await talk.until(11.5)
        (resumed,) = talk.of(ResumeAudio)
        assert talk.time_of(resumed) == pytest.approx(10.5 + talk.engine.settings.barge_in.words_within, abs=0.1)


@pytest.mark.parametrize(
    ("words", "confidence", "ends"),
    [("and memhome", 0.95, False), ("please stop", 0.3, False), ("please stop", 0.95, True)],
)
async def test_a_reply_that_was_let_go_on_ends_only_for_a_stop_that_is_sure(
    words: str, confidence: float, ends: bool
) -> None:
    late = FakeRecognizer(turns=[[(9.0, words)]], latency=0.8, confidence=confidence)
    async with conversation(sounds=[(2.0, 2.5)], recognizer=late, listen_until=8.0) as talk:
        talk.say(TextInput(STORY))
        await talk.until(6.0)
        assert len(talk.of(ResumeAudio)) == 1
        assert [message.outcome for message in talk.of(ReplyEnded)][:1] == (["interrupted"] if ends else [])
        assert ("floor_taken" in [event for event, _ in talk.states()]) is ends
