"""The headless listener: every sample in its place, whatever happens to the stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.client.playout import Heard, Playout, render
from parley.testing.echo_host import ramp
from parley.transports.binary import AgentAudio

FRAME = 0.020


def frame(index: int, *, number: int = 1, final: bool = False) -> AgentAudio:
    return AgentAudio(number, index * 960, final, ramp(index * 960))


def samples(heard: list[Heard]) -> np.ndarray:
    return np.frombuffer(b"".join(piece.pcm for piece in heard), "<i2")


def test_frames_are_heard_one_after_the_other_from_the_first_arrival() -> None:
    playout = Playout()
    for index in range(3):
        playout.push(frame(index), 1.0)
    playout.advance(2.0)
    assert [piece.at for piece in playout.heard] == pytest.approx([1.0, 1.02, 1.04])
    assert playout.late == [0, 0, 0]


def test_a_frame_is_not_heard_before_its_time() -> None:
    playout = Playout()
    playout.push(frame(0), 1.0)
    playout.push(frame(1), 1.0)
    playout.advance(1.03)
    assert len(playout.heard) == 1
    assert playout.position(1.03) == (1, 960 + 480)


def test_a_late_frame_leaves_a_gap_and_is_counted() -> None:
    playout = Playout()
    playout.push(frame(0), 1.0)
    playout.push(frame(1), 1.05)
    playout.advance(2.0)
    assert playout.late == [0, pytest.approx(0.03)]
    assert playout.heard[1].at == 1.05


def test_the_first_frame_of_the_next_reply_is_not_late() -> None:
    playout = Playout()
    playout.push(frame(0, final=True), 1.0)
    playout.push(frame(0, number=2), 9.0)
    assert playout.late == [0, 0]


def test_a_pause_cuts_at_the_sample_and_a_resume_goes_on_from_the_next() -> None:
    playout = Playout()
    for index in range(3):
        playout.push(frame(index), 1.0)
    assert playout.pause(1.03) == 1440
    assert playout.silent(1.5)
    assert playout.position(1.5) == (1, 1440)
    playout.resume(2.0)
    playout.advance(3.0)
    assert samples(playout.heard).tobytes() == ramp(0, 3 * 960)
    assert [piece.at for piece in playout.heard] == pytest.approx([1.0, 1.02, 2.0, 2.01])


def test_a_clear_drops_the_rest_and_what_comes_after_it_of_the_same_reply() -> None:
    playout = Playout()
    for index in range(3):
        playout.push(frame(index), 1.0)
    assert playout.clear(1.01, 1) == 480
    playout.push(frame(3), 1.02)
    playout.push(frame(0, number=2), 1.1)
    playout.advance(2.0)
    assert [piece.number for piece in playout.heard] == [1, 2]
    assert len(samples(playout.heard)) == 480 + 960


def test_a_clear_while_paused_ends_the_pause() -> None:
    playout = Playout()
    playout.push(frame(0), 1.0)
    playout.pause(1.01)
    playout.clear(1.5, 1)
    playout.push(frame(0, number=2), 2.0)
    assert not playout.silent(2.001)


def test_a_second_pause_changes_nothing() -> None:
    playout = Playout()
    playout.push(frame(0), 1.0)
    assert playout.pause(1.01) == playout.pause(1.4) == 480


def test_frames_that_arrive_during_a_pause_wait() -> None:
    playout = Playout()
    playout.push(frame(0), 1.0)
    playout.pause(1.01)
    playout.push(frame(1), 1.1)
    playout.resume(2.0)
    playout.advance(3.0)
    assert samples(playout.heard).tobytes() == ramp(0, 2 * 960)


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=12))
def test_any_number_of_pauses_loses_and_repeats_nothing(pauses: list[float]) -> None:
    playout = Playout()
    now = 1.0
    for index in range(20):
        playout.push(frame(index), now)
    for pause in pauses:
        now += pause / 3
        playout.pause(now)
        now += pause
        playout.resume(now)
    playout.advance(now + 10)
    assert samples(playout.heard).tobytes() == ramp(0, 20 * 960)


def test_a_recording_has_silence_where_nothing_was_said() -> None:
    playout = Playout()
    playout.push(frame(0), 1.0)
    playout.push(frame(1), 1.5)
    playout.advance(2.0)
    recording = render(playout.heard, 0.9, 1.6)
    assert len(recording) == round(0.7 * 48_000)
    assert not recording[: round(0.1 * 48_000)].any()
    assert recording[4_800:5_760].tobytes() == ramp(0)
    assert not recording[5_760:28_800].any()
    assert recording[28_800:29_760].tobytes() == ramp(960)


def test_a_recording_does_not_tear_frames_apart_that_follow_each_other() -> None:
    playout = Playout()
    now = 1.000_013_7
    for index in range(50):
        playout.push(frame(index), now + index * FRAME - 0.01 * (index > 0))
    playout.advance(5.0)
    recording = render(playout.heard, 0.5, 4.0)
    speech = recording[np.flatnonzero(recording)[0] :][: 50 * 960]
    assert speech.tobytes() == ramp(0, 50 * 960)
