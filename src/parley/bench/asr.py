"""``parley bench asr``: from a word's end to a partial transcript with it, from a turn's end to its final one.

Turns of five seconds are spoken at real time into the recogniser that sessions share, by several people at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np
import soxr

from parley import clock
from parley.asr import create_recognizer
from parley.audio import AudioFrame
from parley.bench.real_models import asr_settings
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.speech import RATE, Samples, Speaker, noise, say, speakers
from parley.interfaces import Recognizer
from parley.values import Transcript, TranscriptWord

HEARD_RATE = 16_000
FRAME = 320
SECONDS = 5.0
TEXT = "I would like to hear a long story about the man who lived at the edge of the sea and counted the waves"
NOISE_DB = -60.0
"""A quiet room."""
ROUNDS = 6
DEFAULT_SESSIONS = (1, 4)


@dataclass(slots=True)
class Heard:
    """One turn: when its first sample was spoken, and what came back when, in seconds after that."""

    began: float = 0.0
    ended: float = 0.0
    transcripts: list[tuple[float, Transcript]] = field(default_factory=list)


def run(options: BenchOptions) -> list[Row]:
    """Rows for each number of sessions. ``--set engine=NAME`` and ``--set model=NAME`` pick a recogniser.

    There are as many decoders as sessions, unless ``--set decoders=N`` says otherwise. ``--set people=en`` counts the
    words that it gets wrong on recordings of people instead, which are fetched first.
    """
    if options.text("people"):
        from parley.bench import asr_people

        return asr_people.run(options)
    return asyncio.run(_measure(options))


async def _measure(options: BenchOptions) -> list[Row]:
    rows: list[Row] = []
    for count in options.sessions or DEFAULT_SESSIONS:
        settings = asr_settings(options, count)
        recognizer = create_recognizer(settings)
        try:
            await _round(recognizer, count, 0)  # loads the engines
            meter = LoadMeter()
            heard = [
                turn for number in range(options.trials or ROUNDS) for turn in await _round(recognizer, count, number)
            ]
            rows += _rows(heard, {"engine": settings.engine, "sessions": count}, meter.read())
        finally:
            await recognizer.aclose()
    return rows


async def _round(recognizer: Recognizer, count: int, number: int) -> list[Heard]:
    """So many people speak at once, each a little after the other."""
    people = speakers()
    turns = [_turn(recognizer, _spoken(people[(number + index) % len(people)]), 0.13 * index) for index in range(count)]
    return await asyncio.gather(*turns)


async def _turn(recognizer: Recognizer, samples: Samples, delay: float) -> Heard:
    await asyncio.sleep(delay)
    heard = Heard(began=clock.now())
    async with aclosing(recognizer.transcribe(_at_real_time(samples, heard))) as transcripts:
        async for transcript in transcripts:
            heard.transcripts.append((clock.now() - heard.began, transcript))
    return heard


async def _at_real_time(samples: Samples, heard: Heard) -> AsyncGenerator[AudioFrame, None]:
    for sequence, start in enumerate(range(0, len(samples), FRAME)):
        # A frame is there once its last sample has been spoken.
        await asyncio.sleep(max(0.0, heard.began + (start + FRAME) / HEARD_RATE - clock.now()))
        yield AudioFrame(samples[start : start + FRAME].tobytes(), HEARD_RATE, "", sequence, start)
    heard.ended = clock.now() - heard.began


def _spoken(speaker: Speaker) -> Samples:
    """Five seconds of speech at the recogniser's rate, in a quiet room."""
    speech = say(TEXT, speaker)[: int(SECONDS * RATE)]
    heard = soxr.resample(speech, RATE, HEARD_RATE)
    quiet = noise(len(heard), NOISE_DB, seed=1)
    mixed: Samples = np.clip(heard.astype(np.int32) + quiet, -32768, 32767).astype(np.int16)
    return mixed


def word_delays(transcripts: Sequence[tuple[float, Transcript]], words: Sequence[TranscriptWord]) -> list[float]:
    """Seconds from each word's end to the first transcript with at least as many words."""
    return [delay for number, word in enumerate(words, 1) for delay in _first_with(number, word, transcripts)]


def _first_with(number: int, word: TranscriptWord, transcripts: Sequence[tuple[float, Transcript]]) -> Iterator[float]:
    for at, transcript in transcripts:
        if len(transcript.text.split()) >= number:
            yield max(0.0, at - word.end)
            return


def _rows(heard: Sequence[Heard], params: Mapping[str, str | int], load: Mapping[str, float]) -> list[Row]:
    delays = [
        1000 * delay
        for turn in heard
        if turn.transcripts
        for delay in word_delays(turn.transcripts, turn.transcripts[-1][1].words)
    ]
    finals = [1000 * (turn.transcripts[-1][0] - turn.ended) for turn in heard if turn.transcripts]
    return [
        row("word's end to a partial with it", "ms", delays, goal=Goal(p95=500), params=params, load=load),
        row("end of a 5 s turn to its final", "ms", finals, goal=Goal(p95=300), params=params, load=load),
    ]
