"""The receive order: in sequence, at once, with gaps of their exact length."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.transports.rtp_order import Piece, ReceiveOrder, opus_samples

FRAME = b"\xf8\x01"  # 20 ms
SHORT = b"\xf0\x01"  # 10 ms


def positions(pieces: list[Piece]) -> list[tuple[int, int, bool]]:
    return [(piece.position, piece.samples, piece.payload is not None) for piece in pieces]


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"\xf8\xff\xfe", 960),
        (b"\xf0", 480),
        (b"\x78", 960),
        (b"\x70", 480),
        (b"\x08", 960),
        (b"\x18", 2880),
        (b"\xf9", 1920),
        (b"\xfb\x03", 2880),
        (b"\xfb", 0),
        (b"\x1b\x3f", 0),
        (b"", 0),
    ],
)
def test_an_opus_packet_tells_its_length(payload: bytes, samples: int) -> None:
    assert opus_samples(payload) == samples


def test_a_packet_that_is_next_leaves_at_once() -> None:
    order = ReceiveOrder()
    assert positions(order.add(1, 10, 5000, FRAME)) == [(0, 960, True)]
    assert positions(order.add(1, 11, 5960, FRAME)) == [(960, 960, True)]


def test_two_packets_in_the_wrong_order_leave_in_the_right_one() -> None:
    order = ReceiveOrder(hold=1)
    order.add(1, 10, 0, FRAME)
    assert order.add(1, 12, 1920, SHORT) == []
    assert positions(order.add(1, 11, 960, FRAME)) == [(960, 960, True), (1920, 480, True)]
    assert order.lost == 0


def test_a_lost_packet_becomes_a_gap_of_its_length_one_packet_later() -> None:
    order = ReceiveOrder(hold=1)
    order.add(1, 10, 0, FRAME)
    assert order.add(1, 12, 1920, FRAME) == []
    assert positions(order.add(1, 13, 2880, FRAME)) == [(960, 960, False), (1920, 960, True), (2880, 960, True)]
    assert order.lost == 1


def test_nothing_is_held_after_a_loss() -> None:
    order = ReceiveOrder(hold=0)
    order.add(1, 10, 0, FRAME)
    assert positions(order.add(1, 12, 1920, FRAME)) == [(960, 960, False), (1920, 960, True)]
    assert positions(order.add(1, 13, 2880, FRAME)) == [(2880, 960, True)]


def test_a_late_or_doubled_packet_is_dropped() -> None:
    order = ReceiveOrder(hold=0)
    order.add(1, 10, 0, FRAME)
    order.add(1, 12, 1920, FRAME)
    assert order.add(1, 11, 960, FRAME) == []
    assert order.add(1, 12, 1920, FRAME) == []
    assert order.late == 2


def test_counters_that_wrap_round_leave_no_seam() -> None:
    order = ReceiveOrder()
    order.add(1, 65535, 0xFFFFFFFF - 959, FRAME)
    assert positions(order.add(1, 0, 0, FRAME)) == [(960, 960, True)]


def test_a_pause_of_the_sender_is_filled_up_to_the_bound() -> None:
    order = ReceiveOrder(max_gap=4800)
    order.add(1, 10, 0, FRAME)
    assert positions(order.add(1, 11, 960 + 2400, FRAME)) == [(960, 2400, False), (3360, 960, True)]
    assert positions(order.add(1, 12, 1_000_000, FRAME)) == [(4320, 4800, False), (9120, 960, True)]


def test_silence_that_was_filled_in_time_is_not_filled_again() -> None:
    order = ReceiveOrder()
    order.add(1, 10, 0, FRAME)
    assert order.fill(960) == Piece(960, 960, None)
    assert positions(order.add(1, 11, 960 + 1_500, FRAME)) == [(1920, 540, False), (2460, 960, True)]
    assert positions(order.add(1, 12, 960 + 1_500 + 960, FRAME)) == [(3420, 960, True)]


def test_another_sender_follows_on() -> None:
    order = ReceiveOrder()
    order.add(1, 10, 0, FRAME)
    assert positions(order.add(2, 40_000, 77, FRAME)) == [(960, 960, True)]


def test_a_sender_that_starts_anew_follows_on() -> None:
    order = ReceiveOrder()
    order.add(1, 20_000, 0, FRAME)
    assert positions(order.add(1, 3, 77, FRAME)) == [(960, 960, True)]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2), st.floats(0, 0.3))
def test_what_leaves_is_always_one_unbroken_stream(seed: int, hold: int, loss: float) -> None:
    rng = random.Random(seed)
    packets = [(n, n * 960) for n in range(rng.randrange(65_000, 65_600), 65_600)]
    sent = [packet for packet in packets if rng.random() >= loss]
    for index in range(0, len(sent) - 1, 7):
        sent[index], sent[index + 1] = sent[index + 1], sent[index]
    order = ReceiveOrder(hold=hold)
    end = 0
    for number, timestamp in sent:
        for piece in order.add(9, number & 0xFFFF, timestamp & 0xFFFFFFFF, FRAME):
            assert piece.position == end
            end = piece.position + piece.samples
