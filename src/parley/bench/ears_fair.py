"""Who keeps talking does not make the others deaf: a short question while three people talk without a pause.

From the moment at which the frame with the question's last sample is sent to the arrival of the first frame of the
answer, through a server with the embedded recogniser. The talkers talk for as long as questions are asked, the
asker's own sessions come and go. ``--sessions 1,2`` are the numbers of decoders, ``--set talkers=3`` says how many
talk, ``--trials`` how many questions are asked; ``--set recogniser=NAME`` takes another recogniser.
``--set clock=cpu`` measures the recogniser alone, and counts its CPU time: what is right on a busy machine;
``--set recogniser=faster-whisper --set model=whisper-tiny.en`` is another than the embedded one here, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from parley.bench import speech
from parley.bench.probe import RATE, Probe, at_rate, session
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.stack import running_parley
from parley.errors import ParleyError
from parley.messages import ReplyStarted, TranscriptUpdate

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRIALS = 15
TALKERS = 3
DECODERS = (1, 2)
QUESTIONS = ("What time is it?", "Tell me a story.", "Tell me a joke.", "Who are you?")
TALK = (
    "I would like to tell you about the house by the sea where my brother and I lived when we were young",
    "and every day we went down to the water to look for stones and shells and to see the boats come home",
    "and when the winter came we sat at the window and counted the waves until our mother called us to the table",
)
NOISE_DB = -60.0
_HEADSTART = 6.0
"""Seconds that the talkers talk before the first question."""
_SECONDS_OF_TALK = 60.0


@dataclass(slots=True)
class Tally:
    """Milliseconds from the last speech frame to the answer's first frame, and what the talkers were told."""

    answers: list[float] = field(default_factory=list)
    unanswered: int = 0
    errors: list[str] = field(default_factory=list)
    words: int = 0
    """That were understood of the talkers."""


def run(options: BenchOptions) -> list[Row]:
    """Rows for each number of decoders, and without talkers to compare with."""
    if options.text("clock") == "cpu":
        embedded = options.text("recogniser", "pocketsphinx") == "pocketsphinx"
        alone = _alone if embedded else _alone_as_served
        return [alone(decoders, options) for decoders in options.sessions or DECODERS]
    rows: list[Row] = []
    engine = options.text("recogniser", "pocketsphinx")
    for decoders in options.sessions or DECODERS:
        for talkers in (0, int(options.number("talkers", TALKERS))):
            settings = {"asr.engine": engine, "asr.decoders": decoders}
            with running_parley(options, worker="tone", settings=settings) as parley:
                meter = LoadMeter()
                tally = asyncio.run(_measure(parley.url, talkers, options))
            rows += _rows(tally, {"decoders": decoders, "talkers": talkers}, meter)
    return rows


def _rows(tally: Tally, params: dict[str, int], meter: LoadMeter) -> list[Row]:
    load = meter.read()
    rows = [
        row("short question, last frame to the answer", "ms", tally.answers, goal=Goal(p95=2_000), params=params,
            load=load),
        row("short question, not answered", "questions", [tally.unanswered], goal=Goal(p50=0), params=params),
    ]  # fmt: skip
    if params["talkers"]:
        rows += [
            row("talkers, words understood", "words", [tally.words], params=params),
            row("talkers, errors told", "errors", [len(tally.errors)], params=params),
        ]
    return rows


def _alone(decoders: int, options: BenchOptions) -> Row:
    from parley.bench.ears_alone import Room

    talkers, people = int(options.number("talkers", TALKERS)), speech.speakers()
    room, trials = Room(decoders), options.trials or TRIALS
    for number in range(talkers):
        room.speak(number, 0.3 * number, _talk(number))
    questions = [at_rate(speech.say(text, people[number]), RATE) for number, text in enumerate(QUESTIONS)]
    for trial in range(trials):
        room.speak(talkers + trial, _HEADSTART + 3.0 * trial, questions[trial % len(questions)])
    over = _HEADSTART + 3.0 * (trials + 1)
    said = room.run(over)
    lags = [1000 * ((turn.understood or over) - turn.ended) for number, turn in said.items() if number >= talkers]
    params: dict[str, str | int] = {"decoders": decoders, "talkers": talkers, "clock": "cpu"}
    return row("short question, last sample to its final", "ms", lags, goal=Goal(p95=1_500), params=params)


def _alone_as_served(decoders: int, options: BenchOptions) -> Row:
    from parley.bench.ears_alone import lags
    from parley.bench.real_models import asr_settings, loaded

    engine, talkers, people = options.text("recogniser"), int(options.number("talkers", TALKERS)), speech.speakers()
    named = replace(options, params={**options.params, "engine": engine})
    trials = options.trials or TRIALS
    questions = [at_rate(speech.say(text, people[number]), RATE) for number, text in enumerate(QUESTIONS)]
    found = lags(
        loaded(asr_settings(named, decoders)),
        [_talk(number) for number in range(talkers)],
        [questions[trial % len(questions)] for trial in range(trials)],
        first=_HEADSTART,
        every=3.0,
    )
    values = [1000 * lag for lag in found]
    params: dict[str, str | int] = {
        "decoders": decoders, "talkers": talkers, "clock": "cpu", "recogniser": options.text("model") or engine,
    }  # fmt: skip
    return row("short question, last sample to its final", "ms", values, goal=Goal(p95=1_500), params=params)


async def _measure(url: str, talkers: int, options: BenchOptions) -> Tally:
    tally = Tally()
    people = speech.speakers()
    questions = [at_rate(speech.say(text, people[number]), RATE) for number, text in enumerate(QUESTIONS)]
    talk = [_talk(number) for number in range(talkers)]
    async with asyncio.TaskGroup() as group:
        talking = [group.create_task(_talker(url, samples, tally, number)) for number, samples in enumerate(talk)]
        await asyncio.sleep(_HEADSTART if talkers else 0.0)
        for trial in range(options.trials or TRIALS):
            await _ask(url, questions[trial % len(questions)], tally, options.seed + trial)
        for task in talking:
            task.cancel()
    return tally


def _talk(number: int) -> NDArray[np.int16]:
    """A minute of one person's talk, without a pause."""
    who = speech.speakers()[2 + number]
    said = np.concatenate([at_rate(speech.say(text, who), RATE) for text in TALK])
    return np.tile(said, int(np.ceil(_SECONDS_OF_TALK * RATE / len(said))))


async def _talker(url: str, samples: NDArray[np.int16], tally: Tally, number: int) -> None:
    """Talk for ever; whatever is answered, talk on."""
    while True:
        with contextlib.suppress(TimeoutError):
            try:
                async with session(url, seed=100 + number, noise_db=NOISE_DB) as probe:
                    try:
                        await probe.mouth.say(samples, 0.1 + 0.3 * number)
                        await probe.mouth.speech_ended.wait()
                    finally:
                        tally.words += _words(probe)
            except ParleyError as error:
                tally.errors.append(error.message)


def _words(probe: Probe) -> int:
    """How many were understood."""
    shown = [event.message for event in probe.events if isinstance(event.message, TranscriptUpdate)]
    return sum(len(last.text.split()) for last in {one.turn: one for one in shown}.values())


async def _ask(url: str, samples: NDArray[np.int16], tally: Tally, seed: int) -> None:
    try:
        async with session(url, seed=seed, noise_db=NOISE_DB) as probe:
            await probe.mouth.say(samples, 0.5)
            await asyncio.wait_for(probe.mouth.speech_ended.wait(), 20)
            _, reply = await probe.until(ReplyStarted)
            heard_at = await probe.audible(reply.number)
            tally.answers.append(1000 * max(0.0, heard_at - probe.mouth.ended_at))
    except (ParleyError, TimeoutError):
        tally.unanswered += 1
