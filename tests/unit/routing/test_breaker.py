"""A worker that fails is left alone, longer each time, and one trial decides whether it is back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.routing.breaker import Breaker
from parley.routing.settings import BreakerSettings

SETTINGS = BreakerSettings(failures=3, cooldown=1.0, max_cooldown=4.0)


def opened(times: int = 1, now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(times):
        breaker = breaker.failed(now, SETTINGS, gone=True)
    return breaker


def test_a_new_worker_gets_work() -> None:
    assert Breaker().allows(0.0)


def test_a_few_failures_are_borne() -> None:
    assert Breaker().failed(0, SETTINGS).failed(0, SETTINGS).allows(0)


def failing() -> Breaker:
    return Breaker().failed(0, SETTINGS).failed(0, SETTINGS).failed(0, SETTINGS)


def test_after_failures_in_a_row_others_come_first() -> None:
    assert not failing().trusts(0.5)


def test_a_worker_that_fails_but_is_there_may_always_be_asked() -> None:
    assert failing().allows(0.5)


def test_a_success_between_them_forgives() -> None:
    assert Breaker().failed(0, SETTINGS).failed(0, SETTINGS).succeeded().failed(0, SETTINGS).allows(0)


def test_a_worker_that_is_gone_is_left_alone_at_once() -> None:
    assert not opened().allows(0.5)


def test_after_the_cooldown_one_trial_is_let_through() -> None:
    breaker = opened()
    assert breaker.allows(1.0)
    assert not breaker.tried(1.0).allows(1.0)


def test_a_trial_that_succeeds_closes_it() -> None:
    assert opened().tried(1.0).succeeded() == Breaker()


def test_a_trial_that_fails_doubles_the_cooldown() -> None:
    breaker = opened().tried(1.0).failed(1.0, SETTINGS)
    assert not breaker.trusts(2.9)
    assert breaker.trusts(3.0)


def test_a_trial_without_a_verdict_lets_another_one_through() -> None:
    assert opened().tried(1.0).abandoned().allows(1.0)


def test_work_on_a_closed_breaker_is_no_trial() -> None:
    assert Breaker().tried(5.0) == Breaker()


def test_success_on_a_closed_breaker_changes_nothing() -> None:
    breaker = Breaker()
    assert breaker.succeeded() is breaker


@given(st.integers(1, 200), st.floats(0, 1e6))
def test_it_is_never_left_alone_for_longer_than_the_bound(times: int, now: float) -> None:
    assert opened(times, now).allows(now + SETTINGS.max_cooldown)
