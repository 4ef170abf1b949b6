"""Whether a microphone hears somebody."""

from __future__ import annotations

import numpy as np
import pytest

from parley.bench.speech import mix, noise, say, speakers
from parley.client.hearing import Hearing, Verdict, level_db

BLOCK = 480


def judged(samples: np.ndarray) -> Verdict:
    hearing = Hearing()
    for start in range(0, len(samples) - BLOCK + 1, BLOCK):
        hearing.take(samples[start : start + BLOCK].tobytes())
    return hearing.verdict


def two_seconds(speech: np.ndarray, at: float = 0.4) -> np.ndarray:
    track = np.zeros(96_000, np.int16)
    start = int(at * 48_000)
    part = speech[: len(track) - start]
    track[start : start + len(part)] = part
    return track


@pytest.mark.parametrize("room", [-70.0, -55.0])
def test_somebody_who_speaks_is_heard_over_a_room(room: float) -> None:
    speech = two_seconds(say("hello can you hear me", speakers()[0]))
    assert judged(mix(speech, noise(len(speech), room, 7))) == "heard"


def test_a_room_without_anybody_is_no_voice_however_loud() -> None:
    assert [judged(noise(96_000, level, 7)) for level in (-70.0, -40.0, -20.0)] == ["faint"] * 3


def test_a_knock_on_the_table_is_no_voice() -> None:
    knock = np.zeros(96_000, np.int16)
    knock[40_000:44_000] = 20_000
    assert judged(mix(knock, noise(len(knock), -65.0, 7))) == "faint"


def test_digital_silence_and_no_sound_at_all_are_nothing() -> None:
    assert judged(np.zeros(96_000, np.int16)) == "nothing"
    assert Hearing().verdict == "nothing"


def test_levels_are_below_full_scale() -> None:
    assert level_db(np.full(BLOCK, 32767, np.int16).tobytes()) == pytest.approx(0, abs=0.01)
    assert level_db(np.full(BLOCK, 3277, np.int16).tobytes()) == pytest.approx(-20, abs=0.01)
    assert (level_db(b""), level_db(bytes(960))) == (-100.0, -100.0)
