"""When a slow voice may begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.worker.head_start import BREATH, LATEST, Opening, Speed, head_start

FAST, NEARLY, SLOW = 0.1, 0.8, 1.5


@pytest.mark.parametrize(
    ("factor", "ready", "coming", "streams", "worked", "wait"),
    [
        # all of it is there
        (SLOW, 4.0, [], False, 0.0, 0.0),
        # a fast voice never waits: not for a long sentence behind a clause, not for several
        (FAST, 0.8, [6.0], False, 0.0, 0.0),
        (FAST, 0.8, [6.0, 6.0, 6.0], False, 0.0, 0.0),
        # a short clause does not last until the long sentence behind it is made
        (NEARLY, 1.0, [6.0], False, 0.0, 0.8 * 6 - 1.0 - BREATH),
        # what has been worked on it counts
        (NEARLY, 1.0, [6.0], False, 2.0, 0.8 * 6 - 2.0 - 1.0 - BREATH),
        # a voice that gives what it has begun needs no head start while it is faster than real time
        (NEARLY, 0.1, [6.0], True, 0.0, 0.0),
        # slower than real time: (factor - 1) x the length, less what is ready
        (SLOW, 0.2, [10.0], True, 0.0, 1.5 * 10 - 10.2),
        # sentence by sentence: the last one decides
        (SLOW, 4.0, [4.0, 4.0], False, 0.0, 1.5 * 8 - 8.0 - BREATH),
        # the worst place may be in the middle
        (NEARLY, 1.0, [6.0, 0.5], False, 0.0, 0.8 * 6 - 1.0 - BREATH),
    ],
)
def test_the_table(
    factor: float, ready: float, coming: list[float], streams: bool, worked: float, wait: float
) -> None:  # fmt: skip
    assert head_start(factor, ready, coming, streams=streams, worked=worked) == pytest.approx(wait)


lengths = st.lists(st.floats(0.2, 12), max_size=6)


@given(st.floats(0.01, 4), st.floats(0, 10), lengths)
def test_played_after_that_wait_no_pause_is_longer_than_a_breath(
    factor: float, ready: float, coming: list[float]
) -> None:
    wait = head_start(factor, ready, coming)

    def longest_pause(begin: float) -> float:
        """Play from ``begin`` on; pieces are ready one after the other."""
        made, played, longest = 0.0, begin + ready, 0.0
        for length in coming:
            made += factor * length
            longest = max(longest, made - played)
            played = max(played, made) + length
        return longest

    assert longest_pause(wait) <= BREATH + 1e-6
    if len(coming) == 1 and wait > 1e-3:  # of several, the breath behind one gives the next more time
        assert longest_pause(wait * 0.9) > BREATH


@given(st.floats(0.01, 4), st.floats(0, 10), lengths)
def test_a_voice_that_streams_never_runs_dry_after_its_wait(factor: float, ready: float, coming: list[float]) -> None:
    wait = head_start(factor, ready, coming, streams=True)
    total = sum(coming)
    for part in range(101):
        made = total * part / 100
        assert wait + ready + made >= factor * made - 1e-6


def test_a_wait_ends_after_the_most_that_is_allowed_and_soon_enough_after_the_text() -> None:
    opening = Opening(Speed(factor=3.0), most=4.0)
    opening.asked_at = 100.0
    assert opening.wait(101.0, 1.0, [20.0]) == 4.0
    assert opening.wait(104.5, 1.0, [20.0]) == 0.5
    assert opening.wait(105.0, 1.0, [20.0]) == 0.0
    late = Opening(Speed(factor=3.0), most=4.0)
    late.asked_at = 100.0
    assert late.wait(100.0 + LATEST - 1.0, 1.0, [20.0]) == 1.0
    assert late.wait(100.0 + LATEST, 1.0, [20.0]) == 0.0


def test_a_voice_of_unknown_speed_waits_for_nothing() -> None:
    assert Opening(Speed(), most=4.0).wait(0.0, 0.0, [20.0]) == 0.0
