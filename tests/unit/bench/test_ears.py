"""A benchmark's ears: what they understand does not depend on what they heard before."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from parley.audio import AudioFrame
from parley.audio.resample import resample
from parley.bench.speech import say
from parley.bench.turns.ears import EmbeddedEars
from parley.testing.virtual_time import run_virtual
from parley.values import Transcript

RATE = 16_000


def heard(ears: EmbeddedEars, *recordings: np.ndarray) -> list[list[Transcript]]:
    """All that a case's ears say of one turn after the other."""

    async def case() -> list[list[Transcript]]:
        session = ears.for_session()
        return [[said async for said in session.transcribe(frames(samples))] for samples in recordings]

    return run_virtual(case())


async def frames(samples: np.ndarray) -> AsyncIterator[AudioFrame]:
    for start in range(0, samples.size, 320):
        yield AudioFrame(samples[start : start + 320].tobytes(), RATE, start_sample=start)


@pytest.fixture(scope="module")
def question() -> np.ndarray:
    return resample(say("Tell me a long story, please."), 48_000, RATE)


def test_a_benchmark_hears_the_same_whatever_ran_before(question: np.ndarray) -> None:
    buzz = (8_000 * np.sign(np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE))).astype(np.int16)
    first = heard(EmbeddedEars(), question)
    (loud, _) = heard(EmbeddedEars(), buzz, buzz)
    assert loud[-1].final
    assert heard(EmbeddedEars(), question) == first
    assert first[0][-1].text


def test_within_a_case_the_ears_do_remember_the_microphone(question: np.ndarray) -> None:
    """Or the test above would pass for ears that know of nothing."""
    ears = EmbeddedEars().for_session()

    async def turns() -> None:
        for _ in range(2):
            async for _said in ears.transcribe(frames(question)):
                pass

    assert not ears._memory
    run_virtual(turns())
    assert ears._memory
