"""Which recordings of people are good enough to make a voice of: each fault is told, on spoken speech."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import soxr

from parley.api.recordings import stretches
from parley.audio.reference import RATE, Measured, complaint, measure, reference_of
from parley.bench import speech
from parley.errors import InvalidRequest

GOOD = Measured(seconds=8.0, speech=0.9, level_db=-23.0, clipped=0.0, snr_db=40.0)
SENTENCES = (
    "The north wind and the sun were disputing which was the stronger, when a traveller came along.",
    "They agreed that the one who first made him take his cloak off should be called the stronger.",
)
Samples = np.ndarray


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"seconds": 6.0}, ""),
        ({"seconds": 30.0}, ""),
        ({"speech": 0.6}, ""),
        ({"seconds": 0.0, "level_db": -71.0}, "No speech was found in the recording (its level is -71 dBFS)"),
        ({"seconds": 5.9}, "There are 5.9 s of speech in the recording; 6 to 30 s are needed."),
        ({"seconds": 30.2}, "takes 30.2 s from the first word to the last; 6 to 30 s are taken"),
        ({"level_db": -44.0}, "too quiet: its speech is at -44 dBFS"),
        ({"clipped": 0.043}, "overdriven: 4.3 % of its samples"),
        ({"snr_db": 9.0}, "too noisy: its speech is 9 dB over the noise"),
        ({"speech": 0.4}, "Only 40 % of the recording is speech"),
    ],
)
def test_each_fault_has_its_sentence(change: dict[str, float], said: str) -> None:
    why = complaint(replace(GOOD, **change))
    assert (said in why) if said else not why


def spoken(speaker: speech.Speaker, seconds: float = 9.0) -> Samples:
    """About that long, with a short breath between sentences and half a second of room around it, at 24 kHz."""
    breath, room = np.zeros(speech.RATE // 5, np.int16), np.zeros(speech.RATE // 2, np.int16)
    parts = [room]
    while sum(part.size for part in parts) < seconds * speech.RATE:
        parts += [speech.say(SENTENCES[len(parts) // 2 % 2], speaker), breath]
    return soxr.resample(np.concatenate([*parts, room]), speech.RATE, RATE).astype(np.int16)


def verdict(samples: Samples) -> str:
    """What is said of a recording whose speech is found as it is in use."""
    found = stretches(soxr.resample(samples, RATE, 16_000).astype(np.int16))
    return complaint(measure(samples, found))


def noisy(samples: Samples, snr_db: float) -> Samples:
    power = np.mean(samples[samples != 0].astype(float) ** 2)
    noise = np.random.default_rng(1).normal(0, np.sqrt(power / 10 ** (snr_db / 10)), samples.size)
    return np.clip(samples + noise, -32_768, 32_767).astype(np.int16)


def clipped(samples: Samples, over_db: float) -> Samples:
    """As a microphone whose level is that much too high."""
    louder = samples.astype(float) * 32_767 / np.abs(samples).max() * 10 ** (over_db / 20)
    return np.clip(louder, -32_768, 32_767).astype(np.int16)


FAULTS: list[tuple[str, Callable[[Samples], Samples], str]] = [
    ("as it is", lambda it: it, ""),
    ("a quiet room", lambda it: noisy(it, 30), ""),
    ("to the limit, and no further", lambda it: clipped(it, 0), ""),
    ("a loud room", lambda it: noisy(it, 8), "too noisy"),
    ("overdriven", lambda it: clipped(it, 15), "overdriven"),
    ("overdriven, then turned down", lambda it: (clipped(it, 15) * 0.4).astype(np.int16), "overdriven"),
    ("from another room", lambda it: (it / 40).astype(np.int16), "too quiet"),
    ("four seconds", lambda it: it[: 4 * RATE], "6 to 30 s are needed"),
    ("nothing", lambda it: np.zeros_like(it), "No speech was found"),
    ("hiss alone", lambda it: np.random.default_rng(2).normal(0, 300, it.size).astype(np.int16), "No speech was found"),
    ("a long pause", lambda it: np.concatenate([it[: 4 * RATE], np.zeros(9 * RATE, np.int16), it[4 * RATE :]]), "Only"),
    ("a whole speech", lambda it: np.tile(it, 4), "6 to 30 s are taken"),
]


@pytest.mark.parametrize("speaker", speech.speakers(), ids=lambda it: it.name)
@pytest.mark.parametrize(("change", "said"), [pytest.param(*rest, id=name) for name, *rest in FAULTS])
def test_what_is_wrong_with_a_recording_is_found(
    speaker: speech.Speaker, change: Callable[[Samples], Samples], said: str
) -> None:
    why = verdict(change(spoken(speaker)))
    assert (said in why) if said else not why, why


def test_the_part_from_the_first_word_to_the_last_is_kept() -> None:
    samples = np.zeros(12 * RATE, np.int16)
    samples[2 * RATE : 10 * RATE] = spoken(speech.speakers()[0], 8)[RATE // 2 :][: 8 * RATE]
    kept = reference_of(samples, [(2.0, 6.0), (6.3, 10.0)])
    assert kept.size == pytest.approx(8.3 * RATE, abs=2)
    assert np.array_equal(kept, samples[round(1.85 * RATE) :][: kept.size])


def test_one_that_does_not_serve_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="No speech"):
        reference_of(np.zeros(8 * RATE, np.int16), [])
