"""``parley bench turns``: the corpus through Parley's presets and through others' published triggers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from parley.audio.echo import create_echo_guard
from parley.audio.resample import microphone_resampler
from parley.audio.settings import MicrophoneSettings
from parley.bench.cpu_time import CpuTimeLoop
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, Share, percentage, row
from parley.bench.speech import RATE
from parley.bench.turns.corpus import Case, corpus, room_noise, sample_of
from parley.bench.turns.ears import EmbeddedEars, TrueWords
from parley.bench.turns.harness import AFTER, STORY, System, play, spoken
from parley.bench.turns.policies import REFERENCES, Trigger, answers, interruption
from parley.bench.turns.room import Room
from parley.bench.turns.score import SHORT, Line, Outcome, Scores, line, score, summed
from parley.bench.turns.texts import TEXTS
from parley.errors import ConfigError, InvalidRequest
from parley.interfaces import EndOfTurnModel, InterruptionModel, Recognizer
from parley.session.presets import PRESETS
from parley.testing.virtual_time import VirtualTimeLoop
from parley.vad import create_vad
from parley.values import SpeechScore

ACTORS_EVERY = 4
"""Of the lines of the actors, who are many, this part is played; by the CRC-32 of their names."""


def run(options: BenchOptions) -> list[Row]:
    """Rows for every system.

    ``--trials`` bounds the cases of each kind (0: all). ``--set plots=FOLDER`` writes plots there,
    ``--set systems=default,fast`` picks presets, ``--set words=embedded`` (or ``true``) the recogniser,
    ``--set references=no`` leaves the others out, ``--set texts=other`` takes other sentences and other voices,
    ``texts=short`` interruptions of one to four words. ``--set engine=faster-whisper --set model=whisper-tiny.en``
    hears with another recogniser, whose decoding is done for real and passes as CPU time; ``--set turn=smart-turn``
    adds a turn model, ``--set interruption=backchannel-detector`` one of what is said over a reply.
    ``--set people=en`` (or other languages, ``en,fr``) plays recordings of real people instead, which are fetched
    first, and with ``words=embedded`` are heard at one speed however busy the machine is; ``--set side=tuning`` plays
    those that thresholds may be chosen by, ``kinds=turn,pause`` only some cases.
    ``--set session.KEY=VALUE`` changes a setting of every session; ``--set cases=FILE`` writes what happened in each,
    and ``--set from=FILE,FILE`` plays nothing, but sums up what such files tell, of one corpus: so that systems which
    were played one at a time stand in one plot.
    """
    if files := options.text("from"):
        return _told_before(options, files.split(","))
    cases, where = _cases(options)
    meter = LoadMeter()
    names = [name for name in options.text("systems", ",".join(PRESETS)).split(",") if name in PRESETS]
    changed = _changed(options)
    scores: list[Scores] = []
    for hearing in hearings(options):
        for name in names:
            system = hearing.system(name, {**PRESETS[name], **changed})
            scores.append(
                score(system.name, played(cases, system.name, partial(play, system=system), options.text("cases")))
            )
    if options.text("references", "no" if _real(options) or options.text("people") else "yes") == "yes":
        scores += [reference(trigger, cases) for trigger in REFERENCES]
    _draw(options, scores, where)
    load = meter.read()
    note = f"{len(cases)} cases{where}"
    return [replace(entry, note=note) for system in scores for entry in rows(system, load, _goals(options))]


def _told_before(options: BenchOptions, files: Sequence[str]) -> list[Row]:
    """Rows and plots of what earlier runs wrote down, system by system; how busy the machine was then, they know."""
    told: dict[str, list[Line]] = {}
    for one in itertools.chain.from_iterable(read_lines(Path(file)) for file in files):
        told.setdefault(one.system, []).append(one)
    scores = [summed(name, lines) for name, lines in told.items()]
    _draw(options, scores, ", played before")
    return [entry for system in scores for entry in rows(system, {}, _goals(options))]


def _draw(options: BenchOptions, scores: Sequence[Scores], where: str) -> None:
    if folder := options.text("plots"):
        from parley.bench.turns.plots import draw

        draw(scores, Path(folder), where)


def _goals(options: BenchOptions) -> Goals:
    """What is to be reached with these cases and ears."""
    if not options.text("people"):
        return SYNTHETIC
    return PEOPLE if options.text("engine", "pocketsphinx") == "pocketsphinx" else PEOPLE_HEARD_WELL


def _real(options: BenchOptions) -> bool:
    """True when models are real, or people are and no stand-in hears them: time passes as it is measured."""
    named = any(options.text(name) for name in ("engine", "turn", "interruption"))
    return named or bool(options.text("people") and not options.text("words"))


def _cases(options: BenchOptions) -> tuple[list[Case], str]:
    """What is played, and where it is from."""
    if languages := options.text("people"):
        cases, where = _people(options, languages.replace("yes", "en").split(","))
    else:
        texts = options.text("texts", "main")
        if texts not in TEXTS:
            raise InvalidRequest(f"There are no texts {texts!r} for this benchmark; it knows {', '.join(TEXTS)}.")
        cases, where = list(corpus(options.seed, texts=TEXTS[texts]())), f", synthesised at run time ({texts} texts)"
    if kinds := options.text("kinds"):
        cases = [case for case in cases if case.kind in kinds.split(",")]
    return (sample_of(cases, options.trials) if options.trials else cases), where


def _people(options: BenchOptions, languages: Sequence[str]) -> tuple[list[Case], str]:
    from parley.bench import people, people_actors
    from parley.bench.turns.people import corpus as recorded

    side = options.text("side", "reporting")
    if side not in ("tuning", "reporting") or not set(languages) <= set(people.LANGUAGES):
        raise InvalidRequest(
            f"--set people= takes some of {', '.join(people.LANGUAGES)} (with commas), side= tuning or reporting."
        )
    english = "en" in languages
    actors = people_actors.actors(ACTORS_EVERY) if english and side == "tuning" else ()
    noises = people.noises() if english else ()
    recordings = [*people.people(languages), *actors]
    cases = list(recorded(recordings, noises, tuning=side == "tuning", seed=options.seed))
    return cases, f", recorded of people ({', '.join(languages)}); the {side} side of: {people.RULE}"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What listens in the benchmark: recogniser, turn model, and how their time passes."""

    name: str
    ears: Callable[[Case, Room], Recognizer]
    turn_model: EndOfTurnModel | None = None
    interruption: Callable[[], InterruptionModel] | None = None
    measured: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def system(self, preset: str, overrides: Mapping[str, Any]) -> System:
        """With a preset and these settings."""
        return System(
            f"Parley {preset}{self.name}",
            create_vad,
            self.ears,
            {**self.overrides, **overrides},
            partial(create_echo_guard, MicrophoneSettings()),
            self.turn_model,
            self.interruption,
            CpuTimeLoop if self.measured else VirtualTimeLoop,
        )


def hearings(options: BenchOptions) -> Iterator[Hearing]:
    """The stand-ins of the published table, or what was asked for by name."""
    if _real(options):
        yield _by_name(options)
        return
    for words in options.text("words", "embedded,true").split(","):
        if words == "true":
            yield Hearing(", every word understood", TrueWords, overrides={"barge_in.trust_words": "all"})
        else:
            yield Hearing("", lambda case, room: EmbeddedEars())


def _by_name(options: BenchOptions) -> Hearing:
    from parley.bench.real_models import asr_settings, interruption_model, loaded, turn_model

    settings, model, over_replies = asr_settings(options), turn_model(options), interruption_model(options)
    engine = loaded(settings)
    named = options.text("model") or settings.engine
    suffix = f", {named}" + (f", {options.text('turn')}" if model else "")
    suffix += f", {options.text('interruption')}" if over_replies else ""
    return Hearing(suffix, lambda case, room: engine(), model, over_replies, measured=True)


def _changed(options: BenchOptions) -> dict[str, Any]:
    """Session settings that stand in the options."""
    return {
        name.removeprefix("session."): _value(text)
        for name, text in options.params.items()
        if name.startswith("session.")
    }


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def played(cases: Sequence[Case], system: str, player: Callable[[Case], Outcome], file: str = "") -> list[Outcome]:
    """What happens in each; written into the file, if there is one, case by case."""
    outcomes: list[Outcome] = []
    for case in cases:
        outcomes.append(player(case))
        if file:
            write_line(Path(file), line(system, outcomes[-1]))
    return outcomes


def write_line(file: Path, told: Line) -> None:
    """As soon as a case is known: one that went wrong can be found, and what a run found is kept if it breaks off."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(told)) + "\n")


def read_lines(path: Path) -> list[Line]:
    """What ``cases=`` wrote. Raises ConfigError where the file is missing or is none."""
    try:
        told = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
        return [Line(**one | {"answered": tuple(one["answered"])}) for one in told]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} has no cases of 'parley bench turns --set cases=FILE': {error}.") from error


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
        start = int(sound.begin * RATE)
        track[start : start + len(sound.samples)] += sound.samples
    if case.echo_db is not None:
        story = np.concatenate([spoken(sentence) for sentence in STORY])[:count]
        track[: len(story)] += (story * 10 ** (case.echo_db / 20)).astype(np.int32)
    microphone, detector = microphone_resampler(RATE), create_vad()
    samples = np.clip(track, -32768, 32767).astype(np.int16)
    for start in range(0, count, 960):
        yield from detector.score(microphone.process(samples[start : start + 960]))


@dataclass(frozen=True, slots=True)
class Goals:
    """What the default preset is to reach."""

    honoured: float
    short: float | None
    nods: float
    noises: float
    pauses: float
    early: float
    silence: Goal
    """Onset to silence in quiet rooms."""
    answer: Goal
    resume: Goal
    echo: float = 2


SYNTHETIC = Goals(98, None, 2, 2, 5, 2, Goal(p95=95), Goal(p50=350), Goal(p95=400))
PEOPLE = Goals(95, 85, 5, 5, 40, 5, Goal(p95=150), Goal(p50=450, p95=1000), Goal())
"""With the embedded recogniser."""
PEOPLE_HEARD_WELL = Goals(95, 90, 5, 5, 20, 3, Goal(p95=150), Goal(p50=400, p95=700), Goal())
"""With a better one."""


def rows(scores: Scores, load: Mapping[str, float], goals: Goals = SYNTHETIC) -> list[Row]:
    """One system's numbers; the goals are those of the default preset."""
    ours = scores.name.startswith("Parley default")
    params = {"system": scores.name}

    def rate(name: str, value: Share, goal: Goal) -> Row:
        return percentage(name, value, goal=goal if ours else None, params=params, load=load)

    def delay(name: str, seconds: list[float], goal: Goal) -> Row:
        values = [1000 * value for value in seconds]
        return row(name, "ms", values, goal=goal if ours else None, params=params, load=load)

    measured = [
        rate("interruptions honoured", scores.honoured, Goal(goals.honoured, at_least=True)),
        rate(f"interruptions below {SHORT:g} s honoured", scores.short_honoured, Goal(goals.short, at_least=True)),
        rate("nods that lose the reply", scores.backchannels_lost, Goal(goals.nods)),
        rate("noises that lose the reply", scores.noises_lost, Goal(goals.noises)),
        rate("pauses inside a turn taken for its end", scores.pauses_taken, Goal(goals.pauses)),
        rate("turns answered", scores.turns_answered, Goal()),
        rate("false ends", scores.false_ends, Goal(goals.early)),
        *(
            rate(f"replies ended by their own echo at {level:g} dB", value, Goal(goals.echo))
            for level, value in scores.self_interrupted.items()
        ),
        delay("onset to silence, 20 dB", scores.onset_to_silence_quiet, goals.silence),
        delay("onset to silence, all", scores.onset_to_silence, Goal()),
        delay("sound's end to resume", scores.resume_gap, goals.resume),
        delay("end of turn to answer", scores.turn_latency, goals.answer),
        delay("end of a turn of one word to answer", scores.one_word_latency, Goal()),
    ]
    return [entry for entry in measured if entry.n]
