"""Fits the weights of ``parley.session.decide.weights`` on the tuning side, and shows what each source brings.

    python scripts/fit_endpointing.py --set model=whisper-tiny.en --set turn=smart-turn

Is the sentence over? An end is a whole utterance of a person's, or a turn of the synthetic voices'. A pause is a
person's sentence cut at the deepest dip in its middle (what they recorded without a hesitation is given one), or the
synthetic voices' first half. All are judged 0.1 s after the last voice, as a session does.

Does another follow? The same whole utterances against what people of three languages said before each silence of
0.3 s and more, on which they went on. Words are not asked; length, melody and the turn model are, which hears 0.1 s
of the silence, and once more with 0.3 s of it.

What people say when nobody wrote it for a telephone: lines of actors, whole ones against what was said before each
silence inside of one. Loudness, rate and questions are asked as well, which no other judgement uses; and what stood
alone before the silence is counted: a word or two, a nod, an answer.

Recordings and models are fetched or named as ``parley bench turns --set people=en`` does; nothing of the reporting
side is looked at.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import soxr
from numpy.typing import NDArray

from parley.bench import people, speech
from parley.bench.asr_people import hear
from parley.bench.people import RATE, Samples, Stretch
from parley.bench.people_actors import actors
from parley.bench.real_models import asr_settings, loaded, turn_model
from parley.bench.report import BenchOptions
from parley.bench.turns.corpus import corpus
from parley.bench.turns.people import is_breath
from parley.interfaces import EndOfTurnModel, Recognizer
from parley.session.decide.endpointing import Evidence, is_brief, only_opens, sources
from parley.session.decide.lexicon import words
from parley.session.decide.melody import melody
from parley.session.decide.weights import MOST, SHORT_SECONDS, WEIGHTS, Weights

_BEHIND = RATE // 10
_AGAIN = 3 * RATE // 10
_SHORTEST_CUT, _FEWEST_WORDS = 1.2, 4
_LANGUAGES = ("en", "fr", "it")
"""Of whom something may be looked at."""
_RIDGE = 1.0
"""Two hundred examples deserve no large weights."""
GROUPS = {"words": ("words", "brief"), "melody": ("fall", "held"), "turn model": ("model_over", "model_unfinished")}
FOLLOWING = ("always", "length", "fall", "model", "model again")
"""What may say that nothing follows: the first stands for how often nothing does."""
_LINES, _WHOLE_LINES = 8, 3
"""Of the actors' lines one in so many is heard, and of those without a pause again."""
SPOKEN = ("always", "length", "words", "fall", "faded", "question", "rate", "model")
"""The same for the actors: ``faded`` in dB below the voice before, ``rate`` in words per second."""
_FADE_BLOCKS = 20


@dataclass(frozen=True, slots=True)
class Example:
    """Speech, and whether it was all."""

    samples: Samples
    """16 kHz, its last voice ``_BEHIND`` before its end."""
    over: bool
    length: float
    """Seconds from its onset to its last voice."""


def examples() -> Iterator[Example]:
    """The tuning side of the people, and the synthetic voices of the published texts."""
    for recording, stretch in people.singles([one for one in people.people(["en"]) if one.tuning]):
        if is_breath(recording, stretch):
            yield Example(_quiet_behind(recording.samples[: stretch.end]), over=True, length=stretch.seconds)
            if stretch.seconds >= _SHORTEST_CUT and len(recording.text.split()) >= _FEWEST_WORDS:
                end = dip(recording.samples, stretch)
                length = (end - stretch.start) / RATE
                yield Example(_quiet_behind(recording.samples[:end]), over=False, length=length)
    for case in corpus():
        if case.kind in ("turn", "pause"):
            said = soxr.resample(case.sounds[0].samples, speech.RATE, RATE)
            yield Example(_quiet_behind(said), over=case.kind == "turn", length=len(said) / RATE)


def _quiet_behind(samples: Samples) -> Samples:
    return np.concatenate([samples, np.zeros(_BEHIND, np.int16)])


def dip(samples: Samples, stretch: Stretch) -> int:
    """Where the middle of a breath is quietest: between two words, most often."""
    voice = samples[stretch.start : stretch.end]
    blocks = voice[: len(voice) // people.BLOCK * people.BLOCK].reshape(-1, people.BLOCK).astype(np.float64)
    power = np.convolve(np.mean(blocks**2, axis=1), np.ones(5) / 5, "same")
    low, high = int(0.3 * len(power)), int(0.7 * len(power))
    return stretch.start + (low + int(np.argmin(power[low:high]))) * people.BLOCK


@dataclass(frozen=True, slots=True)
class Silence:
    """Speech with what is heard behind it, and whether that was all."""

    samples: Samples
    """16 kHz, its last voice ``_AGAIN`` before its end."""
    over: bool
    length: float


def silences() -> Iterator[Silence]:
    """The tuning side of the people: whole utterances, and what they said before each pause."""
    for recording in people.people(_LANGUAGES):
        if not recording.tuning:
            continue
        found = people.stretches(recording.samples)
        if len(found) == 1 and is_breath(recording, found[0]):
            yield _silence(recording.samples[: found[0].end], found[0].seconds, over=True)
        for before, behind in itertools.pairwise(found):
            if before.seconds >= people.PAUSE and (behind.start - before.end) <= 2 * RATE:
                yield _silence(recording.samples[: before.end], before.seconds, over=False)


def _silence(samples: Samples, length: float, *, over: bool) -> Silence:
    """The silence is no recording's: what breathes in it would tell a pause from an end that was cut off."""
    return Silence(np.concatenate([samples[-8 * RATE :], np.zeros(_AGAIN, np.int16)]), over, length)


def fitted(table: NDArray[np.float64], over: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights by ridge regression of the log-odds, ends and pauses counting the same; and their mean log loss."""
    share = np.where(over > 0, 0.5 / over.sum(), 0.5 / (len(over) - over.sum())) * len(over)
    weights = np.zeros(table.shape[1])
    for _ in range(60):
        likely = 1 / (1 + np.exp(-table @ weights))
        gradient = table.T @ (share * (over - likely)) - _RIDGE * weights
        curvature = (table * (share * likely * (1 - likely))[:, None]).T @ table + _RIDGE * np.eye(len(weights))
        weights = weights + np.linalg.solve(curvature, gradient)
    return weights, loss(table, over, weights)


def loss(table: NDArray[np.float64], over: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Mean log loss, ends and pauses counting the same; 0.693 knows nothing."""
    odds = np.where(over > 0, 1.0, -1.0) * (table @ weights)
    each = np.logaddexp(0.0, -odds)
    return float((each[over > 0].mean() + each[over == 0].mean()) / 2)


def area(table: NDArray[np.float64], over: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """How often an end is judged likelier than a pause; 0.5 is chance."""
    odds = table @ weights
    higher = odds[over > 0][:, None] - odds[over == 0][None, :]
    return float(np.mean((higher > 0) + 0.5 * (higher == 0)))


def main() -> None:
    """Print the weights, and the table of what each source brings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", default=[], help="engine=, model=, turn=, store=: as parley bench")
    given = dict(part.split("=", 1) for part in parser.parse_args().set)
    options = BenchOptions(
        params={"engine": "faster-whisper", "model": "whisper-tiny.en", "turn": "smart-turn"} | given
    )
    recognizer, model = loaded(asr_settings(options)), turn_model(options)
    rows, over = [], []
    for example in examples():
        text, confidence = hear(recognizer(), example.samples)
        probability = model.probability(example.samples[-8 * RATE :]) if model else None
        evidence = Evidence(text, "en", confidence, melody(example.samples), probability, length=example.length)
        rows.append(sources(evidence))
        over.append(example.over)
    show(np.array(rows), np.array(over, float))
    if model is not None:
        show_following(model)
        show_spoken(recognizer, model)


def show_following(model: EndOfTurnModel) -> None:
    """What tells an end from a pause between sentences."""
    rows, over = [], []
    for silence in silences():
        early, again = (
            _bounded(model.probability(silence.samples[: len(silence.samples) - _AGAIN + heard]))
            for heard in (_BEHIND, _AGAIN)
        )
        heard = melody(silence.samples[:-_AGAIN])
        doublings = math.log2(max(silence.length, SHORT_SECONDS) / SHORT_SECONDS)
        rows.append((1.0, -doublings, 0.0 if heard is None else heard.finished(), early, again))
        over.append(silence.over)
    table, truth = np.array(rows), np.array(over, float)
    print(f"\ndoes another sentence follow? {int(truth.sum())} ends, {int(len(truth) - truth.sum())} pauses")
    _show_sources(FOLLOWING, table, truth)


def lines() -> Iterator[Example]:
    """What the actors say before each pause, and whole lines that hold none."""
    whole = 0
    for recording in actors(_LINES):
        found = people.stretches(recording.samples)
        for before, behind in itertools.pairwise(found):
            if before.seconds >= people.PAUSE and (behind.start - before.end) <= 2 * RATE:
                yield Example(_quiet_behind(recording.samples[before.start : before.end]), False, before.seconds)
        if len(found) == 1 and is_breath(recording, found[0]):
            whole += 1
            if whole % _WHOLE_LINES == 0:
                said = recording.samples[found[0].start : found[0].end]
                yield Example(_quiet_behind(said), over=True, length=found[0].seconds)


def show_spoken(recognizer: Callable[[], Recognizer], model: EndOfTurnModel) -> None:
    """What tells an actor's end from a pause, and what stands alone before either."""
    rows, over, alone = [], [], {True: Counter[str](), False: Counter[str]()}
    for line in lines():
        heard = hear(recognizer(), line.samples, at_once=True)
        evidence = Evidence(heard[0], "en", heard[1], melody(line.samples), length=line.length)
        alone[line.over][_alone(evidence)] += 1
        said, _, fall, *_ = sources(evidence)
        rows.append((
            1.0, -math.log2(max(line.length, SHORT_SECONDS) / SHORT_SECONDS), said, fall,
            faded(line.samples[:-_BEHIND]), float(evidence.text.rstrip().endswith("?")),
            len(words(evidence.text)) / line.length, _bounded(model.probability(line.samples[-8 * RATE :])),
        ))  # fmt: skip
        over.append(line.over)
    table, truth = np.array(rows), np.array(over, float)
    print(f"\nlines of actors: {int(truth.sum())} ends {dict(alone[True])}, pauses {dict(alone[False])}")
    _show_sources(SPOKEN, table, truth)


def _alone(evidence: Evidence) -> str:
    if not is_brief(evidence):
        return "longer"
    return "nod" if only_opens(evidence) else "a word or two"


def faded(voice: Samples) -> float:
    """How much quieter its last 0.2 s are than all of it that is voice, in dB, 0 to 15."""
    blocks = voice[len(voice) % people.BLOCK :].reshape(-1, people.BLOCK).astype(np.float64)
    level = 10 * np.log10(np.mean(blocks**2, axis=1) + 1)
    usual = level[level > level.max() - people.STRICT_DB].mean()
    return float(min(15.0, max(0.0, usual - level[-_FADE_BLOCKS:].mean())))


def _show_sources(names: Sequence[str], table: NDArray[np.float64], truth: NDArray[np.float64]) -> None:
    weights, lost = fitted(table, truth)
    print("fitted:", _named(names, weights), f"log loss {lost:.3f}, area {area(table, truth, weights):.3f}")
    for what, kept in (("without {}", False), ("{} alone", True)):
        for name in names[1:]:
            part = table * np.array([other == names[0] or (other == name) == kept for other in names])
            again, lost = fitted(part, truth)
            print(f"{what.format(name)}: log loss {lost:.3f}, area {area(part, truth, again):.3f}")


def _bounded(probability: float) -> float:
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return min(MOST, max(-MOST, math.log(bounded / (1 - bounded))))


def show(table: NDArray[np.float64], over: NDArray[np.float64]) -> None:
    names = [entry.name for entry in fields(Weights) if entry.name != "lengthy"]
    # A source speaks against the end where its weight is written without a sign.
    signs = np.array([-1.0 if name == "held" else 1.0 for name in names])
    weights, lost = fitted(table, over)
    print(f"{int(over.sum())} ends, {int(len(over) - over.sum())} pauses")
    print("fitted:", _named(names, signs * weights), f"log loss {lost:.3f}, area {area(table, over, weights):.3f}")
    used = signs * np.array([getattr(WEIGHTS, name) for name in names])
    print(
        "in use:",
        _named(names, signs * used),
        f"log loss {loss(table, over, used):.3f}, area {area(table, over, used):.3f}",
    )
    for group, members in GROUPS.items():
        without = table * np.array([name not in members for name in names])
        again, lost = fitted(without, over)
        print(f"without {group}: log loss {lost:.3f}, area {area(without, over, again):.3f}")
    for name in names:
        without = table * np.array([name != other for other in names])
        again, lost = fitted(without, over)
        print(f"without {name} alone: log loss {lost:.3f}, area {area(without, over, again):.3f}")


def _named(names: Sequence[str], weights: NDArray[np.float64]) -> str:
    assert not any(math.isnan(weight) for weight in weights)
    return ", ".join(f"{name} {weight:.2f}" for name, weight in zip(names, weights, strict=True))


if __name__ == "__main__":
    main()
