"""What one client may send: honest ones never notice, floods are bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.errors import TooManyRequests
from parley.messages import Interrupt, SetVoice
from parley.transports.client_settings import ClientSettings
from parley.transports.intake import Intake, weight
from parley.values import Voice

FRAME = 0.01
REPORT = 0.02
LENGTH = 10.0


def honest(stall_at: float, stall: float) -> list[tuple[float, str]]:
    """Ten seconds of 10 ms frames and 50 reports a second; what is due in the stall comes at its end."""
    due = [(index * FRAME, "audio") for index in range(int(LENGTH / FRAME))]
    due += [(index * REPORT, "message") for index in range(int(LENGTH / REPORT))]
    ends = stall_at + stall
    return sorted((ends if stall_at <= at < ends else at, what) for at, what in due)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, LENGTH - 1), st.floats(0, 1))
def test_ten_ms_frames_fifty_reports_a_second_and_a_stall_of_one_second_are_never_limited(
    stall_at: float, stall: float
) -> None:
    waiting, dropping = Intake(ClientSettings()), Intake(ClientSettings())
    for now, what in honest(stall_at, stall):
        assert dropping.takes_datagram(now)
        if what == "audio":
            assert waiting.audio_wait(now, FRAME) == 0
            assert dropping.takes_audio(now, FRAME)
        else:
            assert waiting.message_wait(now) == 0
            assert dropping.takes_message(now)


def test_a_sound_card_that_runs_a_little_fast_is_never_limited() -> None:
    intake = Intake(ClientSettings())
    assert not any(intake.audio_wait(index * FRAME * 0.96, FRAME) for index in range(60_000))


def test_a_client_that_is_made_to_wait_gets_its_rate_and_no_more() -> None:
    intake, now, taken = Intake(ClientSettings(message_burst=10, message_rate=50, patience=60)), 0.0, 0
    while now < 10:
        now += intake.message_wait(now)
        taken += 1
    assert taken == pytest.approx(10 + 50 * 10, abs=2)


def test_who_goes_on_sending_too_much_is_sent_away() -> None:
    intake, now = Intake(ClientSettings(message_burst=10, message_rate=20, patience=5)), 0.0
    for _ in range(20):
        intake.message_wait(now)
    while now <= 5:
        now += intake.message_wait(now) + 0.03  # as a loop that is busy wakes it up too late
    with pytest.raises(TooManyRequests, match="went on coming too quickly"):
        [intake.message_wait(now) for _ in range(5)]


def test_audio_faster_than_real_time_waits_after_its_burst() -> None:
    intake, now, heard = Intake(ClientSettings(audio_burst=2.0)), 0.0, 0.0
    while now < 10:
        now += intake.audio_wait(now, 0.06)
        heard += 0.06
    assert heard == pytest.approx(2 + 10 * 1.05, abs=0.1)


def test_where_nobody_can_be_made_to_wait_the_excess_is_dropped_and_in_the_end_the_client_is_told_to_go() -> None:
    intake, taken, dropped = Intake(ClientSettings(message_burst=10, message_rate=10, patience=9)), 0, 0
    for _ in range(1_000):
        if intake.takes_message(1.0):
            taken += 1
        elif intake.dropped(1.0):
            dropped += 1
    assert (taken, dropped) == (10, 100)


def test_a_message_that_asks_for_work_elsewhere_counts_for_more() -> None:
    intake = Intake(ClientSettings(message_burst=10, message_rate=10))
    assert intake.work_wait(0.0, Interrupt()) == 0
    waits = [intake.message_wait(0.0) + intake.work_wait(0.0, SetVoice(Voice())) for _ in range(3)]
    assert waits[:2] == [0, 0]
    assert waits[2] > 0


def test_one_mistake_is_forgiven_each_second() -> None:
    intake = Intake(ClientSettings(max_mistakes=2))
    assert [intake.mistake(now) for now in (0, 0, 0, 1, 1)] == [True, True, False, True, False]


def test_a_text_of_many_parts_counts_for_many_messages_before_it_is_read() -> None:
    keys = "{" + ",".join(f'"{number:x}":1' for number in range(12_000)) + "}"
    texts: tuple[str | bytes, ...] = ('{"type": "ping", "id": 1}', "x" * 60_000, keys, keys.encode())
    assert [weight(text) for text in texts] == [1, 1, 600, 600]
    waiting, dropping = Intake(ClientSettings()), Intake(ClientSettings())
    assert [waiting.message_wait(0.0, weight(keys)) for _ in range(3)] == pytest.approx([4.0, 10.0, 16.0])
    assert [dropping.takes_message(0.0, weight(keys)) for _ in range(3)] == [True, False, False]
