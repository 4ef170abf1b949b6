"""A language is remembered once it is certain, and forgotten once it is no longer understood."""

from __future__ import annotations

from parley.asr.spoken_language import SpokenLanguage


def test_a_language_that_was_detected_and_understood_is_remembered() -> None:
    spoken = SpokenLanguage()
    spoken.heard("de", 0.9)
    spoken.heard("", None)
    assert spoken.language == "de"


def test_what_was_not_detected_for_certain_or_not_understood_is_not() -> None:
    spoken = SpokenLanguage()
    spoken.heard("", 0.9)
    spoken.heard("cy", 0.2)
    spoken.heard("cy", None)
    assert spoken.language == ""


def test_one_turn_that_is_not_understood_changes_nothing_but_two_in_a_row_do() -> None:
    spoken = SpokenLanguage()
    spoken.heard("de", 0.9)
    for confidence in (0.1, 0.9, 0.1, None, 0.8, 0.1):
        spoken.heard("de", confidence)
    assert spoken.language == "de"
    spoken.heard("de", 0.1)
    assert spoken.language == ""
