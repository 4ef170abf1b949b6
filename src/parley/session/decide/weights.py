"""What each source of evidence counts when a turn's end, or a sound over a reply, is judged: one place, in log-odds.

``scripts/fit_endpointing.py`` finds these numbers on the tuning side of the recordings of people and on the synthetic
voices, and prints what is lost where a source is left out (docs/performance.md has the table, and says why ``brief`` is
more than it finds).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each source moves the log-odds that the turn is over."""

    words: float = 0.75
    """Of the words' own log-odds, as far as they are believed."""
    brief: float = 2.0
    """A whole answer of a word or two: 44 of 158 ends, but 6 of 96 silences of 0.2 s in which people went on.

    Actors go on behind theirs (13 of 155 ends, 27 of 106 pauses), for which only nods are kept out of it so far.
    """
    fall: float = 1.6
    """A melody that sounds finished, as far as the words are not believed."""
    held: float = 0.0
    """Against the end: one that does not. No gain: people who have finished hold their voice as often."""
    model_over: float = 0.0
    """Of a turn model's log-odds where it takes the turn for over. No gain: it does in the middle of sentences, too."""
    model_unfinished: float = 0.3
    """Of its log-odds where it does not. More only makes late answers later."""
    lengthy: float = 0.46
    """No log-odds: how far another sentence is reckoned with, for each doubling of the turn beyond ``SHORT_SECONDS``.

    As much as the goals for the answers' delays leave room for.
    """


WEIGHTS = Weights()
MOST = 3.0
"""Log-odds beyond which a model is no surer."""
WISH = 0.5
"""Doublings of the speech that takes the floor whatever its words are, at most, by what an interruption model hears.

Chosen so that it never decides alone, and not fitted: the weights of such a model could not be had. Without one
nothing changes.
"""
ENOUGH_WORDS = 3
"""A turn model that has heard fewer knows less: it takes most answers of one word for the beginning of a sentence."""
BRIEF_WORDS, BRIEF_SECONDS = 2, 1.0
"""The most of both in a brief answer; what lasts longer had more words than were understood."""
SHORT_SECONDS = 1.75
"""Who has spoken for longer may have ended a sentence and mean to begin another; who has not, seldom does."""


def log_odds(probability: float) -> float:
    """Within ``MOST`` on both sides: nobody is sure for good."""
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return min(MOST, max(-MOST, math.log(bounded / (1 - bounded))))
