"""From heard samples to heard words. Samples are counted at 48 kHz from the first one of the sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.audio.frame import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.audio.frame import WordMark

CHARACTERS_PER_SECOND = 15.0
"""Pace of speech, where nothing better is known."""


def heard_text(text: str, marks: Sequence[WordMark], heard: int, *, finished: bool = False) -> str:
    """The part of ``text`` that was heard: whole words, with the punctuation that belongs to them.

    A word counts when more than half of it was heard. Without marks the pace of speech is guessed.
    """
    if finished:
        return text.strip()
    if not heard:
        return ""
    if not marks:
        return _whole_words(text, round(heard / SAMPLE_RATE * CHARACTERS_PER_SECOND))
    end = 0
    for mark in marks:
        if 2 * heard > mark.start_sample + mark.end_sample:
            end = max(end, mark.text_end)
    return _with_punctuation(text, end)


def _whole_words(text: str, characters: int) -> str:
    if characters >= len(text):
        return text.strip()
    return text[:characters].rpartition(" ")[0].strip()


def _with_punctuation(text: str, end: int) -> str:
    while 0 < end < len(text) and not text[end].isspace() and not text[end].isalnum():
        end += 1
    return text[:end].strip()


def without(text: str, heard: str, asides: Sequence[tuple[int, int]]) -> str:
    """What was ``heard`` of ``text``, without the ``asides`` in it: first character and one past the last, in order."""
    end = len(text) - len(text.lstrip()) + len(heard)
    kept, at = [], 0
    for first, last in (*asides, (len(text), len(text))):
        kept.append(text[at : max(at, min(first, end))].strip())
        at = last
    return " ".join(part for part in kept if part) if asides else heard
