from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.allowance import Allowance


def test_a_burst_is_taken_at_once_and_no_more() -> None:
    allowance = Allowance(burst=3, per_second=2)
    assert [allowance.take(10.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_the_wait_that_is_told_is_the_wait_that_helps() -> None:
    allowance = Allowance(burst=1, per_second=4)
    assert allowance.take(0.0) == 0
    wait = allowance.take(0.1)
    assert wait == pytest.approx(0.15)
    assert allowance.take(0.1 + wait / 2) > 0
    assert allowance.take(0.1 + wait + 1e-9) == 0


def test_a_long_silence_saves_up_one_burst_only() -> None:
    allowance = Allowance(burst=2, per_second=1)
    allowance.take(0.0)
    assert [bool(allowance.take(1_000.0)) for _ in range(3)] == [False, False, True]


@given(st.lists(st.floats(0, 2), max_size=200))
def test_never_more_than_the_burst_and_the_rate_allow(pauses: list[float]) -> None:
    allowance = Allowance(burst=5, per_second=3)
    now, taken = 0.0, 0
    for pause in pauses:
        now += pause
        taken += allowance.take(now) == 0
        assert taken <= 5 + 3 * now + 1e-6
