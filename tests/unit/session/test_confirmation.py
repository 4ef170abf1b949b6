"""What must be confirmed is done only after it was asked for aloud and was not refused."""

from __future__ import annotations

import pytest

from parley.session.decide.confirmation import Confirmations, Said, refuses

CALL = ("book", '{"table":4}')
YES = [Said("yes please")]


def asked(*, heard: bool = True) -> Confirmations:
    confirmations = Confirmations()
    confirmations.ask(*CALL, 1)
    if heard:
        confirmations.heard(1)
    return confirmations


def test_a_yes_to_what_was_asked_aloud_confirms_it_once() -> None:
    confirmations = asked()
    assert confirmations.confirmed(*CALL, 2, YES, "en")
    assert not confirmations.confirmed(*CALL, 2, YES, "en")


def test_what_was_never_asked_or_never_heard_is_not_confirmed() -> None:
    assert not Confirmations().confirmed(*CALL, 2, YES, "en")
    assert not asked(heard=False).confirmed(*CALL, 2, YES, "en")


def test_a_model_that_calls_again_in_the_same_reply_has_asked_nobody() -> None:
    assert not asked().confirmed(*CALL, 1, [Said("book a table")], "en")


def test_other_arguments_are_another_question() -> None:
    assert not asked().confirmed("book", '{"table":5}', 2, YES, "en")


@pytest.mark.parametrize(
    ("answer", "language"), [("no", "en"), ("Oh no, wait.", "en"), ("nein danke", "de"), ("", "en"), ("...", "en")]
)
def test_whoever_says_no_or_nothing_has_not_agreed(answer: str, language: str) -> None:
    assert refuses(answer, language)
    assert not asked().confirmed(*CALL, 2, [Said(answer)], language)


def test_a_question_in_between_lets_it_be_asked_again() -> None:
    confirmations = asked()
    confirmations.answered(2)
    assert not confirmations.confirmed(*CALL, 3, YES, "en")


def test_words_from_before_the_question_are_no_answer_to_it() -> None:
    confirmations = Confirmations()
    confirmations.ask(*CALL, 1, ["old"])
    confirmations.heard(1)
    assert not confirmations.confirmed(*CALL, 2, [Said("book a table", "old")], "en")
    assert not confirmations.confirmed(*CALL, 2, [Said("book a table", "old"), Said("no", "new")], "en")
    assert confirmations.confirmed(*CALL, 2, [Said("book a table", "old"), Said("yes", "new")], "en")
