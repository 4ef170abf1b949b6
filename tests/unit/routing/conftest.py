"""A pool over fake workers, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from parley.audio.frame import FRAME_SAMPLES
from parley.interfaces import Synthesis
from parley.registry.memory import MemoryRegistry
from parley.routing.pool import PooledSynthesizer
from parley.routing.settings import FailoverSettings, RoutingSettings
from parley.testing.virtual_time import VirtualTimeLoop
from parley.testing.workers import code_of, words_heard
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley.audio.frame import AudioFrame
    from parley.testing.workers import FakeWorker

FOREVER = 1e6
COUNTING = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


async def pieces(*texts: str, gap: float = 0.0) -> AsyncIterator[str]:
    """Text as it arrives."""
    for text in texts:
        await asyncio.sleep(gap)
        yield text


@dataclass
class Talk:
    """Pools over fake workers; ends them with the test."""

    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    workers: dict[str, FakeWorker] = field(default_factory=dict)
    pool: PooledSynthesizer | None = None
    notes: list[tuple[Voice, str]] = field(default_factory=list)

    async def fleet(self, *workers: FakeWorker, **settings: Any) -> PooledSynthesizer:
        """The pool over these workers; the first one by name is chosen where nothing else decides."""
        for worker in workers:
            await self.join(worker)
        failover = FailoverSettings(**{"first_frame_timeout": 4.0, **settings.pop("failover", {})})
        self.pool = pool = PooledSynthesizer(
            [self.registry],
            RoutingSettings(failover=failover, **settings),
            lambda said: self.workers[said.name],
            chance=lambda: 0.0,
        )
        pool.start()
        if workers:
            await pool.fleet.known.wait()
        pool.observe("s", lambda voice, note: self.notes.append((voice, note)))
        return pool

    async def join(self, worker: FakeWorker, **changes: Any) -> None:
        self.workers[worker.name] = worker
        await self.registry.announce(worker.announcement(**changes), lease=FOREVER)

    def say(self, *texts: str, voice: Voice | None = None, gap: float = 0.0, session: str = "s") -> Synthesis:
        assert self.pool is not None
        self.count += 1
        return self.pool.synthesize(
            pieces(*texts, gap=gap), voice=voice or Voice(), session_id=session, utterance_id=f"u{self.count}"
        )

    count: int = 0

    async def hear(self, *texts: str, pace: float = 0.02, **options: Any) -> list[AudioFrame]:
        """Everything that is said, at the speed of speech."""
        synthesis = self.say(*texts, **options)
        frames = await listen(synthesis, pace=pace)
        await synthesis.aclose()
        return frames


async def listen(synthesis: Synthesis, *, pace: float = 0.02, most: int = 100_000) -> list[AudioFrame]:
    """Take frames as playout would."""
    frames = []
    while len(frames) < most:
        try:
            frames.append(await anext(synthesis))  # type: ignore[arg-type]
        except StopAsyncIteration:
            break
        await asyncio.sleep(pace)
    return frames


def numbers(first: int, last: int) -> list[int]:
    return [code_of(str(number)) for number in range(first, last + 1)]


def check(frames: list[AudioFrame], text: str = COUNTING) -> None:
    """One timeline, every word once, every mark once and at its word."""
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert [frame.start_sample for frame in frames] == [i * FRAME_SAMPLES for i in range(len(frames))]
    assert {frame.utterance_id for frame in frames} == {frames[0].utterance_id}
    assert [frame.final for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert words_heard(frames) == [code_of(word) for word in text.split()]
    marks = [mark for frame in frames for mark in frame.marks]
    assert [text[mark.text_start : mark.text_end] for mark in marks] == text.split()
    for mark in marks:
        sound = memoryview(frames[mark.start_sample // FRAME_SAMPLES].pcm).cast("h")[0]
        assert sound == code_of(text[mark.text_start : mark.text_end])


async def collect(synthesis: Synthesis, frames: list[AudioFrame]) -> None:
    async for frame in synthesis:
        frames.append(frame)
        await asyncio.sleep(0.02)


@pytest.fixture
async def talk(anyio_backend: Any) -> AsyncIterator[Talk]:
    talk = Talk()
    yield talk
    if talk.pool is not None:
        await talk.pool.aclose()
    await talk.registry.aclose()
