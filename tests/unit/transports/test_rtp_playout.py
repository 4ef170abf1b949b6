"""The stream's queue: nothing lost, nothing repeated, whatever sample a pause falls on."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.audio.frame import AudioFrame
from parley.transports.rtp_playout import Anchor, PlayoutQueue


def frames(count: int, utterance: str = "u1") -> list[AudioFrame]:
    """Frames whose samples count 1, 2, 3 ..., so that each sample says where it belongs."""
    samples = np.arange(1, count * 960 + 1).astype(np.int16)
    return [
        AudioFrame(
            samples[at * 960 : (at + 1) * 960].tobytes(),
            utterance_id=utterance,
            sequence=at,
            start_sample=at * 960,
            final=at == count - 1,
        )
        for at in range(count)
    ]


def numbers(pcm: bytes | None) -> list[int]:
    return [] if pcm is None else np.frombuffer(pcm, np.int16).tolist()


def queue_of(count: int) -> PlayoutQueue:
    queue = PlayoutQueue(capacity=10**9)
    for frame in frames(count):
        queue.push(frame)
    return queue


def test_an_empty_queue_is_silent() -> None:
    assert PlayoutQueue().take(0) == (None, None)


def test_the_first_packet_of_an_utterance_is_anchored_and_the_next_is_not() -> None:
    queue = queue_of(2)
    assert queue.take(960)[1] == Anchor("u1", 0, 960)
    assert queue.take(1920)[1] is None
    assert (queue.utterance_id, queue.sent) == ("u1", 1920)


def test_a_hole_in_the_supply_is_anchored_again() -> None:
    queue = PlayoutQueue()
    first, second = frames(2)
    queue.push(first)
    queue.take(0)
    assert queue.take(960) == (None, None)
    queue.push(second)
    assert queue.take(1920)[1] == Anchor("u1", 960, 1920)


def test_while_paused_only_silence_leaves_and_nothing_is_lost() -> None:
    queue = queue_of(2)
    queue.take(0)
    queue.pause()
    assert queue.take(960) == (None, None)
    queue.resume(None)
    pcm, anchor = queue.take(1920)
    assert numbers(pcm)[0] == 961
    assert anchor == Anchor("u1", 960, 1920)


def test_resume_goes_back_to_the_sample_that_was_heard() -> None:
    queue = queue_of(4)
    for at in range(3):
        queue.take(at * 960)
    queue.pause()
    queue.resume(1_500)
    pcm, anchor = queue.take(9_600)
    assert numbers(pcm) == list(range(1_501, 2_461))
    assert anchor == Anchor("u1", 1_500, 9_600)


def test_the_last_packet_after_a_rewind_is_padded() -> None:
    queue = queue_of(2)
    queue.take(0)
    queue.take(960)
    queue.pause()
    queue.resume(1_000)
    assert numbers(queue.take(0)[0]) == [*range(1_001, 1_921), *[0] * 40]
    assert queue.take(960) == (None, None)


def test_a_part_packet_waits_for_the_rest_of_its_utterance() -> None:
    queue = PlayoutQueue()
    first, second, third = frames(3)
    queue.push(first)
    queue.push(second)
    queue.take(0)
    queue.take(960)
    queue.pause()
    queue.resume(1_900)
    assert queue.take(1920) == (None, None)
    queue.push(third)
    assert numbers(queue.take(2880)[0]) == [*range(1_901, 2_861)]


def test_clear_drops_what_waits_and_what_left() -> None:
    queue = queue_of(4)
    queue.take(0)
    queue.clear()
    queue.resume(0)
    assert queue.take(960) == (None, None)
    assert queue.samples == 0


def test_two_utterances_never_share_a_packet() -> None:
    queue = PlayoutQueue()
    for frame in [*frames(1, "a"), *frames(1, "b")]:
        queue.push(frame)
    assert queue.take(0)[1] == Anchor("a", 0, 0)
    assert queue.take(960)[1] == Anchor("b", 0, 960)


def test_a_rewind_reaches_no_further_than_the_memory() -> None:
    queue = PlayoutQueue(capacity=10**9, memory=1_920)
    for frame in frames(5):
        queue.push(frame)
    for at in range(5):
        queue.take(at * 960)
    queue.pause()
    queue.resume(0)
    assert numbers(queue.take(0)[0])[0] == 2_881


def test_with_a_head_start_a_lone_first_frame_waits_for_one_packet_and_no_longer() -> None:
    queue = PlayoutQueue(head_start=True)
    first, second, third = frames(3)
    queue.push(first)
    assert queue.take(0) == (None, None)
    assert queue.take(960)[1] == Anchor("u1", 0, 960)
    queue = PlayoutQueue(head_start=True)
    queue.push(first)
    queue.push(second)
    assert queue.take(0)[1] == Anchor("u1", 0, 0)
    queue.take(960)
    queue.push(third)
    assert queue.take(1920)[1] is None


@pytest.mark.parametrize("capacity", [960, 9_600])
def test_the_queue_is_full_at_its_capacity(capacity: int) -> None:
    queue = PlayoutQueue(capacity=capacity)
    pushed = 0
    for frame in frames(20):
        if queue.full:
            break
        queue.push(frame)
        pushed += 960
    assert pushed == capacity


@given(st.integers(0, 2**32 - 1))
def test_any_number_of_pauses_leaves_the_heard_samples_whole(seed: int) -> None:
    rng = random.Random(seed)
    supply = frames(30)
    queue = PlayoutQueue()
    heard: list[int] = []
    in_flight: list[int] = []
    position = 0
    while supply or queue.samples or in_flight:
        if supply and not queue.full and rng.random() < 0.7:
            queue.push(supply.pop(0))
        in_flight += numbers(queue.take(position)[0])
        position += 960
        reached = rng.randrange(0, min(len(in_flight), 2_000) + 1)
        heard += in_flight[:reached]
        del in_flight[:reached]
        if rng.random() < 0.2:
            queue.pause()
            assert queue.take(position) == (None, None)
            in_flight.clear()
            queue.resume(len([n for n in heard if n]))
    assert [n for n in heard if n] == list(range(1, 28_801))
