"""The agent's own voice in the microphone: how much is taken out, how often it would interrupt itself, at what cost.

A session's first reply, so that nothing is known of the room yet, in simulated rooms: the loudspeaker reaches the
microphone 30 to 230 ms late, through reflections that die away in 50 to 300 ms, 10 and 20 dB below the participant's
level; and with headphones. Echo only, then with somebody who speaks over it after 0.8, 1.6 and 4 seconds.

``--trials``: rooms for each level (6).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.echo import LoudspeakerEcho
from parley.audio.frame import FRAME_SAMPLES, AudioFrame
from parley.audio.levels import level_db
from parley.audio.processing import available
from parley.audio.resample import resample
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.speech import RATE, Speaker, noise, say, speakers
from parley.session.decide.segmenter import Segmenter, SpeechStarted
from parley.session.settings import SessionSettings
from parley.vad import create_vad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parley.bench.speech import Samples

STORY = (
    "Once upon a time there was a small boat that wanted to see the wide sea. It left the harbour early in the "
    "morning, before anybody was awake, and it did not come back for three long years."
)
INTERRUPTIONS = ("Wait, stop there.", "No, that is not what I meant.", "Stop.", "Hold on, I have a question.")
MOMENTS = (0.8, 1.6, 4.0)
ROOMS = 6
_EARS = 16_000
_NOISE_DB = -65.0
_AHEAD = 0.05
"""Seconds by which the agent's audio is known before it is heard."""
_SOON = 600.0
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class PlayingRoom:
    """From the loudspeaker to the microphone."""

    delay: float
    reverberation: float
    """Seconds until reflections are 60 dB down."""
    direct_db: float
    """The direct sound over all reflections."""
    seed: int

    def response(self) -> NDArray[np.float64]:
        """At 48 kHz, of unit energy: the direct sound, then reflections that die away."""
        rng = np.random.default_rng(self.seed)
        count = int(1.2 * self.reverberation * RATE)
        tail = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / RATE / self.reverberation)
        tail[: RATE // 500] = 0
        tail *= 10 ** (-self.direct_db / 20) / np.sqrt(np.sum(tail**2))
        tail[0] = 1.0
        response = np.concatenate([np.zeros(int(self.delay * RATE)), tail])
        return np.asarray(response / np.sqrt(np.sum(response**2)))


@dataclass
class Heard:
    """What the session made of one recording."""

    cleaned: list[Samples] = field(default_factory=list)
    evidence: list[float] = field(default_factory=list)
    """Seconds at which the reply would be paused."""
    cpu: float = 0.0


def rooms(count: int, seed: int) -> Iterator[PlayingRoom]:
    """Near and far loudspeakers, bare and furnished rooms."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        reverberation, direct = (0.05, 0.1, 0.2, 0.3)[number % 4], (6.0, 3.0, 0.0, -3.0)[number // 2 % 4]
        yield PlayingRoom(float(rng.uniform(0.03, 0.23)), reverberation, direct, number)


def microphone(agent: Samples, echo_db: float | None, room: PlayingRoom, near: Samples, near_at: float) -> Samples:
    """What the microphone hears, at 16 kHz; without a level there are headphones."""
    response = room.response()
    heard = np.zeros(agent.size + RATE // 2)
    if echo_db is not None:
        size = agent.size + RATE
        echo = np.fft.irfft(np.fft.rfft(agent, size) * np.fft.rfft(response, size), size)
        heard += echo[: heard.size] * 10 ** (echo_db / 20)
    heard += noise(heard.size, _NOISE_DB, room.seed)
    begin = int(near_at * RATE)
    heard[begin : begin + near.size] += near
    mixed: Samples = resample(np.clip(heard, -32_768, 32_767).astype(np.int16), RATE, _EARS)
    return mixed


def listen(guard: LoudspeakerEcho | None, agent: Samples, heard: Samples, until: float = np.inf) -> Heard:
    """Play and listen in frames of 10 ms, as a session does while a reply is to be heard."""
    vad, result, sent, frame = create_vad(), Heard(), 0, _EARS // 100
    settings = SessionSettings()
    segmenter = Segmenter(settings.segmenter, alert_threshold=settings.barge_in.alert_threshold)
    segmenter.alert = True
    vad.set_alert(True)
    for start in range(0, heard.size - frame + 1, frame):
        now = (start + frame) / _EARS
        if now > until:
            break
        begun = time.process_time()
        while guard and sent * 0.02 - _AHEAD <= now and (sent + 1) * FRAME_SAMPLES <= agent.size:
            piece = agent[sent * FRAME_SAMPLES : (sent + 1) * FRAME_SAMPLES]
            guard.played(AudioFrame(piece.tobytes()), 100 + sent * 0.02)
            sent += 1
        samples = heard[start : start + frame]
        if guard:
            samples = guard.clean(samples, 100 + now)
        for score in vad.score(samples):
            if not isinstance(segmenter.update(score.probability, score.samples), SpeechStarted):
                continue
            if guard and guard.likelihood() >= settings.barge_in.echo_threshold:
                segmenter.reject()
            else:
                result.evidence.append(now)
        result.cpu += time.process_time() - begun
        result.cleaned.append(samples)
    return result


def guards() -> dict[str, bool | None]:
    """Name -> whether it cancels; None for no guard at all."""
    return {"none": None, "judge": False} | ({"cancel": True} if available() else {})


def run(options: BenchOptions) -> list[Row]:
    """Rows for no guard, the judge alone, and the canceller, at both echo levels and with headphones."""
    rows, meter = [], LoadMeter()
    places = tuple(rooms(options.trials or ROOMS, options.seed))
    for echo_db in (-10.0, -20.0, None):
        for name, cancel in guards().items():
            params = {"guard": name, "echo": "headphones" if echo_db is None else f"{echo_db:g} dB"}
            rows += [
                row(title, unit, values, goal=goal, params=params, load=meter.read())
                for title, unit, values, goal in _measure(cancel, echo_db, places)
            ]
    return rows


def _measure(
    cancel: bool | None, echo_db: float | None, places: tuple[PlayingRoom, ...]
) -> list[tuple[str, str, list[float], Goal | None]]:
    removed, paused, costs, delays, honoured = [], [], [], [], []
    names = speakers()
    for number, room in enumerate(places):
        agent = say(STORY, names[number % len(names)])
        heard = microphone(agent, echo_db, room, agent[:0], 0)
        alone = listen(_guard(cancel), agent, heard)
        removed.append(level_db(heard[_EARS:]) - level_db(np.concatenate(alone.cleaned)[_EARS:]))
        paused.append(100.0 * bool(alone.evidence))
        costs.append(1000 * alone.cpu / (heard.size / _EARS))
        near = say(INTERRUPTIONS[number % len(INTERRUPTIONS)], _somebody_else(names[number % len(names)], number))
        for at in MOMENTS:
            found = listen(_guard(cancel), agent, microphone(agent, echo_db, room, near, at), at + 1).evidence
            delay = min((1000 * (end - at) for end in found if end > at), default=np.inf)
            delays.append(delay)
            honoured.append(100.0 * (delay <= 1000 * near.size / RATE))
    noticed = [delay for delay in delays if delay < np.inf]
    wanted = cancel is not None
    return [
        ("echo taken out", "dB", [] if echo_db is None else removed, None),
        ("replies paused by the agent's own voice", "%", [float(np.mean(paused))], Goal(0) if wanted else None),
        ("interruption, onset to notice", "ms", noticed, None),
        (
            "interruptions noticed before they end",
            "%",
            [float(np.mean(honoured))],
            Goal(95, at_least=True) if wanted else None,
        ),
        ("interruptions noticed within 600 ms", "%", [100 * float(np.mean(np.array(delays) <= _SOON))], None),
        ("CPU per second, with the detector", "ms", costs, None),
    ]


def _somebody_else(agent: Speaker, number: int) -> Speaker:
    """The participant. Voices of one espeak share their recorded consonants: no two people do."""
    others = [one for one in speakers() if one.engine != agent.engine] or [one for one in speakers() if one != agent]
    return others[number % len(others)]


def _guard(cancel: bool | None) -> LoudspeakerEcho | None:
    return None if cancel is None else LoudspeakerEcho(cancel=cancel)
