"""Marks of engines that do not say when their words sound: given before they are heard, and all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.audio.frame import FRAME_SAMPLES, AudioFrame, WordMark
from parley.text.speech.spoken import as_written
from parley.values import SynthesizedAudio
from parley.worker.framing import Framer, FramingOptions
from parley.worker.pacing import PacedMarks
from parley.worker.words import words

TEXT = "Hello there, my friend; this is a rather long sentence."
OPTIONS = FramingOptions(loudness=False, trim=False)


def framed(seconds: float, *, options: FramingOptions = OPTIONS, chunk: float = 0.08) -> list[AudioFrame]:
    """The sentence spoken twice by an engine that streams and gives no marks."""
    framer, frames = Framer("u", options), list[AudioFrame]()
    for start in (0, len(TEXT) + 1):
        framer.begin_piece(as_written(TEXT), start)
        samples = np.full(round(seconds * 48_000), 1_000, np.int16)
        for at in range(0, samples.size, round(chunk * 48_000)):
            frames += framer.push(SynthesizedAudio(samples[at : at + round(chunk * 48_000)], 48_000))
        frames += framer.end_piece()
    return frames + framer.finish()


def late(frames: list[AudioFrame]) -> list[int]:
    """By how many frames each mark came after its sound had begun."""
    return [frame.sequence - mark.start_sample // FRAME_SAMPLES for frame in frames for mark in frame.marks]


@pytest.mark.parametrize("seconds", [2.5, 3.5, 5.0])
def test_marks_come_with_the_sound_of_their_words_however_long_the_sentence_is(seconds: float) -> None:
    frames = framed(seconds)
    assert len([mark for frame in frames for mark in frame.marks]) == 2 * len(words(TEXT))
    assert sum(late(frames)[: len(words(TEXT)) - 3]) == 0


def test_from_the_second_sentence_on_the_pace_is_the_voices_own() -> None:
    frames = framed(2.0)
    second = [mark for frame in frames for mark in frame.marks][len(words(TEXT)) :]
    exact = PacedMarks(TEXT, words(TEXT), 96_000, 96_000 / 1).rest(192_000)
    assert max(abs(a.start_sample - b.start_sample) for a, b in zip(second, exact, strict=True)) < FRAME_SAMPLES
    assert late(frames)[len(words(TEXT)) :] == [0] * len(words(TEXT))


def test_marks_that_the_engine_gives_with_its_first_sound_stay_as_they_are() -> None:
    framer = Framer("u", OPTIONS)
    framer.begin_piece(as_written("Hi."), 0)
    frames = framer.push(SynthesizedAudio(np.ones(9_600, np.int16), 48_000, (WordMark(0, 2, 480, 960),)))
    frames += framer.end_piece() + framer.finish()
    assert [mark for frame in frames for mark in frame.marks] == [WordMark(0, 2, 480, 960)]


def test_an_engine_that_says_itself_when_words_sound_is_waited_for() -> None:
    framer = Framer("u", FramingOptions(loudness=False, trim=False, native_marks=True))
    framer.begin_piece(as_written("Hi."), 0)
    frames = framer.push(SynthesizedAudio(np.ones(9_600, np.int16), 48_000))
    assert not any(frame.marks for frame in frames)
    frames += framer.push(SynthesizedAudio(np.ones(9_600, np.int16), 48_000, (WordMark(0, 2, 9_700, 9_800),)))
    frames += framer.end_piece() + framer.finish()
    assert [mark for frame in frames for mark in frame.marks] == [WordMark(0, 2, 9_700, 9_800)]


@given(st.lists(st.integers(0, 200_000), max_size=8), st.floats(100, 20_000), st.integers(0, 400_000))
def test_each_word_has_one_mark_in_order_and_within_itself(looks: list[int], pace: float, end: int) -> None:
    paced = PacedMarks(TEXT, words(TEXT), 0, pace)
    marks = [mark for look in sorted(looks) for mark in paced.due(look)] + list(paced.rest(end))
    assert [(mark.text_start, mark.text_end) for mark in marks] == words(TEXT)
    assert all(mark.start_sample <= mark.end_sample for mark in marks)
