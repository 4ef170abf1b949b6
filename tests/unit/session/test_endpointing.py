from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.session.endpointing import PauseHabits, completeness, wait_for
from parley.session.settings import EndpointingSettings

SETTINGS = EndpointingSettings()


@pytest.mark.parametrize(
    "text",
    [
        "what time is it",
        "Tell me a long story.",
        "stop talking for a moment",
        "yes.",
        "what can you do",
        "i wonder what time it is",
    ],
)
def test_a_whole_sentence_ends_the_turn_soon(text: str) -> None:
    assert wait_for(text, "en", PauseHabits(), SETTINGS).seconds == SETTINGS.min_delay


@pytest.mark.parametrize(
    "text",
    ["I would like to", "tell me about", "could you please", "my question is", "i was thinking that", "let me see the"],
)
def test_half_a_sentence_is_waited_for(text: str) -> None:
    wait = wait_for(text, "en", PauseHabits(), SETTINGS)
    assert wait.seconds == SETTINGS.max_delay
    assert not wait.likely


def test_without_words_nobody_knows() -> None:
    assert completeness("") is None
    assert wait_for("", "en", PauseHabits(), SETTINGS).seconds == SETTINGS.delay


def test_a_turn_model_is_asked_before_the_words() -> None:
    assert wait_for("I would like to", "en", PauseHabits(), SETTINGS, 0.9).seconds == SETTINGS.min_delay


def test_somebody_who_pauses_long_is_given_longer() -> None:
    slow, quick = PauseHabits(), PauseHabits()
    for _ in range(5):
        slow.paused(0.8)
        quick.paused(0.1)
    waits = [wait_for("", "en", habits, SETTINGS).seconds for habits in (slow, PauseHabits(), quick)]
    assert waits == sorted(waits, reverse=True)
    assert waits[0] > 0.8
    assert waits[2] >= SETTINGS.min_delay


@given(st.text(max_size=60), st.lists(st.floats(0, 30), max_size=20), st.one_of(st.none(), st.floats(0, 1)))
def test_the_wait_stays_within_its_bounds(text: str, pauses: list[float], probability: float | None) -> None:
    habits = PauseHabits()
    for pause in pauses:
        habits.paused(pause)
    assert SETTINGS.min_delay <= wait_for(text, "en", habits, SETTINGS, probability).seconds <= SETTINGS.max_delay
