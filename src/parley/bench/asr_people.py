"""``parley bench asr --set people=yes``: words wrong on recordings of real people, and what a final transcript costs.

A recording is heard as a session would hear it, at the speed of speech; the CPU time of decoding passes in virtual
time. Left out are recordings of fewer than three words, parts of sentences that other recordings go on, and texts
with a symbol or a number of more than one digit, which can be read in several ways.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

from parley.asr import whisper_window
from parley.audio import AudioFrame
from parley.bench import people
from parley.bench.cpu_time import CpuTimeLoop, timed
from parley.bench.people import Recording
from parley.bench.real_models import asr_settings, loaded
from parley.bench.report import BenchOptions, Goal, LoadMeter, Param, Row, row
from parley.bench.turns.people import is_whole
from parley.bench.word_error import WordError, word_error
from parley.interfaces import Recognizer
from parley.testing.virtual_time import run_virtual
from parley.values import Transcript

_FRAME = 320
_WORDS = 3
_SEVERAL_WAYS = re.compile(r"[*#@\[\]{}|~^_\\]|\d\d|\d\.\d")
_LONGEST = 20.0


@dataclass(slots=True)
class _Heard:
    """Of all recordings."""

    errors: dict[str, WordError] = field(default_factory=lambda: defaultdict(lambda: WordError(0, 0)))
    """By speaker."""
    finals: list[float] = field(default_factory=list)
    """CPU seconds of each final transcript."""
    cpu: float = 0.0
    seconds: float = 0.0


def run(options: BenchOptions) -> list[Row]:
    """Rows for each length of padding (``--set windows=6,10,30``, whisper only), or for the recogniser as it is."""
    languages = options.text("people").replace("yes", "en").split(",")
    tuning = options.text("side", "reporting") == "tuning"
    recordings = [one for one in people.people(languages) if one.tuning == tuning and is_fair(one)]
    if options.trials:
        recordings = recordings[:: max(1, len(recordings) // options.trials)][: options.trials]
    settings = asr_settings(options)
    recognizer = loaded(settings)
    rows: list[Row] = []
    for window in options.text("windows", "").split(","):
        with _padded(window):
            meter = LoadMeter()
            heard = _hear_all(recognizer, recordings, options.text("errors") == "yes")
        named = {"engine": settings.engine, "model": options.text("model")} | ({"window": window} if window else {})
        rows += _rows(heard, {name: value for name, value in named.items() if value}, meter)
    return rows


def is_fair(recording: Recording) -> bool:
    """Its text can be read in one way, and is all that is said."""
    enough = len(recording.text.split()) >= _WORDS and len(recording.samples) <= _LONGEST * people.RATE
    return enough and is_whole(recording) and not _SEVERAL_WAYS.search(recording.text) and "(" not in recording.text


@contextmanager
def _padded(window: str) -> Iterator[None]:
    """Whisper's shortest window for the curve; otherwise it is no setting, since the curve says what is best."""
    name = "_SHORTEST_WINDOW"
    usual = getattr(whisper_window, name)
    setattr(whisper_window, name, float(window) if window else usual)
    try:
        yield
    finally:
        setattr(whisper_window, name, usual)


def _hear_all(recognizer: Callable[[], Recognizer], recordings: Sequence[Recording], show: bool) -> _Heard:
    heard = _Heard()
    for recording in recordings:
        loops: list[CpuTimeLoop] = []

        def loop(made: list[CpuTimeLoop] = loops) -> CpuTimeLoop:
            made.append(CpuTimeLoop())
            return made[-1]

        told = _hear(recognizer(), recording.samples, recording.language)
        transcript, spent = timed(run_virtual, told, loop)
        text = transcript.text
        wrong = word_error(recording.text, text)
        if show and wrong.errors:
            print(f"{wrong.errors} {recording.name}: {recording.text!r} heard as {text!r}")
        heard.errors[recording.speaker] += wrong
        heard.finals += loops[0].spent[-1:]
        heard.cpu += spent
        heard.seconds += len(recording.samples) / people.RATE
    return heard


def hear(
    recognizer: Recognizer, samples: people.Samples, language: str = "en", *, at_once: bool = False
) -> tuple[str, float]:
    """The final transcript of a recording, and how far it can be believed; ``at_once`` without any before it."""
    heard = run_virtual(_hear(recognizer, samples, language, len(samples) if at_once else _FRAME), CpuTimeLoop)
    return heard.text, heard.confidence


async def _hear(recognizer: Recognizer, samples: people.Samples, language: str, frame: int = _FRAME) -> Transcript:
    heard = Transcript("")
    async with aclosing(recognizer.transcribe(_spoken(samples, frame), language=language)) as transcripts:
        async for transcript in transcripts:
            heard = transcript
    return heard


async def _spoken(samples: people.Samples, frame: int) -> AsyncGenerator[AudioFrame, None]:
    for sequence, start in enumerate(range(0, len(samples), frame)):
        piece = samples[start : start + frame]
        await asyncio.sleep(len(piece) / people.RATE)
        yield AudioFrame(piece.tobytes(), people.RATE, "", sequence, start)


def _rows(heard: _Heard, params: dict[str, Param], meter: LoadMeter) -> list[Row]:
    load = meter.read()
    total = sum(heard.errors.values(), WordError(0, 0))
    return [
        _errors("words wrong", total, params, load, Goal(p50=3.5)),
        *(
            _errors("words wrong", wrong, {**params, "speaker": who}, load, Goal())
            for who, wrong in heard.errors.items()
        ),
        row("CPU for a final transcript", "s", heard.finals, goal=Goal(p50=0.15), params=params, load=load),
        row("CPU per second of speech", "s", [heard.cpu / heard.seconds], params=params, load=load),
    ]


def _errors(name: str, wrong: WordError, params: dict[str, Param], load: dict[str, float], goal: Goal) -> Row:
    value = 100 * float(wrong)
    return Row(name, "%", wrong.words, value, None, None, goal, params, load)
