"""How long a language model may take: for a sign of life, for the next, and for its first word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.session.decide.deadline import ReplyDeadline
from parley.values import Deadlines

LIMITS = Deadlines(first=60.0, between=10.0, thinking=100.0)


def test_the_first_sign_of_life_may_take_its_own_time() -> None:
    deadline = ReplyDeadline(LIMITS, 5.0)
    assert deadline.at(5.0) == deadline.at(64.0) == 65.0


def test_after_it_the_limit_between_two_counts() -> None:
    deadline = ReplyDeadline(LIMITS, 0.0)
    deadline.sign_of_life(word=True)
    assert deadline.at(500.0) == 510.0


def test_reasoning_ends_with_a_word_or_in_time() -> None:
    deadline = ReplyDeadline(LIMITS, 0.0)
    deadline.sign_of_life(word=False)
    assert deadline.at(50.0) == 60.0
    assert deadline.at(97.0) == 100.0
    deadline.sign_of_life(word=True)
    assert deadline.at(97.0) == 107.0


@given(st.lists(st.booleans(), max_size=5), st.floats(0, 1e6))
def test_it_is_never_past_and_never_without_end(words: list[bool], now: float) -> None:
    deadline = ReplyDeadline(LIMITS, 0.0)
    for word in words:
        deadline.sign_of_life(word=word)
    assert now <= deadline.at(now) <= now + LIMITS.first
