"""``parley bench turns``: the corpus through Parley's presets and through others' published triggers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from parley.audio.echo import create_echo_guard
from parley.audio.resample import microphone_resampler
from parley.audio.settings import MicrophoneSettings
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.speech import RATE
from parley.bench.turns.corpus import Case, corpus, room_noise, sample_of
from parley.bench.turns.ears import EmbeddedEars, TrueWords
from parley.bench.turns.harness import AFTER, STORY, System, play, spoken
from parley.bench.turns.policies import REFERENCES, Trigger, answers, interruption
from parley.bench.turns.room import Room
from parley.bench.turns.score import Outcome, Scores, score
from parley.bench.turns.texts import TEXTS
from parley.errors import InvalidRequest
from parley.interfaces import Recognizer
from parley.session.presets import PRESETS
from parley.vad import create_vad
from parley.values import SpeechScore


def run(options: BenchOptions) -> list[Row]:
    """Rows for every system.

    ``--trials`` bounds the cases of each kind (0: all). ``--set plots=FOLDER`` writes plots there,
    ``--set systems=default,fast`` picks presets, ``--set words=embedded`` (or ``true``) the recogniser,
    ``--set references=no`` leaves the others out, ``--set texts=other`` takes other sentences and other voices,
    ``texts=short`` interruptions of one to four words.
    """
    texts = options.text("texts", "main")
    if texts not in TEXTS:
        raise InvalidRequest(f"There are no texts {texts!r} for this benchmark; it knows {', '.join(TEXTS)}.")
    cases = list(corpus(options.seed, texts=TEXTS[texts]()))
    if options.trials:
        cases = sample_of(cases, options.trials)
    meter = LoadMeter()
    names = options.text("systems", ",".join(PRESETS)).split(",")
    hearing = options.text("words", "embedded,true").split(",")
    scores = [measure(name, PRESETS[name], cases, words) for words in hearing for name in names if name in PRESETS]
    if options.text("references", "yes") == "yes":
        scores += [reference(trigger, cases) for trigger in REFERENCES]
    if folder := options.text("plots"):
        from parley.bench.turns.plots import draw

        draw(scores, Path(folder))
    load = meter.read()
    return [entry for system in scores for entry in rows(system, load)]


def measure(name: str, overrides: Mapping[str, Any], cases: Sequence[Case], words: str = "embedded") -> Scores:
    """Parley with these session settings; ``words`` are heard by the embedded recogniser, or are all "true"."""
    if words == "true":
        overrides = {"barge_in.trust_words": "all", **overrides}
    ears: Callable[[Case, Room], Recognizer] = TrueWords if words == "true" else lambda case, room: EmbeddedEars()
    system = System(name, create_vad, ears, overrides, partial(create_echo_guard, MicrophoneSettings()))
    suffix = ", every word understood" if words == "true" else ""
    return score(f"Parley {name}{suffix}", [play(case, system) for case in cases])


def reference(trigger: Trigger, cases: Sequence[Case]) -> Scores:
    """Another system's triggers on the same sounds."""
    return score(trigger.name, [_triggered(trigger, case) for case in cases])


def _triggered(trigger: Trigger, case: Case) -> Outcome:
    scores = list(_scores(case))
    if not case.agent_speaks:
        return Outcome(case, answered_at=tuple(answers(trigger, scores)))
    at = interruption(trigger, scores)
    return Outcome(case, paused_at=at, lost=at is not None)


def _scores(case: Case) -> Iterator[SpeechScore]:
    """The detector's scores for the microphone of a case in which the reply just goes on."""
    count = int((case.end + AFTER + 3.0) * RATE)
    track = room_noise(case, count).astype(np.int32)
    for sound in case.sounds:
        start = int(sound.at * RATE)
        track[start : start + len(sound.samples)] += sound.samples
    if case.echo_db is not None:
        story = np.concatenate([spoken(sentence) for sentence in STORY])[:count]
        track[: len(story)] += (story * 10 ** (case.echo_db / 20)).astype(np.int32)
    microphone, detector = microphone_resampler(RATE), create_vad()
    samples = np.clip(track, -32768, 32767).astype(np.int16)
    for start in range(0, count, 960):
        yield from detector.score(microphone.process(samples[start : start + 960]))


def rows(scores: Scores, load: Mapping[str, float]) -> list[Row]:
    """One system's numbers; the goals are those of the default preset."""
    ours = scores.name.startswith("Parley default")

    def rate(name: str, value: float, goal: Goal) -> Row:
        return row(name, "%", [100 * value], goal=goal if ours else None, params={"system": scores.name}, load=load)

    def delay(name: str, seconds: list[float], goal: Goal) -> Row:
        values = [1000 * value for value in seconds]
        return row(name, "ms", values, goal=goal if ours else None, params={"system": scores.name}, load=load)

    most = {
        level: rate(f"replies ended by their own echo at {level:g} dB", share, Goal(2))
        for level, share in scores.self_interrupted.items()
    }
    return [
        rate("interruptions honoured", scores.honoured, Goal(98, at_least=True)),
        rate("nods that lose the reply", scores.backchannels_lost, Goal(2)),
        rate("noises that lose the reply", scores.noises_lost, Goal(2)),
        rate("pauses inside a turn taken for its end", scores.pauses_taken, Goal(5)),
        rate("turns answered", scores.turns_answered, Goal()),
        rate("false ends", scores.false_ends, Goal(2)),
        *most.values(),
        delay("onset to silence, 20 dB", scores.onset_to_silence_quiet, Goal(p95=95)),
        delay("onset to silence, all", scores.onset_to_silence, Goal()),
        delay("sound's end to resume", scores.resume_gap, Goal(p95=400)),
        delay("end of turn to answer", scores.turn_latency, Goal(p50=350)),
    ]
