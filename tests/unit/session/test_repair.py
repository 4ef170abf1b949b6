from __future__ import annotations

import pytest

from parley.session.decide.remarks import Remark, remark
from parley.session.decide.repair import Repair


def test_clear_speech_without_a_word_is_asked_for_once() -> None:
    repair = Repair(0.6)
    assert repair.not_understood(1.0, failed=False) is Remark.NOT_UNDERSTOOD
    assert repair.not_understood(1.0, failed=False) is None


def test_it_is_asked_for_again_when_something_was_understood_between() -> None:
    repair = Repair(0.6)
    repair.not_understood(1.0, failed=False)
    repair.understood()
    assert repair.not_understood(1.0, failed=False) is Remark.NOT_UNDERSTOOD


@pytest.mark.parametrize("failed", [True, False])
def test_a_cough_is_not_asked_for(failed: bool) -> None:
    repair = Repair(0.6)
    assert repair.not_understood(0.5, failed=failed) is None
    assert repair.not_understood(1.0, failed=False) is Remark.NOT_UNDERSTOOD


def test_a_recogniser_that_fails_is_told_each_time() -> None:
    repair = Repair(0.6)
    assert [repair.not_understood(1.0, failed=True) for _ in range(2)] == [Remark.NOT_HEARD] * 2


@pytest.mark.parametrize("kind", Remark)
@pytest.mark.parametrize("language", ["en", "de", "es-MX", "fr-FR", "", "xx"])
def test_there_is_a_sentence_for_everything_in_every_language(kind: Remark, language: str) -> None:
    assert remark(kind, "auto", language).endswith((".", "?"))


def test_a_remark_is_made_in_the_language_of_the_session_unless_a_setting_says_otherwise() -> None:
    assert remark(Remark.NOT_UNDERSTOOD, "auto", "de-AT") == "Das habe ich nicht verstanden."
    assert remark(Remark.NOT_UNDERSTOOD, "Pardon?", "de") == "Pardon?"
    assert remark(Remark.NOT_UNDERSTOOD, "", "de") == ""
