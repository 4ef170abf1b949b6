"""Recordings decoded on threads: when the voice stops and not at the end, once, and in the right order."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from parley.asr.incremental import Decoded, Request, Segment, Unwanted
from parley.asr.settings import AsrSettings
from parley.asr.threads import ThreadRecognizer
from parley.audio.frame import AudioFrame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley.values import Transcript

pytestmark = pytest.mark.anyio
_PATIENCE = 20.0


class Engine:
    """Understands how many tenths of a second it was given; a decoding lasts until it is let go."""

    name = "scripted"

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.unwanted = 0
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def load(self) -> None:
        pass

    def decode(self, request: Request) -> Decoded:
        self.requests.append(request)
        self.begun.release()
        assert self.go.acquire(timeout=_PATIENCE)
        if not request.wanted():
            self.unwanted += 1
            raise Unwanted
        return Decoded((Segment(f"{request.audio.size // 1_600} tenths", 0.0),), "en")

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=_PATIENCE)


class Speaker:
    """Says what the test wants, in tenths of a second."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[AudioFrame | None] = asyncio.Queue()

    def say(self, tenths: int, *, speaking: bool = True) -> None:
        for _ in range(tenths):
            self._frames.put_nowait(AudioFrame(bytes(3_200), 16_000, speaking=speaking))

    def end(self) -> None:
        self._frames.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[AudioFrame]:
        while (frame := await self._frames.get()) is not None:
            yield frame


class Turn:
    """One turn on its way through the recogniser."""

    def __init__(self, recognizer: ThreadRecognizer) -> None:
        self.speaker = Speaker()
        self._stream = recognizer.transcribe(self.speaker)
        self._next: asyncio.Task[Transcript] | None = None

    def listen(self) -> asyncio.Task[Transcript]:
        """The next transcript, once it is there."""
        self._next = asyncio.ensure_future(anext(self._stream))
        return self._next

    async def rest(self) -> list[Transcript]:
        async with aclosing(self._stream):
            return [transcript async for transcript in self._stream]


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
async def recognizer(engine: Engine) -> AsyncIterator[ThreadRecognizer]:
    recognizer = ThreadRecognizer(engine, AsrSettings(decoders=1))
    yield recognizer
    for _ in range(9):
        engine.go.release()
    await recognizer.aclose()


async def test_what_was_decoded_when_the_voice_stopped_is_the_final_transcript(
    engine: Engine, recognizer: ThreadRecognizer
) -> None:
    turn = Turn(recognizer)
    turn.speaker.say(4)
    turn.speaker.say(1, speaking=False)
    paused = turn.listen()
    await engine.has_begun()
    turn.speaker.say(6, speaking=False)
    engine.go.release()
    assert (await paused).covered == pytest.approx(0.5)
    turn.speaker.end()
    (final,) = await turn.rest()
    assert (final.final, final.text, len(engine.requests)) == (True, "5 tenths", 1)
    assert engine.requests[0].final


async def test_a_partial_in_flight_is_broken_off_when_the_voice_stops(
    engine: Engine, recognizer: ThreadRecognizer
) -> None:
    turn = Turn(recognizer)
    turn.speaker.say(6)
    first = turn.listen()
    await engine.has_begun()
    turn.speaker.say(2)
    turn.speaker.say(1, speaking=False)
    turn.speaker.end()
    while not turn.speaker._frames.empty():
        await asyncio.sleep(0)
    engine.go.release()
    await engine.has_begun()
    engine.go.release()
    assert (await first).text == "9 tenths"
    assert (engine.unwanted, [request.final for request in engine.requests]) == (1, [False, True])


async def test_a_voice_that_goes_on_makes_the_decoding_at_its_pause_a_partial_one(
    engine: Engine, recognizer: ThreadRecognizer
) -> None:
    turn = Turn(recognizer)
    turn.speaker.say(4)
    turn.speaker.say(1, speaking=False)
    paused = turn.listen()
    await engine.has_begun()
    turn.speaker.say(2)
    engine.go.release()
    said = await paused
    assert (said.text, said.final) == ("5 tenths", False)
    turn.speaker.end()
    engine.go.release()
    assert (await turn.rest())[-1].text == "7 tenths"


async def test_who_has_fallen_silent_goes_before_who_speaks(engine: Engine, recognizer: ThreadRecognizer) -> None:
    busy, talker, asker = (Turn(recognizer) for _ in range(3))
    busy.speaker.say(6)
    busy.listen()
    await engine.has_begun()
    talker.speaker.say(7)
    talking = talker.listen()
    asker.speaker.say(3)
    asker.speaker.say(1, speaking=False)
    asking = asker.listen()
    while not (talker.speaker._frames.empty() and asker.speaker._frames.empty()):
        await asyncio.sleep(0)
    engine.go.release()
    engine.go.release()
    assert (await asking).text == "4 tenths"
    assert not talking.done()
    engine.go.release()
    assert (await talking).text == "7 tenths"


async def test_a_decoder_that_nobody_waits_for_is_free_only_when_its_thread_is(
    engine: Engine, recognizer: ThreadRecognizer
) -> None:
    left, other = Turn(recognizer), Turn(recognizer)
    left.speaker.say(6)
    listening = left.listen()
    await engine.has_begun()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    other.speaker.say(3)
    other.speaker.end()
    final = other.listen()
    engine.go.release()  # what was left ends first, and is not decoded to its end
    await engine.has_begun()
    assert engine.unwanted == 1
    engine.go.release()
    assert (await final).text == "3 tenths"
