from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley import clock
from parley.audio.frame import AudioFrame
from parley.errors import EngineError
from parley.messages import (
    BargeInDecided,
    ClearAudio,
    EndTurn,
    Interrupt,
    PauseAudio,
    ReplyEnded,
    ResumeAudio,
    SayDelta,
    SayEnd,
    StartSession,
    TextInput,
    TranscriptUpdate,
)
from parley.session.log import Decided, LogEntry, Resumed, Silenced, Starved, Transition
from parley.session.settings import BargeInSettings, SessionSettings
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import FakeLanguageModel, FakeSynthesizer, fake_marks, fake_speech
from parley.testing.virtual_time import run_virtual

pytestmark = pytest.mark.anyio

STORY = "Once upon a time there was a king who had three daughters and no patience."
TRUSTING = SessionSettings(barge_in=BargeInSettings(trust_words="all"))
KEEP_ALL = SessionSettings(barge_in=BargeInSettings(ending=0.0))


def storyteller(**kind: float) -> FakeLanguageModel:
    return FakeLanguageModel(answer=lambda _: STORY, **kind)  # type: ignore[arg-type]


async def test_the_reply_is_silent_in_the_very_frame_that_brings_the_evidence() -> None:
    async with conversation(sounds=[(1.0, 1.3)], language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(1.019)
        assert not talk.of(PauseAudio)
        await talk.until(1.021)
        (pause,) = talk.of(PauseAudio)
        # The first 20 ms of speech arrive at 1.02 s; they hold the first scores.
        assert talk.time_of(pause) == pytest.approx(1.02)
        assert talk.participant.ear.silent
        assert talk.participant.ear.position().sample == pytest.approx(1.02 * 48_000, abs=1)


async def test_it_is_told_how_long_a_voice_took_to_silence_the_reply_and_how_long_it_was_silent() -> None:
    async with conversation(sounds=[(1.0, 1.3)], turns=[[(0.4, "mhm")]], language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(3.0)
        (silenced,), (resumed,) = talk.logged(Silenced), talk.logged(Resumed)
        assert silenced.since_onset == pytest.approx(0.02)
        assert resumed.gap == pytest.approx(resumed.at - silenced.at)
        assert not talk.logged(Starved)


async def test_a_voice_that_falls_behind_is_told_of_with_the_silence_that_was_heard() -> None:
    voice = FakeSynthesizer(pace=0.03)
    async with conversation(language_model=storyteller(), synthesizer=voice) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.heard_out()
        silence = sum(starved.gap for starved in talk.logged(Starved))
        sound = len(talk.participant.frames) * 0.02
        assert silence == pytest.approx(0.5 * sound, abs=0.1)


async def test_nothing_is_asked_of_the_voice_or_the_model_while_the_reply_is_on_hold() -> None:
    model, voice = FakeLanguageModel(answer=lambda _: "One two. " * 30, delta=0.15), FakeSynthesizer()
    async with conversation(sounds=[(1.0, 1.6)], language_model=model, synthesizer=voice) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(1.05)
        made, taken = voice.spoken[0].made, model.taken
        await talk.until(1.6)
        assert voice.spoken[0].pauses == 1
        assert voice.spoken[0].made <= made + 1
        assert len(talk.participant.frames) <= made
        assert model.taken <= taken + 3  # up to the end of the clause in hand


async def test_a_nod_lets_the_reply_go_on_soon_and_stands_in_the_transcript() -> None:
    async with conversation(sounds=[(1.0, 1.3)], turns=[[(0.4, "mhm")]], language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.heard_out()
        assert [event for event, _ in talk.states()][2:5] == ["evidence_found", "speech_ended", "reply_kept"]
        (resume,) = talk.of(ResumeAudio)
        assert talk.time_of(resume) - 1.3 < 0.25
        assert talk.participant.ear.pcm("u1") == fake_speech(STORY)
        assert talk.of(BargeInDecided)[0].outcome == "backchannel"
        assert [update.text for update in talk.of(TranscriptUpdate) if update.backchannel] == ["mhm"]
        assert talk.history == [("user", "tell me a story"), ("assistant", STORY)]


async def test_a_click_is_forgotten_at_once() -> None:
    async with conversation(sounds=[(1.0, 1.01)], language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.heard_out()
        (decided,) = talk.logged(Decided)
        assert decided.outcome == "noise"
        assert decided.held < 0.16


async def test_a_first_sign_that_was_taken_back_does_not_make_the_next_one_late() -> None:
    # A hiss of 20 ms, then a soft voice: its scores would not do for the first beginning while nothing sounds.
    async with conversation(sounds=[(1.0, 1.02, 0.3), (1.2, 2.0, 0.4)], language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(2.0)
        first, second = talk.of(PauseAudio)
        assert talk.time_of(first) == pytest.approx(1.02)
        assert talk.of(BargeInDecided)[0].outcome == "noise"
        assert talk.time_of(second) == pytest.approx(1.22)


async def test_a_quiet_sound_that_becomes_loud_is_evidence_again() -> None:
    near = SessionSettings(barge_in=BargeInSettings(usual_level_dbfs=-4.0))
    async with conversation(sounds=[(1.0, 1.3, 0.6), (1.3, 2.0)], language_model=storyteller(), settings=near) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(2.0)
        _, second = talk.of(PauseAudio)
        assert talk.of(BargeInDecided)[0].outcome == "noise"
        assert talk.time_of(second) == pytest.approx(1.32, abs=0.021)


async def test_speech_takes_the_floor_and_the_history_keeps_what_was_heard() -> None:
    turns = [[(0.8, "wait"), (1.2, "wait what king")]]
    async with conversation(sounds=[(1.0, 2.4)], turns=turns, language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.heard_out(2)
        ended = talk.of(ReplyEnded)[0]
        assert (ended.outcome, ended.heard_text) == ("interrupted", "Once upon a time")
        assert ended.heard_sample == pytest.approx(1.02 * 48_000, abs=1)
        assert talk.history == [
            ("user", "tell me a story"),
            ("assistant", "Once upon a time"),
            ("user", "wait what king"),
            ("assistant", STORY),
        ]
        assert talk.language_model.asked[-1][-1].text == "wait what king"


async def test_the_recogniser_hears_the_interruption_from_before_its_first_sound() -> None:
    async with conversation(sounds=[(1.0, 2.4)], language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(3.0)
        heard = np.frombuffer(bytes(talk.recognizer.heard[0]), np.int16)
        onset = int(np.argmax(heard != 0)) / 16_000
        assert 0.25 < onset < 0.4
        assert np.count_nonzero(heard) == round(1.4 * 16_000)


async def test_stop_takes_the_floor_though_it_was_understood_only_after_the_reply_went_on() -> None:
    async with conversation(sounds=[(1.0, 1.3)], turns=[[(9.0, "stop")]], language_model=storyteller()) as talk:
        talk.recognizer.latency = 0.3
        talk.say(TextInput("tell me a story"))
        await talk.until(2.5)
        events = [event for event, _ in talk.states()]
        assert events[2:6] == ["evidence_found", "speech_ended", "reply_kept", "floor_taken"]
        assert talk.of(ReplyEnded)[0].outcome == "interrupted"
        await talk.heard_out(2)
        assert talk.history[2] == ("user", "stop")


async def test_a_question_understood_only_after_the_reply_had_ended_is_answered() -> None:
    end = len(STORY) * 0.06
    turns = [[(9.0, "which king")]]
    async with conversation(
        sounds=[(end - 0.9, end - 0.6)], turns=turns, language_model=storyteller(), settings=TRUSTING
    ) as talk:
        talk.recognizer.latency = 2.0
        talk.say(TextInput("tell me a story"))
        await talk.heard_out(2)
        assert talk.participant.ear.pcm("u1") == fake_speech(STORY)
        assert talk.history[2] == ("user", "which king")


async def test_whoever_is_taken_for_a_noise_and_goes_on_gets_the_floor() -> None:
    sounds = [(1.0, 1.05), (1.45, 2.6)]
    async with conversation(sounds=sounds, turns=[[], [(1.0, "not that")]], language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(3.0)
        assert [decided.outcome for decided in talk.logged(Decided)] == ["noise", "take_floor"]


async def test_barge_in_can_be_switched_off_and_what_was_said_meanwhile_waits() -> None:
    start = StartSession(settings={"barge_in.enabled": False})
    async with conversation(sounds=[(1.0, 5.5)], start=start, language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.heard_out()
        assert talk.participant.ear.pcm("u1") == fake_speech(STORY)
        assert not talk.of(PauseAudio)
        assert talk.states()[-1] == ("speech_started", "listening")


class Room:
    """An echo guard that knows at what times only the agent sounds."""

    def __init__(self, likelihood: float) -> None:
        self.value = likelihood
        self.frames = 0

    def played(self, frame: AudioFrame, at: float) -> None:
        self.frames += 1

    def clean(self, samples: np.ndarray, at: float) -> np.ndarray:
        return samples

    def likelihood(self) -> float:
        return self.value


async def test_the_agent_does_not_interrupt_itself() -> None:
    room = Room(0.9)
    async with conversation(sounds=[(0.5, 3.0)], echo=room, language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.heard_out()
        assert not talk.of(PauseAudio)
        assert room.frames == len(talk.participant.frames)


async def test_the_interrupt_button_needs_no_evidence() -> None:
    async with conversation(language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(1.0)
        talk.say(Interrupt())
        await talk.until(1.001)
        assert talk.participant.ear.silent
        assert talk.of(ReplyEnded)[0].heard_text == "Once upon a time"
        assert talk.states()[-1] == ("interrupted", "idle")


async def test_a_typed_turn_interrupts_and_is_answered() -> None:
    async with conversation(language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(1.0)
        talk.say(TextInput("another one"))
        await talk.heard_out(2)
        assert [role for role, _ in talk.history] == ["user", "assistant", "user", "assistant"]
        assert talk.history[1][1] == "Once upon a time"


async def test_releasing_the_talk_button_over_a_held_reply_takes_the_floor() -> None:
    async with conversation(sounds=[(1.0, 1.5)], turns=[[(0.5, "more")]], language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(1.45)
        talk.say(EndTurn())
        await talk.heard_out(2)
        assert talk.history[2] == ("user", "more")


async def test_a_client_that_reports_is_believed_to_the_sample() -> None:
    async with conversation(reports=True, delay=0.08, language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(1.0)
        talk.say(Interrupt())
        await talk.until(1.2)
        (ended,) = talk.of(ReplyEnded)
        assert talk.participant.ear.stretches[-1].end_sample == ended.heard_sample


async def test_a_client_that_never_answers_a_clear_is_not_waited_for() -> None:
    start = StartSession(playout_reports=True)
    async with conversation(start=start, delay=0.08, language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(1.0)
        talk.say(Interrupt())
        await talk.until(1.4)
        assert talk.of(ReplyEnded)[0].outcome == "interrupted"


async def test_a_voice_that_is_lost_while_the_reply_is_on_hold_gives_the_floor_away() -> None:
    async with conversation(sounds=[(1.0, 2.2)], turns=[[(9.0, "hello")]], language_model=storyteller()) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(1.1)
        talk.engine._replies.reply_failed(talk.engine._replies.current, EngineError("gone"))  # type: ignore[arg-type]
        await talk.until(1.2)
        assert talk.states()[-1] == ("reply_failed", "listening")
        assert talk.of(ClearAudio)
        await talk.heard_out(2)
        assert talk.history[2] == ("user", "hello")


async def test_what_is_sent_at_the_moment_of_a_cut_arrives_behind_it_on_a_slow_line() -> None:
    async with conversation(delay=0.08) as talk:
        for number in range(5):
            talk.say(TextInput(f"question {number}"))
            await talk.until(0.6 * (number + 1))
        await talk.heard_out(5)
        for utterance, start, _ in talk.participant.heard():
            assert talk.participant.ear.pcm(utterance)[:4] == fake_speech("You said: question")[:4], (utterance, start)


# --- at any interleaving ------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.05, 4.4), min_size=1, max_size=4))
def test_pause_and_resume_lose_no_sample_and_repeat_none_wherever_they_fall(nods: list[float]) -> None:
    sounds: list[tuple[float, float]] = []
    for at in sorted(nods):
        begin = max(at, sounds[-1][1] + 0.5) if sounds else at
        sounds.append((begin, begin + 0.2))

    async def main() -> None:
        async with conversation(sounds=sounds, language_model=storyteller(), settings=KEEP_ALL) as talk:
            talk.say(TextInput("tell me a story"))
            await talk.heard_out()
            assert talk.participant.ear.pcm("u1") == fake_speech(STORY)
            assert talk.of(PauseAudio)
            assert talk.history[1] == ("assistant", STORY)

    run_virtual(main())


@settings(max_examples=15, deadline=None)
@given(st.floats(0.001, 0.199), st.floats(0.001, 0.199))
def test_a_pause_in_the_last_200_ms_loses_nothing_either(before_end: float, length: float) -> None:
    begin = len(STORY) * 0.06 - before_end

    async def main() -> None:
        sounds = [(begin, begin + length)]
        async with conversation(sounds=sounds, language_model=storyteller(), settings=KEEP_ALL) as talk:
            talk.say(TextInput("tell me a story"))
            await talk.heard_out()
            assert talk.participant.ear.pcm("u1") == fake_speech(STORY)

    run_virtual(main())


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 4.6))
def test_the_history_holds_the_words_that_were_heard_and_no_others(cut: float) -> None:
    async def main() -> None:
        async with conversation(language_model=storyteller()) as talk:
            talk.say(TextInput("tell me a story"))
            await talk.until(cut)
            talk.say(Interrupt())
            await talk.until(cut + 0.5)
            samples = len(talk.participant.ear.pcm("u1")) // 2
            heard = [mark for mark in fake_marks(STORY) if 2 * samples > mark.start_sample + mark.end_sample]
            expected = STORY[: heard[-1].text_end] if heard else ""
            said = dict(talk.history).get("assistant", "")
            assert said.rstrip(".") == expected.rstrip(".")

    run_virtual(main())


deeds = st.sampled_from(
    [TextInput("tell me more"), Interrupt(), EndTurn(), SayDelta("Something else. "), SayEnd(), TextInput("stop")]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 0.7), deeds), max_size=12),
    st.lists(st.tuples(st.floats(0.1, 1.5), st.floats(0.01, 1.2)), max_size=4),
    st.sampled_from([0.0, 0.013]),
    st.booleans(),
)
def test_after_a_cancel_no_frame_of_the_old_reply_is_sent_at_any_interleaving(
    script: list[tuple[float, object]], noises: list[tuple[float, float]], pace: float, reports: bool
) -> None:
    sounds, at = [], 0.0
    for gap, length in noises:
        sounds.append((at + gap, at + gap + length))
        at += gap + length
    turns = [[(0.5, "tell me"), (0.8, "tell me that again")]] * 9

    async def main() -> None:
        async with conversation(
            sounds=sounds,
            turns=turns,
            language_model=storyteller(delta=pace),
            synthesizer=FakeSynthesizer(latency=pace, pace=pace),
            reports=reports,
        ) as talk:
            watch = Generations(talk)
            talk.log.watch = watch.logged
            for wait, deed in script:
                await asyncio.sleep(wait)
                talk.say(deed)  # type: ignore[arg-type]
            await asyncio.sleep(3.0)
            watch.check()
            for ended in talk.of(ReplyEnded):
                pcm = talk.participant.ear.pcm(ended.utterance_id)
                assert len(pcm) // 2 == ended.heard_sample
                assert fake_speech(ended.text)[: len(pcm)] == pcm

    run_virtual(main())


class Generations:
    """Notes how many frames of each reply had been sent when it was given up."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._given_up: dict[str, int] = {}

    def logged(self, entry: LogEntry) -> None:
        if isinstance(entry, Transition) and entry.event in ("floor_taken", "interrupted", "text_typed"):
            for utterance in {frame.utterance_id for _, frame in self._talk.participant.frames}:
                current = self._talk.engine._replies.current
                if current is None or current.utterance_id != utterance:
                    self._given_up.setdefault(utterance, self._sent(utterance))

    def _sent(self, utterance: str) -> int:
        return sum(frame.utterance_id == utterance for _, frame in self._talk.participant.frames)

    def check(self) -> None:
        assert {utterance: self._sent(utterance) for utterance in self._given_up} == self._given_up


class Overheard:
    """An interruption model that is always of one opinion, and notes what it is told."""

    def __init__(self, wish: float | None) -> None:
        self._wish = wish
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.heard: list[float] = []
        self.played_at: list[float] = []

    def begin(self) -> None:
        self.begun.append(clock.now())

    def end(self) -> None:
        self.ended.append(clock.now())

    def played(self, frame: AudioFrame, at: float) -> None:
        self.played_at.append(at)

    def hear(self, samples: np.ndarray, now: float) -> None:
        self.heard.append(now)

    def wish(self) -> float | None:
        return self._wish


@pytest.mark.parametrize(("wish", "outcome"), [(None, "backchannel"), (0.02, "backchannel"), (0.98, "take_floor")])
async def test_a_wish_that_a_model_hears_takes_the_floor_before_words_could(wish: float | None, outcome: str) -> None:
    async with conversation(
        sounds=[(1.0, 1.7)], language_model=storyteller(), interruption=Overheard(wish), settings=KEEP_ALL
    ) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(3.0)
        assert [decided.outcome for decided in talk.logged(Decided)] == [outcome]


async def test_a_model_of_interruptions_hears_while_a_reply_sounds_and_never_else() -> None:
    model = Overheard(0.5)
    async with conversation(sounds=[(0.2, 0.9)], turns=[[(0.3, "tell me")]], language_model=storyteller(),
                            interruption=model, listen_until=9.0) as talk:  # fmt: skip
        await talk.heard_out()
        await talk.until(9.0)
        (begun,), (ended,) = model.begun, model.ended
        assert begun < model.heard[0] < model.heard[-1] <= ended + 0.02
        # Its first frame may be told of in the moment before.
        assert begun - 0.02 <= model.played_at[0] < model.played_at[-1] <= ended + 0.02
        assert len(model.played_at) == len(talk.participant.frames)


class DeafModel(Overheard):
    """One with a bug."""

    def hear(self, samples: np.ndarray, now: float) -> None:
        raise ZeroDivisionError


async def test_a_model_of_interruptions_that_fails_leaves_the_words_to_decide() -> None:
    async with conversation(
        sounds=[(1.0, 1.7)], language_model=storyteller(), interruption=DeafModel(0.98), settings=KEEP_ALL
    ) as talk:
        talk.say(TextInput("tell me a story"))
        await talk.until(3.0)
        assert [decided.outcome for decided in talk.logged(Decided)] == ["backchannel"]
