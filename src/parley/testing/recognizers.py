"""What every recogniser keeps: subclass :class:`RecognizerContract` and give it one.

.. code-block:: python

    class TestMine(RecognizerContract):
        @pytest.fixture
        async def recognizer(self):
            recognizer = MyRecognizer(...)
            yield recognizer
            await recognizer.aclose()
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from parley.audio.frame import AudioFrame
from parley.errors import ParleyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from parley.interfaces import Recognizer
    from parley.values import Transcript

RATE = 16_000


async def frames(samples: NDArray[np.int16], rate: int = RATE) -> AsyncIterator[AudioFrame]:
    """Samples as 20 ms frames, as fast as they are taken."""
    size = rate // 50
    for number, start in enumerate(range(0, samples.size, size)):
        piece = samples[start : start + size]
        yield AudioFrame(piece.tobytes(), rate, sequence=number, start_sample=start)
        await asyncio.sleep(0)


async def live(samples: NDArray[np.int16], speed: float = 1.0) -> AsyncIterator[AudioFrame]:
    """Samples as 20 ms frames, at ``speed`` times real time."""
    async for frame in frames(samples):
        yield frame
        await asyncio.sleep(0.02 / speed)


async def hear(recognizer: Recognizer, audio: AsyncIterator[AudioFrame], **how: object) -> list[Transcript]:
    """All transcripts of one turn."""
    async with aclosing(recognizer.transcribe(audio, **how)) as transcripts:  # type: ignore[arg-type]
        return [transcript async for transcript in transcripts]


class RecognizerContract:
    """Tests for one implementation; ``recognizer`` is the fixture to give."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def speech(self) -> NDArray[np.int16]:
        """Two seconds that a recogniser may take for speech; give real speech where the words matter."""
        rng = np.random.default_rng(5)
        envelope = 1 + np.sin(np.arange(2 * RATE) / RATE * 2 * np.pi * 4)
        return np.asarray(rng.standard_normal(2 * RATE) * 1_500 * envelope, np.int16)

    async def test_the_last_transcript_and_no_other_is_final(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        transcripts = await hear(recognizer, frames(speech))
        assert [transcript.final for transcript in transcripts] == [False] * (len(transcripts) - 1) + [True]

    async def test_stable_text_is_never_revoked(self, recognizer: Recognizer, speech: NDArray[np.int16]) -> None:
        transcripts = await hear(recognizer, live(speech, 4))
        for before, after in pairwise(transcripts):
            assert after.text.startswith(before.text[: before.stable])
        assert transcripts[-1].stable == len(transcripts[-1].text)

    async def test_words_lie_in_order_within_the_audio(self, recognizer: Recognizer, speech: NDArray[np.int16]) -> None:
        words = (await hear(recognizer, frames(speech)))[-1].words
        places = [place for word in words for place in (word.start, word.end)]
        assert places == sorted(places)
        assert all(0 <= place <= speech.size / RATE + 0.5 for place in places)

    async def test_a_turn_without_audio_ends_with_a_final_transcript(self, recognizer: Recognizer) -> None:
        transcripts = await hear(recognizer, frames(np.zeros(0, np.int16)))
        assert transcripts[-1].final

    async def test_turns_at_the_same_time_do_not_mix(self, recognizer: Recognizer, speech: NDArray[np.int16]) -> None:
        alone = (await hear(recognizer, frames(speech)))[-1].text
        silence = np.zeros(RATE, np.int16)
        results = await asyncio.gather(
            hear(recognizer, live(speech, 8)), hear(recognizer, live(silence, 8)), hear(recognizer, live(speech, 8))
        )
        assert results[0][-1].text == results[2][-1].text == alone

    async def test_a_turn_left_early_frees_its_place(self, recognizer: Recognizer, speech: NDArray[np.int16]) -> None:
        for _ in range(6):
            async with aclosing(recognizer.transcribe(live(np.tile(speech, 20)))) as transcripts:
                waiting = asyncio.ensure_future(anext(transcripts))
                await asyncio.sleep(0.01)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
        assert (await hear(recognizer, frames(speech)))[-1].final

    async def test_a_failing_source_fails_its_turn_alone(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        async def broken() -> AsyncIterator[AudioFrame]:
            yield AudioFrame(speech[:320].tobytes(), RATE)
            raise ParleyError("the line is cut")

        with pytest.raises(ParleyError, match="the line is cut"):
            await hear(recognizer, broken())
        assert (await hear(recognizer, frames(speech)))[-1].final

    async def test_closing_twice_is_harmless(self, recognizer: Recognizer) -> None:
        await recognizer.aclose()
        await recognizer.aclose()
