"""The pipeline from engine output to frames."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES, AudioFrame, WordMark
from parley.audio.levels import samples_of
from parley.text.speech.spoken import as_written
from parley.values import SynthesizedAudio
from parley.worker.framing import KEPT_SILENCE, Framer, FramingOptions

PLAIN = FramingOptions(loudness=False, trim=False)


def noise(samples: int, level: float = 0.1) -> NDArray[np.float32]:
    return (level * np.random.default_rng(1).standard_normal(samples)).astype(np.float32)


def frames_of(
    audio: list[SynthesizedAudio], options: FramingOptions = PLAIN, text: str = "Hello you.", start: int = 0
) -> list[AudioFrame]:
    framer = Framer("u", options)
    framer.begin_piece(as_written(text), start)
    frames = [frame for stretch in audio for frame in framer.push(stretch)]
    return [*frames, *framer.end_piece(), *framer.finish()]


def pcm(frames: list[AudioFrame]) -> NDArray[np.int16]:
    return samples_of(b"".join(frame.pcm for frame in frames))


def test_every_frame_has_20_ms_and_the_last_is_padded_and_final() -> None:
    frames = frames_of([SynthesizedAudio(noise(2_500), 48_000)])
    assert [len(frame.pcm) for frame in frames] == [FRAME_BYTES] * 3
    assert [frame.final for frame in frames] == [False, False, True]
    assert not pcm(frames)[2_500:].any()


def test_frames_are_numbered_without_gaps_and_know_their_place() -> None:
    frames = frames_of([SynthesizedAudio(noise(9_000), 48_000)])
    assert [frame.sequence for frame in frames] == list(range(10))
    assert [frame.start_sample for frame in frames] == [i * FRAME_SAMPLES for i in range(10)]


def test_audio_that_fills_its_frames_ends_with_a_silent_one() -> None:
    frames = frames_of([SynthesizedAudio(noise(1_920), 48_000)])
    assert len(frames) == 3
    assert not any(frames[-1].pcm)


def test_an_utterance_without_audio_is_one_silent_final_frame() -> None:
    (frame,) = frames_of([])
    assert frame.final
    assert frame.pcm == bytes(FRAME_BYTES)


def test_s16_at_48_khz_passes_through_untouched() -> None:
    samples = np.arange(1_000, dtype=np.int16)
    assert np.array_equal(pcm(frames_of([SynthesizedAudio(samples, 48_000)]))[:1_000], samples)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100])
def test_any_rate_keeps_its_length_at_48_khz(rate: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32) * 0.5
    heard = pcm(frames_of([SynthesizedAudio(tone[i : i + 700], rate) for i in range(0, rate, 700)])).astype(float)
    assert abs(int(np.flatnonzero(heard)[-1]) - 48_000) < 960
    spectrum = np.abs(np.fft.rfft(heard[:48_000]))
    assert int(spectrum.argmax()) == 440


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 22_050), max_size=12))
def test_how_the_engine_cut_its_audio_changes_no_byte(cuts: list[int]) -> None:
    speech = np.concatenate([np.zeros(3_000, np.float32), noise(19_050, 0.02)])
    edges = sorted({0, 22_050, *cuts})
    pieces = [SynthesizedAudio(speech[a:b], 22_050) for a, b in pairwise(edges)]
    whole = frames_of([SynthesizedAudio(speech, 22_050)], FramingOptions())
    assert [frame.pcm for frame in frames_of(pieces, FramingOptions())] == [frame.pcm for frame in whole]


def test_silence_in_front_is_cut_to_10_ms_and_marks_move_with_it() -> None:
    speech = np.concatenate([np.zeros(12_000, np.float32), noise(4_800)])
    mark = WordMark(0, 5, 12_000, 16_800)
    frames = frames_of([SynthesizedAudio(speech, 48_000, (mark,))], FramingOptions(loudness=False))
    heard = pcm(frames)
    assert abs(int(np.flatnonzero(np.abs(heard) > 60)[0]) - KEPT_SILENCE) < 20
    (moved,) = [mark for frame in frames for mark in frame.marks]
    assert abs(moved.start_sample - KEPT_SILENCE) < 20
    assert moved.end_sample - moved.start_sample == 4_800


def test_a_long_silence_is_meant() -> None:
    speech = np.concatenate([np.zeros(200_000, np.float32), noise(4_800)])
    frames = frames_of(
        [SynthesizedAudio(speech[i : i + 9_600], 48_000) for i in range(0, 204_800, 9_600)], FramingOptions()
    )
    assert len(frames) > 150


def test_silence_inside_an_utterance_stays() -> None:
    framer = Framer("u", FramingOptions(loudness=False))
    framer.begin_piece(as_written("One."), 0)
    count = len(framer.push(SynthesizedAudio(noise(9_600), 48_000)) + framer.end_piece())
    framer.begin_piece(as_written("Two."), 5)
    count += len(framer.push(SynthesizedAudio(np.zeros(9_600, np.float32), 48_000)) + framer.end_piece())
    assert count == 20


@pytest.mark.parametrize(("first", "pause"), [("One. ", 0.25), ("One, ", 0.1)])
def test_a_voice_rests_longer_behind_a_sentence_than_behind_a_clause(first: str, pause: float) -> None:
    framer = Framer("u", FramingOptions(loudness=False, trim=False, sentence_pause=0.25, lead_out=0.1))
    framer.begin_piece(as_written(first), 0)
    frames = framer.push(SynthesizedAudio(noise(9_600), 48_000)) + framer.end_piece()
    framer.begin_piece(as_written("Two."), 5)
    frames += framer.push(SynthesizedAudio(noise(9_600), 48_000, (WordMark(0, 3, 0, 9_600),))) + framer.end_piece()
    frames += framer.finish()
    rest = round(pause * 48_000)
    marks = [mark for frame in frames for mark in frame.marks]
    assert not pcm(frames)[9_600 : 9_600 + rest].any()
    assert marks[-1].start_sample == 9_600 + rest
    assert -(-(9_600 + rest + 9_600 + 4_800) // FRAME_SAMPLES) in (len(frames), len(frames) - 1)


def test_an_utterance_does_not_begin_with_a_rest() -> None:
    framer = Framer("u", FramingOptions(loudness=False, trim=False, sentence_pause=0.25))
    framer.begin_piece(as_written("One."), 0)
    framer.end_piece()
    framer.begin_piece(as_written("Two."), 5)
    assert pcm(framer.push(SynthesizedAudio(noise(9_600), 48_000)))[:10].any()


def test_native_marks_of_later_pieces_are_moved_to_the_utterance() -> None:
    framer = Framer("u", PLAIN)
    framer.begin_piece(as_written("One."), 0)
    framer.push(SynthesizedAudio(noise(1_500), 24_000, (WordMark(0, 3, 0, 1_500),)))
    framer.end_piece()
    framer.begin_piece(as_written("Two."), 5)
    frames = framer.push(SynthesizedAudio(noise(1_500), 24_000, (WordMark(0, 3, 100, 1_500),)))
    marks = [mark for frame in [*frames, *framer.end_piece(), *framer.finish()] for mark in frame.marks]
    assert marks[-1] == WordMark(5, 8, 3_200, 6_000)


def test_for_an_engine_without_marks_they_are_worked_out() -> None:
    frames = frames_of([SynthesizedAudio(noise(48_000), 48_000)], text="Hello you.", start=10)
    marks = [mark for frame in frames for mark in frame.marks]
    assert [(mark.text_start, mark.text_end) for mark in marks] == [(10, 15), (16, 19)]
    assert marks[0].start_sample == 0
    assert marks[0].end_sample == marks[1].start_sample


def test_marks_come_no_later_than_the_frame_of_their_word() -> None:
    marks = tuple(WordMark(i, i + 1, i * 3_000, i * 3_000 + 3_000) for i in range(8))
    for frame in frames_of([SynthesizedAudio(noise(24_000), 48_000, marks)]):
        for mark in frame.marks:
            assert frame.start_sample <= mark.start_sample < frame.end_sample


@pytest.mark.parametrize("level", [0.01, 0.05, 0.4])
def test_quiet_and_loud_voices_come_out_alike(level: float) -> None:
    from parley.audio.loudness import gain_to, loudness

    speech: NDArray[Any] = noise(96_000, level)
    options = FramingOptions(initial_gain_db=gain_to(speech, 48_000))
    heard = pcm(frames_of([SynthesizedAudio(speech, 48_000)], options))
    assert abs(loudness(heard[:96_000], 48_000) + 16) < 1.5


def test_loud_peaks_are_turned_down_and_nothing_of_the_sound_is_lost() -> None:
    loud = noise(20_000, 0.9)
    whole = pcm(frames_of([SynthesizedAudio(loud, 48_000)], FramingOptions(trim=False)))
    cut = [SynthesizedAudio(loud[i : i + 333], 48_000) for i in range(0, 20_000, 333)]
    assert np.abs(whole).max() <= round(32_768 * 10 ** (-1 / 20))
    assert np.flatnonzero(whole)[-1] >= 19_990
    assert np.array_equal(whole, pcm(frames_of(cut, FramingOptions(trim=False))))
