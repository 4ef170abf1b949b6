from __future__ import annotations

import asyncio

import numpy as np
import pytest

from parley.errors import CapacityError, TimedOut
from parley.messages import (
    EndTurn,
    ErrorMessage,
    ReplyEnded,
    ReplyStarted,
    ResumeAudio,
    StartSession,
    StateChanged,
    TextInput,
    TranscriptUpdate,
)
from parley.session.decide.endpointing import Evidence, PauseHabits, wait_for
from parley.session.log import Speculated, TurnClosed
from parley.session.settings import EndpointingSettings, LimitSettings, SegmenterSettings, SessionSettings
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer, FakeSynthesizer
from parley.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

WHAT_TIME = [(0.7, "what time"), (1.1, "what time is it")]
SOON = wait_for(Evidence("what time is it", "en"), PauseHabits(), EndpointingSettings()).seconds
"""Silence that ends a turn whose words are complete, without full stop or melody: chosen on people, so it may move."""


async def test_a_spoken_turn_is_answered_after_a_short_silence() -> None:
    async with conversation(sounds=[(0.5, 1.5)], turns=[WHAT_TIME]) as talk:
        await talk.heard_out()
        assert talk.history == [("user", "what time is it"), ("assistant", "You said: what time is it.")]
        # The delay after the last voice, whose stretch of 32 ms ends at 1.504 s.
        assert talk.participant.frames[0][0] == pytest.approx(1.504 + SOON, abs=0.01)
        assert talk.of(TranscriptUpdate)[-1] == TranscriptUpdate(1, "what time is it", True, 15)


async def test_half_a_sentence_is_waited_for_and_becomes_one_turn() -> None:
    turns = [[(0.6, "I would like to"), (1.9, "I would like to hear a story")]]
    async with conversation(sounds=[(0.5, 1.2), (2.0, 3.0)], turns=turns) as talk:
        await talk.heard_out()
        assert len(talk.logged(TurnClosed)) == 1
        assert talk.history[0] == ("user", "I would like to hear a story")


async def test_a_turn_taken_for_over_goes_on_when_nothing_of_the_reply_was_heard() -> None:
    turns = [[(0.6, "tell me a story")], [(0.5, "about the sea")]]
    voice = FakeSynthesizer(latency=1.0)
    async with conversation(sounds=[(0.5, 1.2), (1.8, 2.6)], turns=turns, synthesizer=voice) as talk:
        await talk.heard_out()
        assert talk.history[0] == ("user", "tell me a story about the sea")
        assert len(talk.of(ReplyStarted)) == 1
        assert [update.turn for update in talk.of(TranscriptUpdate)] == [1] * len(talk.of(TranscriptUpdate))


async def test_the_reply_is_prepared_before_the_turn_is_over() -> None:
    model = FakeLanguageModel(first_delta=0.08)
    async with conversation(sounds=[(0.5, 1.5)], turns=[WHAT_TIME], language_model=model) as talk:
        await talk.heard_out()
        assert talk.logged(Speculated) == [Speculated(talk.logged(Speculated)[0].at, 1, True)]
        assert talk.participant.frames[0][0] < 1.504 + SOON + 0.08
        assert len(model.asked) == 1


async def test_a_reply_prepared_for_other_words_is_thrown_away_unheard() -> None:
    recognizer = FakeRecognizer(turns=[[(0.7, "what time"), (99.0, "what time is the train")]], latency=0.05)
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer) as talk:
        await talk.heard_out()
        assert [entry.used for entry in talk.logged(Speculated)] == [False]
        assert [spoken.utterance_id for spoken in talk.synthesizer.spoken if spoken.made > 1] == ["u2"]
        assert talk.of(ReplyStarted)[0].utterance_id == "u2"
        assert talk.history[1] == ("assistant", "You said: what time is the train.")


async def test_a_speculative_reply_makes_no_more_than_its_first_frame() -> None:
    turns = [[(0.7, "tell me a tale")]]
    start = StartSession(settings={"endpointing.min_delay": 1.0})
    model = FakeLanguageModel(answer=lambda _: "One two three. Four five six. Seven eight nine.")
    async with conversation(sounds=[(0.5, 1.2)], turns=turns, start=start, language_model=model) as talk:
        await talk.until(2.1)
        (spoken,) = talk.synthesizer.spoken
        assert spoken.made <= 1
        assert model.taken <= 7
        await talk.heard_out()


async def test_speculation_is_bounded() -> None:
    pauses = [(0.5 + n, 0.9 + n) for n in range(6)]
    start = StartSession(settings={"endpointing.min_delay": 1.0, "endpointing.max_delay": 1.0})
    turns = [[(0.3 + n, f"story number {n}") for n in range(6)]]
    async with conversation(sounds=pauses, turns=turns, start=start) as talk:
        await talk.heard_out()
        tries = SessionSettings().speculation.max_tries
        assert len(talk.language_model.asked) <= tries + 1
        assert talk.history[0] == ("user", "story number 5")


async def test_a_sound_without_words_is_no_turn() -> None:
    async with conversation(sounds=[(0.5, 1.0)], listen_until=4.0) as talk:
        await talk.until(4.0)
        assert talk.states()[-1] == ("turn_empty", "idle")
        assert not talk.language_model.asked


async def test_the_talk_button_ends_a_turn_at_once() -> None:
    async with conversation(sounds=[(0.5, 3.0)], turns=[WHAT_TIME]) as talk:
        await talk.until(2.0)
        talk.say(EndTurn())
        await talk.until(2.01)
        assert talk.participant.frames
        assert talk.logged(TurnClosed)[0].reason == "message"


async def test_a_turn_ends_though_the_microphone_stops_sending() -> None:
    async with conversation(sounds=[(0.5, 1.5)], turns=[WHAT_TIME], listen_until=1.65) as talk:
        await talk.heard_out()
        assert talk.history[0] == ("user", "what time is it")


async def test_a_microphone_that_stops_in_mid_word_is_silent_from_its_last_frame_on() -> None:
    async with conversation(sounds=[(0.5, 9.0)], turns=[WHAT_TIME], listen_until=1.8) as talk:
        await talk.heard_out()
        (ended,) = [message for message in talk.of(StateChanged) if message.event == "speech_ended"]
        assert talk.time_of(ended) == pytest.approx(2.1)
        assert talk.logged(TurnClosed)[0].delay == pytest.approx(SOON, abs=0.032)  # the detector's grid
        assert talk.history[0] == ("user", "what time is it")


async def test_how_long_a_microphone_may_send_nothing_is_a_setting() -> None:
    settings = SessionSettings(segmenter=SegmenterSettings(silent_after=0.8))
    async with conversation(sounds=[(0.5, 9.0)], turns=[WHAT_TIME], listen_until=1.8, settings=settings) as talk:
        await talk.heard_out()
        (ended,) = [message for message in talk.of(StateChanged) if message.event == "speech_ended"]
        assert talk.time_of(ended) == pytest.approx(2.6)


async def test_a_microphone_that_is_muted_in_mid_word_over_a_reply_lets_it_go_on() -> None:
    async with conversation(sounds=[(1.0, 9.0)], listen_until=1.3) as talk:
        talk.say(TextInput("tell me a story " * 5))
        await talk.heard_out()
        (resume,) = talk.of(ResumeAudio)
        assert talk.time_of(resume) == pytest.approx(1.6, abs=0.021)


async def test_the_recogniser_hears_silence_in_place_of_frames_that_did_not_come_and_no_time_twice() -> None:
    slow = SessionSettings(endpointing=EndpointingSettings(delay=3.0, min_delay=3.0, max_delay=3.0))
    sounds, muted = [(0.5, 1.5), (2.5, 3.0)], [(1.2, 2.4)]
    async with conversation(sounds=sounds, muted=muted, turns=[WHAT_TIME], settings=slow) as talk:
        await talk.until(4.01)
        heard = np.frombuffer(bytes(talk.recognizer.heard[0]), np.int16)
        (onset, *_), (*_, last) = np.flatnonzero(heard)[[0, 1]], np.flatnonzero(heard)[[-2, -1]]
        assert last - onset + 1 == 2.5 * 16_000
        assert np.count_nonzero(heard) == (0.7 + 0.5) * 16_000
        assert heard.size == onset + 3.5 * 16_000


async def test_a_process_that_stood_still_does_not_take_late_frames_for_silence() -> None:
    async with conversation(sounds=[(0.5, 3.0)], turns=[WHAT_TIME]) as talk:
        await talk.until(1.5)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.stall(0.6)
        await talk.until(2.9)
        assert not [message for message in talk.of(StateChanged) if message.event == "speech_ended"]
        heard = np.frombuffer(bytes(talk.recognizer.heard[0]), np.int16)
        assert np.all(heard[int(np.argmax(heard != 0)) :] != 0)


async def test_what_comes_after_a_muted_stretch_is_dated_where_it_was_said() -> None:
    sounds, muted = [(0.5, 1.5), (4.5, 5.0)], [(1.2, 4.4)]
    async with conversation(sounds=sounds, muted=muted, turns=[WHAT_TIME, WHAT_TIME]) as talk:
        await talk.heard_out(2)
        heard = np.frombuffer(bytes(talk.recognizer.heard[1]), np.int16)
        assert np.count_nonzero(heard) == 0.5 * 16_000
        assert int(np.argmax(heard != 0)) / 16_000 < 0.4


async def test_a_turn_without_end_is_answered_all_the_same() -> None:
    settings = SessionSettings(limits=LimitSettings(max_turn=5.0))
    async with conversation(sounds=[(0.5, 9.0)], turns=[WHAT_TIME], settings=settings) as talk:
        await talk.until(7.0)
        assert talk.logged(TurnClosed)[0].reason == "limit"
        assert talk.of(ReplyStarted)


async def test_a_recogniser_that_is_full_is_told_and_survived() -> None:
    recognizer = FakeRecognizer(error=CapacityError("Too many turns are waiting."))
    async with conversation(sounds=[(0.5, 1.0), (4.0, 5.0)], recognizer=recognizer, turns=[]) as talk:
        await talk.until(3.0)
        assert talk.of(ErrorMessage)[0].code == "at_capacity"
        recognizer.error = None
        recognizer.turns = [[], WHAT_TIME]
        await talk.heard_out()
        assert talk.history[0] == ("user", "what time is it")


async def test_a_recogniser_that_hangs_is_given_up() -> None:
    settings = SessionSettings(limits=LimitSettings(asr_timeout=1.0))
    recognizer = FakeRecognizer(turns=[WHAT_TIME], hang=True)
    async with conversation(sounds=[(0.5, 1.5)], recognizer=recognizer, settings=settings) as talk:
        await talk.heard_out()
        assert talk.of(ErrorMessage)[0].code == TimedOut.code
        assert talk.history[0] == ("user", "what time is it")  # what had been understood by then


async def test_what_was_typed_while_speaking_takes_the_turn() -> None:
    async with conversation(sounds=[(0.5, 3.0)], turns=[WHAT_TIME]) as talk:
        await talk.until(2.0)
        talk.say(TextInput("never mind"))
        await talk.heard_out()
        assert talk.history[0] == ("user", "what time is it never mind")
        assert talk.of(ReplyEnded)[0].heard_text == "You said: what time is it never mind."


class PatientModel:
    """A turn model that thinks a turn is over after two seconds of it."""

    def probability(self, samples: np.ndarray) -> float:
        return 0.95 if np.count_nonzero(samples) > 1.5 * 16_000 else 0.05


async def test_a_turn_model_that_hears_no_end_keeps_a_complete_sentence_open_a_little_longer() -> None:
    """It is one piece of evidence beside the words: they end the turn later, not never."""
    async with conversation(sounds=[(0.5, 1.5), (1.9, 2.9)], turns=[WHAT_TIME], end_of_turn=PatientModel()) as talk:
        await talk.heard_out()
        (closed,) = talk.logged(TurnClosed)
        assert closed.at == pytest.approx(2.9 + SOON, abs=0.03)


class BrokenModel:
    """A turn model with a bug."""

    def probability(self, samples: np.ndarray) -> float:
        raise ZeroDivisionError


async def test_a_turn_model_that_fails_leaves_the_words_to_decide() -> None:
    async with conversation(sounds=[(0.5, 1.5)], turns=[WHAT_TIME], end_of_turn=BrokenModel()) as talk:
        await talk.heard_out()
        assert talk.logged(TurnClosed)[0].at == pytest.approx(1.504 + SOON, abs=0.01)
