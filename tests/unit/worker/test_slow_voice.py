"""An utterance of a voice that is slower than real time, with an engine that is played by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from parley.errors import ConfigError
from parley.values import ModelInfo, SynthesizedAudio, Voice
from parley.worker.engine_pool import EnginePool
from parley.worker.framing import FramingOptions
from parley.worker.head_start import Speed
from parley.worker.job import Job
from parley.worker.utterance import Utterance, UtteranceHooks, UtteranceLimits

pytestmark = pytest.mark.anyio

PACE = 0.1
"""Seconds a letter: "One two." is worth a second."""
SLOW = Speed(factor=1.5, pace=PACE)


class Stage:
    """An utterance, the jobs that it gave away, and whether its engine was woken."""

    def __init__(self, speed: Speed = SLOW, *, head_start: float = 60.0, read_ahead: float = 60.0) -> None:
        self.jobs: list[Job] = []
        self.woken = 0
        self.first: list[float] = []
        self.utterance = Utterance(
            "u", Voice(), self.jobs.append, self._wake, FramingOptions(loudness=False, trim=False),
            UtteranceLimits(read_ahead=read_ahead, head_start=head_start),
            UtteranceHooks(first_frame=self.first.append), speed=speed,
        )  # fmt: skip

    def _wake(self) -> None:
        self.woken += 1

    async def made(self, number: int, seconds: float) -> None:
        """The engine gives all of a piece at once."""
        job = self.jobs[number]
        job.started()
        job.push(SynthesizedAudio(np.full(round(48_000 * seconds), 900, np.int16), 48_000), 0.0)
        job.finished(None)
        await settled()

    def ask(self) -> asyncio.Task[list[Any]]:
        return asyncio.get_running_loop().create_task(self.utterance.next_frames(1))


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_frame_of_a_slow_voice_waits_until_what_follows_will_come_in_time() -> None:
    stage = Stage()
    stage.utterance.add_text("One two three four. Five six seven eight nine ten.")
    stage.utterance.end_text()
    await stage.made(0, 2.0)
    first = stage.ask()
    await settled()
    assert not first.done()
    assert stage.jobs[1].wants_more()
    await stage.made(1, 3.0)
    assert (await first)[0].sequence == 0
    assert len(stage.first) == 1


async def test_a_voice_that_keeps_up_begins_with_its_first_frame() -> None:
    stage = Stage(Speed(factor=0.1, pace=PACE))
    stage.utterance.add_text("One two three four. Five six seven eight nine ten.")
    await stage.made(0, 2.0)
    assert (await stage.ask())[0].sequence == 0


async def test_a_voice_of_unknown_speed_begins_with_its_first_frame() -> None:
    stage = Stage(Speed())
    stage.utterance.add_text("One two three four. Five six seven eight nine ten.")
    await stage.made(0, 2.0)
    assert (await stage.ask())[0].sequence == 0


async def test_a_slow_voice_does_not_begin_with_a_clause_whose_sentence_is_still_to_come() -> None:
    stage = Stage()
    stage.utterance.add_text("Well, that depends,")
    await stage.made(0, 1.5)
    first = stage.ask()
    await settled()
    assert not first.done()
    stage.utterance.end_text()  # it was all there is
    assert (await first)[0].sequence == 0


async def test_it_waits_no_longer_than_it_may() -> None:
    stage = Stage(head_start=0.02)
    stage.utterance.add_text("One two three four. Five six seven eight nine ten.")
    await stage.made(0, 2.0)
    assert (await stage.ask())[0].sequence == 0  # with the second piece never made
    assert 0.02 <= stage.first[0] < 60


async def test_it_waits_for_nothing_that_an_engine_with_enough_ahead_will_not_make() -> None:
    stage = Stage(read_ahead=1.0)
    stage.utterance.add_text("One two three four. Five six seven eight nine ten.")
    await stage.made(0, 2.0)
    assert (await stage.ask())[0].sequence == 0


async def test_an_engine_that_fails_meanwhile_ends_the_wait() -> None:
    stage = Stage()
    stage.utterance.add_text("One two three four. Five six seven eight nine ten.")
    await stage.made(0, 2.0)
    first = stage.ask()
    await settled()
    stage.jobs[1].finished(ConfigError("it broke"))
    assert (await first)[0].sequence == 0


class Timed:
    """An engine that says how long it worked, chunk by chunk."""

    word_marks, load_factor, memory_bytes = "native", 0, 0

    def __init__(self, seconds: list[float]) -> None:
        self._seconds = seconds

    async def load(self) -> None:
        """Nothing to read."""

    async def unload(self) -> None:
        """Nothing to free."""

    def wake(self) -> None:
        """Nothing sleeps."""

    def submit(self, job: Job) -> None:
        for seconds in self._seconds:
            job.push(SynthesizedAudio(np.full(24_000, 900, np.int16), 48_000), seconds)
        job.finished(None)


async def loaded(*seconds: float, slowest: float = 0.0) -> EnginePool:
    pool = EnginePool(ModelInfo("m", "f"), [Timed(list(seconds))])
    await pool.load(slowest=slowest)
    return pool


async def test_the_warm_up_tells_how_fast_a_voice_is_and_whether_it_streams() -> None:
    assert (await loaded(1.5, 0.0)).speed(Voice()).factor == pytest.approx(1.5)
    assert not (await loaded(1.5, 0.0)).speed(Voice()).streams
    assert (await loaded(0.4, 0.4)).speed(Voice()).streams


async def test_what_it_took_in_use_counts_more_than_what_it_took_at_the_start() -> None:
    pool = await loaded(3.0, 0.0)
    for factor in (0.5, 0.7, 0.6):
        pool.spoke(factor)
    assert pool.real_time_factor == 0.6


async def test_a_voice_slower_than_the_settings_allow_is_refused_with_what_mends_it() -> None:
    with pytest.raises(ConfigError, match=r"m takes 1\.5 s for a second .* worker\.synthesis\.slowest allows 1;"):
        await loaded(1.5, 0.0, slowest=1.0)
    assert await loaded(0.5, 0.0, slowest=1.0)


async def test_whose_marks_they_are_is_known_once_it_is_loaded() -> None:
    assert (await loaded(0.1)).info.word_marks == "native"
