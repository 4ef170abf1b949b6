"""How soon, how surely and at what cost each voice activity detector hears that somebody speaks.

Onset delay: from the first 5 ms of an utterance within 35 dB of its peak (a strict onset, which
includes a soft "s" or "h") to the end of the audio that decided, over random alignments of
speech, grid and noise. ``--trials`` sets the utterances per noise level, ``--set seconds=`` the
length of each sound that is not speech.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.resample import resample
from parley.bench.report import BenchOptions, Goal, LoadMeter, Param, Row, row
from parley.bench.speech import SPEECH_LEVEL_DB, mix, noise, say, speakers
from parley.bench.turns import corpus as sounds
from parley.vad import VadSettings, create_vad

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RATE = 16_000
SENTENCES = (
    "What is the weather like today?", "Hold on, I have a question.", "Stop there please.",
    "Actually, can you say that again?", "No, that is not what I meant.", "How much does it cost?",
    "Wait a moment.", "Tell me about the second one.", "Four would be better.", "She said it was fine.",
)  # fmt: skip
_GRID = 128
_LEAD = 2.0


@dataclass(frozen=True)
class Variant:
    """A detector, how it is used, and from which probability on it counts as speech."""

    name: str
    settings: VadSettings
    alert: bool
    threshold: float


_PLAIN, _GATED = VadSettings(gate=False), VadSettings()
DEFAULT = Variant("silero 8 ms, gated, > .3", _GATED, True, 0.3)
VARIANTS = (
    Variant("silero 32 ms, > .3", _PLAIN, False, 0.3),
    Variant("silero 32 ms, gated, > .3", _GATED, False, 0.3),
    Variant("silero 16 ms, > .3", replace(_PLAIN, alert_grid_ms=16), True, 0.3),
    Variant("silero 8 ms, > .3", _PLAIN, True, 0.3),
    DEFAULT,
    replace(DEFAULT, name="silero 8 ms, gated, > .15", threshold=0.15),
    replace(DEFAULT, name="silero 8 ms, gated, > .5", threshold=0.5),
    Variant("webrtc mode 3", VadSettings(engine="webrtc"), True, 0.5),
)


@dataclass(frozen=True)
class Utterance:
    """Speech in noise with a known onset."""

    audio: NDArray[np.int16]
    onset: int


def utterances(snr_db: float, count: int, seed: int) -> list[Utterance]:
    """Speech in pink noise ``snr_db`` below it, with random alignment to the detector's grid."""
    rng, names = np.random.default_rng(seed), speakers()
    result = []
    for number in range(count):
        speech = resample(say(SENTENCES[number % len(SENTENCES)], names[number % len(names)]), 48_000, RATE)
        lead = int(_LEAD * RATE) + int(rng.integers(0, 512))
        padded = np.concatenate((np.zeros(lead, np.int16), speech))
        background = noise(padded.size, SPEECH_LEVEL_DB - snr_db, seed=seed * 1_000 + number)
        result.append(Utterance(mix(padded, background), lead))
    return result


def detections(variant: Variant, audio: NDArray[np.int16]) -> list[int]:
    """Ends (in samples) of the decisions that said speech."""
    vad = create_vad(settings=variant.settings)
    vad.set_alert(variant.alert)
    found, done = [], 0
    for start in range(0, audio.size, _GRID):
        for score in vad.score(audio[start : start + _GRID]):
            done += score.samples
            if score.probability >= variant.threshold:
                found.append(done)
    return found


def onset_delays(variant: Variant, cases: list[Utterance]) -> tuple[list[float], int, int]:
    """Delays in ms; the utterances detected before their onset; those missed."""
    delays, early, missed = [], 0, 0
    for case in cases:
        found = detections(variant, case.audio)
        early += any(end <= case.onset for end in found)
        after = [end for end in found if end > case.onset]
        if after:
            delays.append((after[0] - case.onset) / RATE * 1000)
        else:
            missed += 1
    return delays, early, missed


def false_alarms(variant: Variant, audio: NDArray[np.int16]) -> float:
    """Events per minute; positives within 300 ms of each other are one."""
    found = detections(variant, audio)
    events = sum(1 for n, end in enumerate(found) if n == 0 or end - found[n - 1] > 0.3 * RATE)
    return events / (audio.size / RATE / 60)


def cost(variant: Variant, audio: NDArray[np.int16], frame: int = 320) -> float:
    """Milliseconds of CPU per second of audio, in frames of 20 ms as they arrive."""
    vad = create_vad(settings=variant.settings)
    vad.set_alert(variant.alert)
    vad.score(audio[: 2 * RATE])
    start = time.process_time()
    for begin in range(0, audio.size, frame):
        vad.score(audio[begin : begin + frame])
    return (time.process_time() - start) / (audio.size / RATE) * 1000


def chords(seconds: float, seed: int) -> NDArray[np.int16]:
    """Something like music: plucked chords with overtones, twice a second, at about -20 dBFS."""
    rng = np.random.default_rng(seed)
    out, clock = np.zeros(int(seconds * RATE)), np.arange(RATE // 2) / RATE
    for beat in np.arange(0, seconds - 0.5, 0.5):
        root = 110 * 2 ** (rng.integers(0, 24) / 12)
        begin = int(beat * RATE)
        for interval in (0, 4, 7):
            for overtone in range(1, 6):
                tone = np.sin(2 * np.pi * root * 2 ** (interval / 12) * overtone * clock) / overtone
                out[begin : begin + clock.size] += 2_500 * tone * np.exp(-4 * clock)
    return np.clip(out, -32_768, 32_767).astype(np.int16)


def _repeated(make: Callable[[int], NDArray[np.int16]], seconds: float, every: float) -> NDArray[np.int16]:
    out = noise(int(seconds * RATE), -60, seed=1).astype(np.int32)
    for number, begin in enumerate(np.arange(0.5, seconds - 1, every)):
        sound = resample(make(number), 48_000, RATE)
        out[int(begin * RATE) : int(begin * RATE) + sound.size] += sound
    return np.clip(out, -32_768, 32_767).astype(np.int16)


def negatives(seconds: float) -> dict[str, NDArray[np.int16]]:
    """Sounds that are not speech, by name."""
    return {
        "pink -43 dBFS": noise(int(seconds * RATE), -43, seed=2),
        "pink -23 dBFS": noise(int(seconds * RATE), -23, seed=3),
        "key clicks": _repeated(sounds.keys, seconds, 1.5),
        "clicks": _repeated(sounds.click, seconds, 0.6),
        "coughs": _repeated(sounds.cough, seconds, 2.0),
        "breath": _repeated(sounds.breath, seconds, 2.0),
        "doors": _repeated(sounds.door, seconds, 1.0),
        "music-like": chords(seconds, 4),
    }


def run(options: BenchOptions) -> list[Row]:
    """Onset delays at 20 and 10 dB, false alarms per minute, and CPU, for every variant."""
    rows: list[Row] = []
    params: dict[str, Param]
    meter = LoadMeter()
    loud = utterances(20, options.trials or 30, options.seed)
    for snr, cases in ((20, loud), (10, utterances(10, options.trials or 30, options.seed))):
        for variant in VARIANTS:
            delays, early, missed = onset_delays(variant, cases)
            goal = Goal(22, 92) if snr == 20 and variant is DEFAULT else None
            params = {"detector": variant.name, "snr_db": snr, "early": early, "missed": missed}
            rows.append(row("onset delay", "ms", delays, goal=goal, params=params, load=meter.read()))
    for name, audio in negatives(options.number("seconds", 60)).items():
        for variant in VARIANTS:
            params = {"detector": variant.name, "sound": name}
            rows.append(row("false alarms", "1/min", [false_alarms(variant, audio)], params=params, load=meter.read()))
    talk = np.concatenate([case.audio for case in loud[:8]])
    for name, audio in (("speech", talk), ("silence", np.zeros(10 * RATE, np.int16)), ("room", noise(320_000, -55, 5))):
        for variant in VARIANTS:
            params = {"detector": variant.name, "sound": name}
            rows.append(row("CPU per second", "ms", [cost(variant, audio)], params=params, load=meter.read()))
    return rows
