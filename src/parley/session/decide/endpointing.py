"""Is the participant's turn over? Silence, the words so far, their melody, and how this person pauses.

It is over when the sentence is, and no other follows. Words, melody and a turn model say how likely the first is;
of the second they know nothing (between two sentences people sound as finished as at their end), but the longer
somebody has spoken, the likelier there is another. Whichever asks for the longer silence has it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley.session.decide.lexicon import Lexicon, first_of, is_unspaced, lexicon, only_backchannels, words
from parley.session.decide.weights import (
    BRIEF_SECONDS,
    BRIEF_WORDS,
    ENOUGH_WORDS,
    MOST,
    SHORT_SECONDS,
    WEIGHTS,
    Weights,
    log_odds,
)

if TYPE_CHECKING:
    from parley.session.decide.melody import Melody
    from parley.session.settings import EndpointingSettings

_LIKELY, _UNLIKELY = 0.7, 0.3
_SURE, _USUAL, _OPEN, _BROKEN_OFF = 1.7, 1.0, 0.55, -0.85
"""Log-odds of an end at which a silence of ``min_delay``, ``delay``, ``doubtful_delay``, ``max_delay`` ends it."""
_LEARNING = 0.3
"""Weight of the newest pause."""
_MARGIN = 2.0
"""Deviations above the usual pause that a silence must reach."""
_PAUSES_TO_TRUST = 2
_COMPLETE_WORDS = 3
_MARKS = ".?!。？！।؟"
_BELIEVED = 0.5
"""Confidence from which words alone may end a turn soon."""
_BETTER_WORDS, _RIGHT_WORDS = 0.3, 0.8
"""Seconds for which the final transcript is waited for where another one, believed or not, reaches the end already."""


class PauseHabits:
    """How long this participant is silent inside a turn: mean and deviation, newest pauses first."""

    def __init__(self) -> None:
        self.mean = 0.0
        self.deviation = 0.0
        self.count = 0

    def paused(self, seconds: float) -> None:
        """They were silent for ``seconds``, and then went on with the same turn."""
        self.count += 1
        if self.count == 1:
            self.mean, self.deviation = seconds, seconds / 4
            return
        error = seconds - self.mean
        self.mean += _LEARNING * error
        self.deviation += _LEARNING * (abs(error) - self.deviation)

    def usual_limit(self) -> float | None:
        """A silence longer than this is no pause of theirs; None while too little is known."""
        if self.count < _PAUSES_TO_TRUST:
            return None
        return self.mean + _MARGIN * self.deviation


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to be silent before the turn counts as over, and why."""

    seconds: float
    likely: bool
    """True when the end is likely enough to prepare a reply."""
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a turn when its speaker falls silent."""

    text: str
    language: str = ""
    confidence: float = 1.0
    """How far the text can be believed, 0 to 1."""
    melody: Melody | None = None
    """How the speech before the silence ended; None where that says nothing."""
    probability: float | None = None
    """A turn model's answer to "is it over?", 0 to 1; None where there is none."""
    covered: bool = True
    """False while the recogniser has yet to tell the words before the silence: those that it told say nothing."""
    length: float = 0.0
    """Seconds from the turn's onset to its last voice."""


def final_within(confidence: float) -> float:
    """Seconds for which the final transcript is worth waiting for, where other words reach the end of the speech.

    Words that are believed seldom change any more. What is doubted often does, and a reply to words that nobody said
    costs more than half a second: a recogniser that is behind, on a crowded machine, says so in its confidence.
    """
    return _BETTER_WORDS if confidence >= _BELIEVED else _RIGHT_WORDS


def wait_for(evidence: Evidence, habits: PauseHabits, settings: EndpointingSettings) -> Wait:
    """The silence that ends this turn, between ``min_delay`` and ``max_delay``."""
    usual = _usual(habits, settings)
    if not settings.semantic:
        return Wait(usual, True, "silence")
    if not evidence.covered:
        # There is no answer without these words, so that to wait for them costs nothing.
        return Wait(max(settings.max_delay, settings.min_delay), False, "behind")
    by_words = completeness(evidence.text, evidence.language)
    if evidence.probability is None and by_words is None:
        return Wait(usual, False, "silence")
    if only_opens(evidence):
        return Wait(usual, True, "unsure")
    probability = likelihood(evidence)
    patience = _patience(probability, evidence.confidence, usual, settings)
    seconds = max(patience, _until_another_begins(evidence.length, habits, settings))
    if probability >= _LIKELY:
        return Wait(seconds, True, "complete")
    if probability <= _UNLIKELY:
        return Wait(seconds, False, "unfinished")
    return Wait(seconds, True, "doubtful" if evidence.confidence < _BELIEVED else "unsure")


def _patience(probability: float, confidence: float, usual: float, settings: EndpointingSettings) -> float:
    """The less likely an end, the longer the silence: to answer late costs little, to interrupt costs a sentence.

    Between the four delays it grows evenly with the log-odds; words that are believed wait less for what is open.
    """
    soonest, longest = min(settings.min_delay, settings.max_delay), max(settings.max_delay, settings.min_delay)
    doubtful = min(max(settings.doubtful_delay, usual), longest)
    either = usual + min(1.0, (1 - confidence) / _BELIEVED) * (doubtful - usual)
    delays = ((_SURE, soonest), (_USUAL, usual), (_OPEN, either), (_BROKEN_OFF, longest))
    odds = min(_bare_log_odds(probability), _SURE)
    for (high, shorter), (low, longer) in itertools.pairwise(delays):
        if odds >= low:
            return shorter + (longer - shorter) * (high - odds) / (high - low)
    return longest


def likelihood(evidence: Evidence, weights: Weights = WEIGHTS) -> float:
    """How likely the sentence is over, 0 to 1, by all that is known; whatever is absent counts nothing."""
    odds = sum(
        weight * value
        for weight, value in zip(
            (
                weights.words,
                weights.brief,
                weights.fall,
                -weights.held,
                weights.model_over,
                weights.model_unfinished,
            ),
            sources(evidence),
            strict=True,
        )
    )
    return 1 / (1 + math.exp(-odds))


def another_may_follow(length: float, weights: Weights = WEIGHTS) -> float:
    """How far another sentence is to be reckoned with, 0 to 1, when one is over after ``length`` seconds of a turn."""
    return min(1.0, weights.lengthy * math.log2(max(length, SHORT_SECONDS) / SHORT_SECONDS))


def _until_another_begins(length: float, habits: PauseHabits, settings: EndpointingSettings) -> float:
    soonest, longest = min(settings.min_delay, settings.max_delay), max(settings.max_delay, settings.min_delay)
    learnt = habits.usual_limit() if settings.adaptive else None
    between = min(max(settings.sentence_delay if learnt is None else learnt, soonest), longest)
    return soonest + another_may_follow(length) * (between - soonest)


def sources(evidence: Evidence) -> tuple[float, float, float, float, float, float]:
    """What words, their fewness, a falling and a held melody, and a turn model that says yes or no bring, unweighed.

    The less the words say, or can be believed, the more the melody counts: a recogniser that mishears often ends on
    "the", and many set no full stops.
    """
    by_words = completeness(evidence.text, evidence.language)
    words_say, doubt = 0.0, 1.0
    if by_words is not None:
        words_say = evidence.confidence * log_odds(by_words)
        doubt = 1.0 - abs(words_say) / MOST
    fall = held = 0.0
    if evidence.melody is not None:
        finished = evidence.melody.finished(asking=_asks(evidence.text, evidence.language))
        fall, held = doubt * finished, doubt * (1.0 - finished)
    heard = min(1.0, (len(words(evidence.text)) - 1) / (ENOUGH_WORDS - 1)) if by_words is not None else 1.0
    model = 0.0 if evidence.probability is None else heard * log_odds(evidence.probability)
    return words_say, float(is_brief(evidence)), fall, held, max(0.0, model), min(0.0, model)


def is_brief(evidence: Evidence) -> bool:
    """True for a word or two that nothing need follow: "yes", "on Tuesday". Whoever means to say more says more.

    Two need a full stop, since a poor recogniser hears two where there were three, and sets none. No more than one
    number: people tell theirs in groups.
    """
    spoken = words(evidence.text)
    if not 0 < len(spoken) <= BRIEF_WORDS or evidence.length > BRIEF_SECONDS:
        return False
    if _trails_off(evidence.text) or _breaks_off(spoken, lexicon(evidence.language)):
        return False
    marked = evidence.text.rstrip().endswith(tuple(_MARKS))
    return len(spoken) == 1 or (marked and not any(word.isdigit() for word in spoken))


def only_opens(evidence: Evidence) -> bool:
    """True for a nod that stands alone ("okay", "oh right"): it opens a turn as often as it is one, in any melody.

    Not for one that answers a question ("yes", "oh yeah").
    """
    spoken, known = words(evidence.text), lexicon(evidence.language)
    if not is_brief(evidence) or not only_backchannels(spoken, known.backchannels):
        return False
    return not first_of(spoken, known.answers)


def _asks(text: str, language: str) -> bool:
    """True for words that begin as a question and do not break off, whatever of them was misheard."""
    spoken, known = words(text), lexicon(language)
    if len(spoken) < _COMPLETE_WORDS or _breaks_off(spoken, known):
        return False
    return spoken[0] in known.questions or (spoken[0] in known.auxiliaries and spoken[1] in known.pronouns)


def _bare_log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))


def _trails_off(text: str) -> bool:
    """Something is to follow, by what stands at the end; a comma alone says less of it."""
    return text.rstrip().endswith(("...", *";:-–—…；：؛"))


def _usual(habits: PauseHabits, settings: EndpointingSettings) -> float:
    learnt = habits.usual_limit() if settings.adaptive else None
    delay = settings.delay if learnt is None else learnt
    return min(max(delay, settings.min_delay), settings.max_delay)


def completeness(text: str, language: str = "") -> float | None:
    """How likely (0 to 1) the words are a whole turn; None when there are none to judge."""
    spoken = words(text)
    if not spoken:
        return None
    ending = text.rstrip()[-1:]
    if ending in ",，、،" or _trails_off(text):
        return 0.1
    marked = ending in _MARKS
    known = lexicon(language)
    if _breaks_off(spoken, known):
        if not marked:
            return 0.1
        # Recognisers put a full stop, or a question mark, behind whatever they hear.
        return 0.5 if known.questions.intersection(spoken[:-1]) else 0.2
    if marked:
        return 0.95
    return 0.8 if len(spoken) >= _COMPLETE_WORDS else 0.5


def _breaks_off(spoken: list[str], known: Lexicon) -> bool:
    """True when a sentence hardly ever ends like this."""
    last = spoken[-1]
    if is_unspaced(last):
        return any(last.endswith(phrase) for phrase in known.dangling) or last in known.openings
    if last in known.auxiliaries:
        return len(spoken) < 2 or spoken[-2] not in known.pronouns
    return last in known.dangling or " ".join(spoken[-2:]) in known.dangling or " ".join(spoken) in known.openings
