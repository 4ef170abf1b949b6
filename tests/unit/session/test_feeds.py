"""Streams between the engine and whoever reads them: bounded, and nothing is dropped without a word."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence

from parley.audio.frame import AudioFrame
from parley.errors import CapacityError, ParleyError
from parley.session.feeds import Feed
from parley.session.listening.turn import Part
from parley.testing.virtual_time import run_virtual
from parley.values import Transcript

RATE = 16_000


def test_a_feed_is_bounded_by_the_size_of_what_waits() -> None:
    async def scenario() -> None:
        feed: Feed[str] = Feed(5, size=len)
        for text in ("one", "two", "to", "x"):
            feed.put(text)
        feed.close()
        assert [text async for text in feed] == ["one", "to"]
        assert feed.lost == 4

    run_virtual(scenario())


class _Behind:
    """A recogniser that takes nothing for a long time."""

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        await asyncio.sleep(60.0)
        heard = 0.0
        async for frame in audio:
            heard += frame.duration
        yield Transcript("", final=True, covered=heard)

    def for_session(self, hot_words: Sequence[str] = ()) -> "_Behind":
        return self

    async def aclose(self) -> None:
        pass


def _told(frame_samples: int, seconds: int) -> list[ParleyError]:
    async def scenario() -> list[ParleyError]:
        part, told = Part(RATE), []
        for _ in range(seconds * RATE // frame_samples):
            part.hear(bytes(2 * frame_samples))
        part.close(120.0)
        await part.recognize(_Behind(), "en", lambda: None, told.append)
        return told

    return run_virtual(scenario())


def test_half_a_minute_may_wait_for_the_recogniser_whatever_frames_it_comes_in() -> None:
    assert _told(160, 30) == _told(320, 30) == []


def test_who_was_not_heard_is_told_for_how_long() -> None:
    (error,) = _told(160, 32)
    assert isinstance(error, CapacityError)
    assert "2.0 s of what you said were not heard" in str(error)
