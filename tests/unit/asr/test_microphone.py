"""What the embedded recogniser keeps of a session's microphone: as the library does that hears it turn after turn."""

import pytest

from parley.asr.pocketsphinx import Microphone


def told(given: float, heard: float, frames: int) -> str:
    """What the library says after a turn of so many frames with this mean, begun with what it was given."""
    return str((500 * given + frames * heard) / (500 + frames))


def test_turns_count_as_if_they_were_heard_one_after_the_other() -> None:
    microphone = Microphone().after(told(40, 60, 150), 150)
    microphone = microphone.after(told(microphone.mean[0], 50, 140), 140)
    assert microphone.frames == 790
    assert microphone.mean[0] == pytest.approx((500 * 40 + 150 * 60 + 140 * 50) / 790, abs=0.001)


def test_what_is_long_ago_counts_less() -> None:
    microphone = Microphone((40.0,))
    for _ in range(20):
        microphone = microphone.after(told(microphone.mean[0], 60, 200), 200)
        assert microphone.frames <= 800
    assert microphone.mean[0] == pytest.approx(60, abs=0.2)


def test_a_turn_without_sound_teaches_nothing() -> None:
    assert Microphone((40.0,), 600).after("40.0", 0) == Microphone((40.0,), 600)


def test_it_travels_as_a_text() -> None:
    known = Microphone((40.25, -3.5), 600)
    assert Microphone.unpack(known.pack()) == known
    assert Microphone.unpack("") == Microphone()
    assert known.estimate == "40.25,-3.5"
