from __future__ import annotations

import pytest

from parley.bench.report import Share, percentage, share
from parley.bench.word_error import normal, word_error


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("Press 1 now.", "press one now", 0),
        ("twenty three", "23", 0),
        ("one two three", "123", 0),
        ("Please re-enter your PIN.", "please reenter your pin", 0),
        ("your mail box", "your mailbox", 0),
        ("your mailbox", "your mail box", 0),
        ("I'm sorry", "im sorry", 0),
        ("go forward ten meters", "go forward ten", 1),
        ("go forward", "go on forward", 1),
        ("go forward", "go backward", 1),
        ("go forward", "", 2),
        ("", "hello there", 2),
    ],
)
def test_words_are_compared_in_one_spelling(said: str, heard: str, errors: int) -> None:
    assert word_error(said, heard).errors == errors


def test_the_normal_form_is_its_own_normal_form() -> None:
    for text in ("Dial 7, then 42!", "l'été n'est pas là", "3D audio", "007"):
        once = normal(text)
        assert normal(" ".join(once)) == once


def test_shares_add_up() -> None:
    total = word_error("a b c", "a b") + word_error("d", "d")
    assert (total.errors, total.words, float(total)) == (1, 4, 0.25)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 10, 0.0, 0.278), (5, 10, 0.237, 0.763), (10, 10, 0.722, 1.0), (0, 0, 0.0, 1.0)]
)
def test_wilsons_interval(hits: int, of: int, low: float, high: float) -> None:
    assert Share(hits, of).interval() == pytest.approx((low, high), abs=0.001)


def test_a_percentage_says_of_how_many_and_how_sure_it_is() -> None:
    row = percentage("lost", share([True, False, False, False]))
    assert (row.n, row.p50) == (4, 25)
    assert row.params["95 %"] == "4.6–69.9"
    assert percentage("lost", share([])).p50 is None
