"""How late a question's words are while others talk, for any recogniser, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence

import numpy as np
import pytest

from parley.audio import AudioFrame
from parley.bench.ears_alone import RATE, lags
from parley.interfaces import Recognizer
from parley.values import Transcript


class SlowEars:
    """Needs a quarter of a second for its last words, and counts who is heard at a time."""

    def __init__(self) -> None:
        self.at_once = self.most = 0
        self.ended_in_speech: list[bool] = []

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            async for frame in audio:
                last = frame
            self.ended_in_speech.append(last.speaking)
            await asyncio.sleep(0.25)
            yield Transcript("what time is it", final=True)
        finally:
            self.at_once -= 1

    def for_session(self, hot_words: Sequence[str] = ()) -> Recognizer:
        return self

    async def aclose(self) -> None:
        pass


def test_a_questions_words_are_counted_from_its_last_sample_while_the_others_go_on() -> None:
    ears = SlowEars()
    question, talk = np.zeros(RATE + 100, np.int16), np.zeros(60 * RATE, np.int16)

    found = lags(lambda: ears, [talk] * 3, [question] * 2, first=2.0, every=3.0)

    assert found == pytest.approx([0.25, 0.25])
    assert (ears.most, ears.at_once) == (4, 0)
    assert ears.ended_in_speech == [False, False]
