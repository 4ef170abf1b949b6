"""The first loud sample after a silence."""

from __future__ import annotations

import numpy as np

from parley.transports.onset import AUDIBLE, OnsetFinder


def frame(*loud: int) -> bytes:
    samples = np.zeros(960, "<i2")
    samples[list(loud)] = AUDIBLE + 1
    return samples.tobytes()


def test_the_first_loud_sample_is_found_however_many_quiet_frames_come_before_it() -> None:
    finder = OnsetFinder()
    finder.begin(4_800)
    assert finder.find(frame()) is None
    assert finder.find(frame(17, 40)) == 4_800 + 960 + 17


def test_it_is_told_once_for_each_silence() -> None:
    finder = OnsetFinder()
    finder.begin(0)
    assert finder.find(frame(0)) == 0
    assert finder.find(frame(0)) is None
    finder.begin(9_600)
    assert finder.find(frame(5)) == 9_605


def test_a_sample_as_loud_as_the_threshold_is_quiet_and_a_negative_one_may_be_loud() -> None:
    finder = OnsetFinder()
    finder.begin(0)
    samples = np.full(960, AUDIBLE, "<i2")
    samples[100] = -32_768
    assert finder.find(samples.tobytes()) == 100


def test_nothing_is_found_before_a_silence() -> None:
    assert OnsetFinder().find(frame(0)) is None
