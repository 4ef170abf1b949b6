from collections.abc import AsyncGenerator, AsyncIterable

from parley.audio import AudioFrame
from parley.session.listening.turn import Part
from parley.testing.virtual_time import run_virtual
from parley.values import Transcript

RATE = 16_000


class Wavering:
    """Tells all words when its speaker falls silent, then goes on with words that reach less far."""

    def __init__(self, *covered: float) -> None:
        self.covered = covered

    async def transcribe(self, audio: AsyncIterable[AudioFrame], *, language: str) -> AsyncGenerator[Transcript, None]:
        for end in self.covered:
            yield Transcript("five", covered=end)
        async for _ in audio:
            pass


def test_words_that_once_reached_the_end_are_not_behind_because_newer_ones_reach_less_far() -> None:
    async def live() -> list[bool]:
        part, said = Part(RATE, tells=True), []
        part.hear(bytes(2 * RATE))
        part.audio.close()
        await part.recognize(
            Wavering(0.4, 1.0, 0.6), "en", lambda: said.append(part.covers(0.0)), lambda error: said.append(False)
        )
        return said[:3]

    assert run_virtual(live()) == [False, True, True]
