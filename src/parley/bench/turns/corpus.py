"""Conversations with a known truth, synthesised at run time from several voices.

In each case the agent speaks (or waits), and something sounds in the participant's microphone at a
known sample. The case says what a person with good manners would do about it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from parley.bench.speech import RATE, SPEECH_LEVEL_DB, Samples, Speaker, level, noise, say, to_int16
from parley.bench.turns.texts import Texts, main_texts

Kind = Literal["interruption", "backchannel", "noise", "background", "echo", "turn", "pause"]

AGENT_SPEAKS: frozenset[Kind] = frozenset({"interruption", "backchannel", "noise", "background", "echo"})
"""Kinds in which the agent is telling a story when the sound begins."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound in the microphone."""

    samples: Samples
    """48 kHz; begins at its strict onset and ends with its last voiced block, but for ``lead`` and ``tail``."""
    at: float
    """The onset, in seconds: from the agent's first sample where it speaks, else from the session's start."""
    text: str = ""
    """What is said; empty for noises."""
    lead: float = 0.0
    """Seconds of the samples that lie before the onset: what a recording has there is not cut off."""
    tail: float = 0.0
    """Seconds of the samples that lie behind the last voiced block."""

    @property
    def begin(self) -> float:
        """When the first sample sounds."""
        return self.at - self.lead

    @property
    def end(self) -> float:
        """One past the last voiced sample, in seconds."""
        return self.begin + len(self.samples) / RATE - self.tail


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation."""

    name: str
    kind: Kind
    sounds: tuple[Sound, ...]
    snr_db: float
    """Active speech level over the noise of the room."""
    seed: int
    echo_db: float | None = None
    """How loud the agent's own voice comes back into the microphone, relative to what is played."""
    language: str = ""
    """Of the session; empty for the default."""

    @property
    def agent_speaks(self) -> bool:
        """True when the agent is in the middle of a reply."""
        return self.kind in AGENT_SPEAKS

    @property
    def voice(self) -> float:
        """Seconds from the first onset to the last voiced sample."""
        return self.end - self.sounds[0].at if self.sounds else 0.0

    @property
    def end(self) -> float:
        """When the last sound is over."""
        return max((sound.end for sound in self.sounds), default=0.0)


BACKGROUND_DB = -18.0
"""A television or a person across the room: this much quieter than the participant."""


def corpus(seed: int = 1, *, size: int = 1, texts: Texts | None = None) -> Iterator[Case]:
    """All cases, ``size`` times with other timings. The same seed gives the same samples."""
    texts = texts or main_texts()
    for round_ in range(size):
        rng = random.Random(f"{seed}/{round_}")
        yield from _spoken_over_the_agent(rng, "interruption", texts.interruptions, texts.speakers)
        yield from _spoken_over_the_agent(rng, "backchannel", texts.backchannels, texts.speakers)
        yield from _noises(rng)
        yield from _background(rng, texts)
        yield from _echoes(rng)
        yield from _turns(rng, texts)
        yield from _paused_turns(rng, texts)


SNRS = (20.0, 10.0, 5.0)


def _spoken_over_the_agent(
    rng: random.Random, kind: Kind, texts: Sequence[str], speakers: Sequence[Speaker]
) -> Iterator[Case]:
    for speaker in speakers:
        for index, text in enumerate(texts):
            # Most rooms are quiet: two of four cases at 20 dB, one each at 10 and 5.
            snr = (20.0, 10.0, 20.0, 5.0)[index % 4]
            sound = Sound(say(text, speaker), rng.uniform(1.0, 4.0), text)
            yield Case(f"{kind}/{text}/{speaker.name}/{snr:g}dB", kind, (sound,), snr, rng.randrange(2**31))


def _noises(rng: random.Random) -> Iterator[Case]:
    for maker in (cough, click, keys, door, breath):
        for repeat in range(4):
            seed = rng.randrange(2**31)
            sound = Sound(maker(seed), rng.uniform(1.0, 4.0))
            yield Case(f"noise/{maker.__name__}/{repeat}", "noise", (sound,), 20.0, seed)


def _background(rng: random.Random, texts: Texts) -> Iterator[Case]:
    for speaker in texts.speakers:
        for text in texts.background:
            quiet = quieter(say(text, speaker), BACKGROUND_DB)
            sound = Sound(quiet, rng.uniform(1.0, 3.0), text)
            # 40 dB: otherwise the room's own noise would hide what is to be ignored.
            yield Case(f"background/{text[:20]}/{speaker.name}", "background", (sound,), 40.0, rng.randrange(2**31))


def _echoes(rng: random.Random) -> Iterator[Case]:
    for echo_db in (-10.0, -20.0):
        for repeat in range(12):
            yield Case(f"echo/{echo_db:g}dB/{repeat}", "echo", (), 30.0, rng.randrange(2**31), echo_db)


def _turns(rng: random.Random, texts: Texts) -> Iterator[Case]:
    for speaker in texts.speakers:
        for index, text in enumerate(texts.turns):
            sound = Sound(say(text, speaker), rng.uniform(0.6, 1.2), text)
            snr = SNRS[index % 2]
            yield Case(f"turn/{text}/{speaker.name}/{snr:g}dB", "turn", (sound,), snr, rng.randrange(2**31))


def _paused_turns(rng: random.Random, texts: Texts) -> Iterator[Case]:
    for speaker in texts.speakers:
        for first, second in texts.paused_turns:
            opening = Sound(unfinished(first, speaker), rng.uniform(0.6, 1.2), first)
            pause = rng.uniform(0.35, 0.9)
            closing = Sound(say(second, speaker), opening.end + pause, second)
            name = f"pause/{first}/{pause * 1000:.0f}ms/{speaker.name}"
            yield Case(name, "pause", (opening, closing), 20.0, rng.randrange(2**31))


def unfinished(text: str, speaker: Speaker) -> Samples:
    """Words that do not sound as if the sentence were over: no final fall, no full stop."""
    return say(f"{text},", speaker)


def quieter(samples: Samples, by_db: float) -> Samples:
    """The same sound, ``by_db`` (negative) away."""
    return to_int16((samples * (10 ** (by_db / 20) / 32768)).astype(np.float32))


# --- noises that people and rooms make ---------------------------------------------------


def cough(seed: int) -> Samples:
    """Two bursts of low noise, a third of a second each, with a sharp beginning."""
    rng = np.random.default_rng(seed)
    burst = _burst(rng, 0.28, attack=0.008, colour=0.93)
    gap = np.zeros(int(0.12 * RATE))
    return _loud(np.concatenate([burst, gap, 0.8 * _burst(rng, 0.22, attack=0.01, colour=0.93)]), SPEECH_LEVEL_DB)


def breath(seed: int) -> Samples:
    """Air over the microphone: half a second that swells and fades."""
    rng = np.random.default_rng(seed)
    return _loud(_burst(rng, 0.5, attack=0.2, colour=0.6), SPEECH_LEVEL_DB - 8)


def click(seed: int) -> Samples:
    """One click of 4 ms."""
    rng = np.random.default_rng(seed)
    return _loud(_burst(rng, 0.004, attack=0.0003, colour=0.1), -12.0)


def keys(seed: int) -> Samples:
    """Somebody types six letters."""
    rng = np.random.default_rng(seed)
    strokes = [
        np.concatenate([_burst(rng, 0.006, 0.0005, 0.2), np.zeros(int(gap * RATE))])
        for gap in rng.uniform(0.08, 0.16, 6)
    ]
    return _loud(np.concatenate(strokes), -16.0)


def door(seed: int) -> Samples:
    """A thud that rings for a quarter of a second."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(0.25 * RATE)) / RATE
    thud = sum(np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) for f in (63.0, 97.0, 141.0)) * np.exp(-time / 0.06)
    return _loud(thud + 0.2 * _burst(rng, 0.25, 0.001, 0.8)[: len(time)] * np.exp(-time / 0.02), -14.0)


def _burst(rng: np.random.Generator, seconds: float, attack: float, colour: float) -> np.ndarray:
    """Noise with a rise and an exponential fall; ``colour`` near 1 is dark."""
    count = max(8, int(seconds * RATE))
    white = rng.standard_normal(count)
    dark = np.empty(count)
    state = 0.0
    for index, value in enumerate(white):
        state = colour * state + (1 - colour) * value
        dark[index] = state
    time = np.arange(count) / RATE
    shape = np.minimum(1.0, time / max(attack, 1e-4)) * np.exp(-np.maximum(0.0, time - attack) / (seconds / 3))
    burst: np.ndarray = dark * shape
    return burst


def _loud(samples: np.ndarray, level_db: float) -> Samples:
    peak = float(np.abs(samples).max()) or 1.0
    return level((samples / peak).astype(np.float32), level_db)


# --- the room ------------------------------------------------------------------------------


def room_noise(case: Case, count: int) -> Samples:
    """The noise floor of the case's room, ``count`` samples."""
    return noise(count, SPEECH_LEVEL_DB - case.snr_db, case.seed)


def room_response(seed: int, seconds: float = 0.08, delay: float = 0.03) -> np.ndarray:
    """Loudspeaker to microphone: a direct path after ``delay``, then an exponential tail; unit energy."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    tail = rng.standard_normal(count) * np.exp(-np.arange(count) / (count / 5)) * 0.3
    tail[0] = 1.0
    response = np.concatenate([np.zeros(int(delay * RATE)), tail])
    unit: np.ndarray = response / np.sqrt(np.sum(response**2))
    return unit


def sample_of(cases: Sequence[Case], most_per_kind: int) -> list[Case]:
    """At most so many cases of each kind, spread over the corpus: for a quick look."""
    picked: list[Case] = []
    for kind in dict.fromkeys(case.kind for case in cases):
        same = [case for case in cases if case.kind == kind]
        step = max(1, len(same) // most_per_kind)
        picked += same[::step][:most_per_kind]
    return picked
