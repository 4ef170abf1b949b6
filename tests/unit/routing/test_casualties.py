"""Text that breaks two workers at one place is poison; two accidents far apart are not."""

from __future__ import annotations

from parley.routing.casualties import Casualties
from parley.routing.settings import FailoverSettings

SETTINGS = FailoverSettings(max_attempts=4, poison_window=2.0)


def after(*failures: tuple[bool, float]) -> Casualties:
    casualties = Casualties()
    for broke, seconds in failures:
        casualties = casualties.one_more(broke=broke, held=int(seconds * 48_000), settings=SETTINGS)
    return casualties


def test_one_broken_worker_is_an_accident() -> None:
    assert not after((True, 1.0)).hopeless(SETTINGS)


def test_two_at_the_same_place_are_the_text() -> None:
    assert after((True, 1.0), (True, 1.5)).poisonous


def test_two_before_the_first_frame_are_the_text() -> None:
    assert after((True, 0.0), (True, 0.0)).poisonous


def test_two_far_apart_are_two_accidents() -> None:
    assert not after((True, 1.0), (True, 3.5)).poisonous


def test_workers_that_were_gone_before_they_had_the_text_do_not_count() -> None:
    assert not after((False, 0.0), (False, 0.0), (False, 0.0)).poisonous


def test_a_refusal_between_them_does_not_acquit_the_text() -> None:
    assert after((True, 1.0), (False, 1.0), (True, 1.0)).poisonous


def test_after_enough_attempts_it_is_given_up() -> None:
    assert after(*[(False, 0.0)] * 4).hopeless(SETTINGS)
