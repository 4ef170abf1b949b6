"""The test tones: what benchmarks rely on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parley.values import Voice
from parley.worker.adapters.tone import AMPLITUDE, ToneAdapter, decode_words, word_code
from parley.worker.voicepacks import VoicePackCatalog

NUMBERS = [f"{n}" for n in range(100, 160)]


def speak(model: str, text: str, speed: float = 1.0) -> NDArray[np.int16]:
    adapter = VoicePackCatalog().create(model)
    assert isinstance(adapter, ToneAdapter)
    adapter.load()
    return np.concatenate([audio.samples for audio in adapter.synthesize(text, voice=Voice(speed=speed))])


def test_the_tone_is_a_sine_of_440_hz_without_clicks() -> None:
    samples = speak("tone", "Hello there you.").astype(float)
    expected = AMPLITUDE * 32_767 * np.sin(2 * np.pi * 440 * np.arange(samples.size) / 48_000)
    assert np.abs(samples - expected).max() <= 1


def test_the_same_text_gives_the_same_samples() -> None:
    assert np.array_equal(speak("tone-words", "one two"), speak("tone-words", "one two"))


def test_marks_cover_the_audio_word_by_word() -> None:
    adapter = VoicePackCatalog().create("tone")
    adapter.load()
    audio = list(adapter.synthesize("Hello, you there.", voice=Voice()))
    marks = [mark for stretch in audio for mark in stretch.marks]
    assert [(mark.text_start, mark.text_end) for mark in marks] == [(0, 5), (7, 10), (11, 16)]
    assert [mark.start_sample for mark in marks[1:]] == [mark.end_sample for mark in marks[:-1]]
    assert marks[-1].end_sample == sum(stretch.samples.size for stretch in audio)


def test_a_faster_voice_is_shorter() -> None:
    assert speak("tone", "extraordinarily", 2.0).size == speak("tone", "extraordinarily").size / 2


def test_a_recording_of_words_can_be_read_back() -> None:
    heard = decode_words(speak("tone-words", " ".join(NUMBERS)), NUMBERS)
    assert [word.text for word in heard] == NUMBERS


def test_a_lost_and_a_repeated_word_are_seen() -> None:
    samples = speak("tone-words", "101 102 103 104")
    slot = samples.size // 4
    cut = np.concatenate([samples[:slot], samples[2 * slot :], samples[3 * slot :]])
    assert [word.code for word in decode_words(cut)] == [101, 103, 104, 104]


def test_words_keep_their_code_whatever_their_case() -> None:
    assert word_code("Hello") == word_code("hello")
