"""The agent's own voice in the microphone: how much is taken out, how often it would interrupt itself, at what cost.

A simulated room without headphones: the loudspeaker reaches the microphone 150 ms late, by a response of 80 ms,
10 and 20 dB below the participant's level. Echo only, then with somebody who speaks over it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.echo import LoudspeakerEcho
from parley.audio.frame import FRAME_SAMPLES, AudioFrame
from parley.audio.levels import level_db
from parley.audio.processing import available
from parley.audio.resample import resample
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.speech import RATE, noise, say, speakers
from parley.bench.turns.corpus import room_response
from parley.vad import create_vad

if TYPE_CHECKING:
    from parley.bench.speech import Samples, Speaker

STORY = (
    "Once upon a time there was a small boat that wanted to see the wide sea. It left the harbour early in the "
    "morning, before anybody was awake, and it did not come back for three long years."
)
INTERRUPTIONS = ("Wait, stop there.", "No, that is not what I meant.", "Stop.", "Hold on, I have a question.")
_EARS, _DELAY, _NEAR_AT, _SPEECH, _ECHO = 16_000, 0.15, 4.0, 0.3, 0.6


@dataclass
class Heard:
    """What the ears made of one recording."""

    cleaned: list[Samples] = field(default_factory=list)
    evidence: list[float] = field(default_factory=list)
    """Ends, in seconds, of frames with speech in them that is not taken for an echo."""
    cpu: float = 0.0


def microphone(agent: Samples, echo_db: float, near: Samples | None = None) -> Samples:
    """What the microphone hears, at 16 kHz."""
    size = 2 * agent.size
    response = room_response(3, delay=_DELAY)
    echo = np.fft.irfft(np.fft.rfft(agent, size) * np.fft.rfft(response, size))[: agent.size + RATE // 2]
    heard = echo * 10 ** (echo_db / 20) + noise(echo.size, -70, 1)
    if near is not None:
        begin = int(_NEAR_AT * RATE)
        heard[begin : begin + near.size] += near
    mixed: Samples = resample(np.clip(heard, -32_768, 32_767).astype(np.int16), RATE, _EARS)
    return mixed


def listen(guard: LoudspeakerEcho | None, agent: Samples, heard: Samples) -> Heard:
    """Play and listen in frames of 20 ms, the agent's audio known 50 ms ahead."""
    vad, result, sent, frame = create_vad(), Heard(), 0, _EARS // 50
    vad.set_alert(True)
    for start in range(0, heard.size - frame + 1, frame):
        now = (start + frame) / _EARS
        while sent * 0.02 - 0.05 <= now and (sent + 1) * FRAME_SAMPLES <= agent.size:
            piece = agent[sent * FRAME_SAMPLES : (sent + 1) * FRAME_SAMPLES]
            if guard:
                guard.played(AudioFrame(piece.tobytes()), 100 + sent * 0.02)
            sent += 1
        begun = time.process_time()
        samples = heard[start : start + frame]
        if guard:
            samples = guard.clean(samples, 100 + now)
        speech = any(score.probability > _SPEECH for score in vad.score(samples))
        if speech and (guard is None or guard.likelihood() < _ECHO):
            result.evidence.append(now)
        result.cpu += time.process_time() - begun
        result.cleaned.append(samples)
    return result


def guards() -> dict[str, bool | None]:
    """Name -> whether it cancels; None for no guard at all."""
    return {"none": None, "judge": False} | ({"cancel": True} if available() else {})


def run(options: BenchOptions) -> list[Row]:
    """Rows for no guard, the judge alone, and the canceller, at both echo levels."""
    rows, meter, names = [], LoadMeter(), speakers()
    for echo_db in (-10, -20):
        for name, cancel in guards().items():
            params = {"guard": name, "echo_db": echo_db}
            rows += [
                row(title, unit, values, goal=goal, params=params, load=meter.read())
                for title, unit, values, goal in _measure(cancel, echo_db, names)
            ]
    return rows


def _measure(
    cancel: bool | None, echo_db: float, names: tuple[Speaker, ...]
) -> list[tuple[str, str, list[float], Goal | None]]:
    removed, shares, costs, delays = [], [], [], []
    for number, name in enumerate(names):
        agent = say(STORY, name)
        heard = microphone(agent, echo_db)
        result = listen(_guard(cancel), agent, heard)
        cleaned = np.concatenate(result.cleaned)
        removed.append(level_db(heard[_EARS:]) - level_db(cleaned[_EARS:]))
        shares.append(100 * len(result.evidence) / len(result.cleaned))
        costs.append(1000 * result.cpu / (heard.size / _EARS))
        near = say(INTERRUPTIONS[number % len(INTERRUPTIONS)], names[number - 1])
        found = listen(_guard(cancel), agent, microphone(agent, echo_db, near)).evidence
        delays += [1000 * (end - _NEAR_AT) for end in found if end > _NEAR_AT][:1]
    return [
        ("echo taken out", "dB", removed, None),
        ("own voice as evidence", "% of frames", shares, Goal(2) if cancel else None),
        ("double talk: onset", "ms", delays, None),
        ("CPU per second", "ms", costs, None),
    ]


def _guard(cancel: bool | None) -> LoudspeakerEcho | None:
    return None if cancel is None else LoudspeakerEcho(cancel=cancel)
