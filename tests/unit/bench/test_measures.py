"""How benchmarks judge what they heard."""

from __future__ import annotations

import numpy as np
import pytest

from parley.bench import speech
from parley.bench.heard_words import WORDS, bursts, count_words
from parley.bench.load import frame, timing
from parley.bench.pause_resume import difference
from parley.client.playout import Heard
from parley.testing.echo_host import ramp


def piece(start: int, count: int) -> Heard:
    return Heard(0.0, 1, start, ramp(start, count))


REFERENCE = [piece(0, 960), piece(960, 960)]


def test_the_same_samples_in_other_pieces_do_not_differ() -> None:
    assert difference(REFERENCE, [piece(0, 300), piece(300, 1000), piece(1300, 620)]) == 0


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        ([piece(0, 960)], 960),
        ([piece(0, 1920), piece(900, 100)], 100),
        ([piece(0, 2000)], 80),
        ([Heard(0.0, 1, 0, bytes(2 * 1920))], 1920),
        ([], 1920),
    ],
)
def test_what_is_lost_repeated_added_or_altered_is_counted(heard: list[Heard], wrong: int) -> None:
    assert difference(REFERENCE, heard) == wrong


def test_words_are_counted_in_the_sound() -> None:
    said = speech.say(", ".join(WORDS) + ".")
    whole = bursts(said)
    assert len(whole) == count_words(said, whole) == len(WORDS)
    assert count_words(said[: len(said) // 2], whole) == pytest.approx(len(WORDS) / 2, abs=1)
    assert count_words(said[:0], whole) == 0
    assert count_words(np.zeros(48_000, np.int16), whole) == 0


def test_a_word_counts_when_more_than_half_of_its_sound_is_there() -> None:
    loud, silence = np.full(24_000, 9_000, np.int16), np.zeros(9_600, np.int16)
    said = np.concatenate([loud, silence, loud, silence])
    whole = bursts(said)
    assert whole == [0.5, 0.5]
    assert [count_words(said[:end], whole) for end in (11_000, 13_000, 33_000, 44_000, 47_000, 60_000)] == [
        0, 1, 1, 1, 2, 2,
    ]  # fmt: skip


def test_frames_at_their_time_have_neither_jitter_nor_lateness() -> None:
    jitter, late = timing([(0.02 * index, 1, 0.02) for index in range(50)], 0, 10)
    assert max(jitter) == pytest.approx(0, abs=1e-6)
    assert max(late) == pytest.approx(0, abs=1e-6)


def test_a_stall_counts_once_and_a_new_reply_starts_anew() -> None:
    arrivals = [(0.0, 1, 0.02), (0.05, 1, 0.02), (0.07, 1, 0.02), (5.0, 2, 0.02), (5.02, 2, 0.02)]
    jitter, late = timing(arrivals, 0, 10)
    assert jitter == pytest.approx([30, 0, 0])
    assert late == pytest.approx([30, 0, 0], abs=1e-6)


def test_what_comes_in_longer_pieces_and_ahead_of_its_time_is_not_late() -> None:
    arrivals = [(0.0, 1, 0.02), (0.01, 1, 0.06), (0.07, 1, 0.06), (0.2, 1, 0.06)]
    jitter, late = timing(arrivals, 0, 10)
    assert jitter == pytest.approx([10, 0, 70])
    assert late == pytest.approx([0, 0, 60])


@pytest.mark.parametrize("size", [0, 125, 126, 70_000])
def test_the_load_clients_frames_are_masked_and_sized(size: int) -> None:
    if size > 0xFFFF:
        with pytest.raises(ValueError):
            frame(2, bytes(size))
        return
    data = frame(2, b"x" * size)
    assert data[0] == 0x82
    assert data[1] & 0x80
    assert data.endswith(b"\0\0\0\0" + b"x" * size)
