"""Home Assistant's client for Wyoming, and what its code sends, against Parley; run by test_voices_and_ears.py."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.clients import lines
from tests.clients.talk import RATE, SOON, alike, sound
from wyoming.asr import Transcribe, Transcript, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeVoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wyoming.event import Event

pytestmark = pytest.mark.anyio
PORT = int(os.environ.get("PARLEY_TEST_WYOMING", "0"))
QUESTION = "What is the weather like today?"


@contextlib.asynccontextmanager
async def connected(port: int = PORT) -> AsyncIterator[AsyncTcpClient]:
    async with AsyncTcpClient("127.0.0.1", port) as client:
        yield client


async def until(client: AsyncTcpClient, *kinds: Any) -> list[Event]:
    """What comes, up to the first of these kinds."""
    got: list[Event] = []
    async with asyncio.timeout(SOON):
        while not got or not any(kind.is_type(got[-1].type) for kind in kinds):
            event = await client.read_event()
            assert event is not None, [one.type for one in got]
            got.append(event)
    return got


def audio(events: list[Event]) -> bytes:
    return b"".join(AudioChunk.from_event(event).audio for event in events if AudioChunk.is_type(event.type))


async def spoken(client: AsyncTcpClient, text: str, **voice: str) -> list[Event]:
    """A text in one piece, as sound."""
    await client.write_event(Synthesize(text, voice=SynthesizeVoice(**voice) if voice else None).event())
    return await until(client, AudioStop)


async def heard(client: AsyncTcpClient, pcm: bytes, rate: int) -> str:
    """What is understood of a recording that is sent as Home Assistant does: all at once."""
    await client.write_event(Transcribe(language="en").event())
    await client.write_event(AudioStart(rate, 2, 1).event())
    for start in range(0, len(pcm), 2_048):
        await client.write_event(AudioChunk(rate, 2, 1, pcm[start : start + 2_048]).event())
    await client.write_event(AudioStop().event())
    events = await until(client, TranscriptStop)
    return next(Transcript.from_event(event).text for event in events if Transcript.is_type(event.type))


async def begin_a_text(client: AsyncTcpClient) -> None:
    """One whose end never comes: until it is given up, it keeps the one place that there is."""
    await client.write_event(SynthesizeStart().event())
    await client.write_event(SynthesizeChunk("The quick brown fox jumps over the lazy dog. And then, ").event())
    await until(client, AudioChunk)


async def test_a_recording_becomes_words_and_a_text_becomes_sound() -> None:
    async with connected() as client:
        await client.write_event(Describe().event())
        info = Info.from_event((await until(client, Info))[-1])
        assert info.asr
        assert info.tts
        assert alike(await heard(client, sound("question"), RATE), QUESTION)
        events = await spoken(client, QUESTION)
        start = AudioStart.from_event(events[0])
        assert 1.0 < len(audio(events)) / 2 / start.rate < 5.0


async def test_who_leaves_in_mid_text_ends_its_synthesis() -> None:
    async with connected() as client:
        await begin_a_text(client)
    async with connected() as client:
        assert audio(await spoken(client, "Hello."))


async def test_who_speaks_before_the_text_was_heard_out_is_heard() -> None:
    async with connected() as client:
        await begin_a_text(client)
        assert alike(await heard(client, sound("question"), RATE), QUESTION)
        assert audio(await spoken(client, "Hello."))


async def test_what_can_not_be_done_is_said_and_the_connection_goes_on() -> None:
    async with connected() as client:
        events = await spoken(client, "Hello.", name="nobody")
        (error,) = (Error.from_event(event) for event in events if Error.is_type(event.type))
        assert "no voice called 'nobody'" in error.text
        assert audio(events) == b""
        assert audio(await spoken(client, "Hello."))


async def test_after_a_connection_that_broke_the_next_one_is_served() -> None:
    async with lines.line(f"tcp://127.0.0.1:{PORT}") as cut:
        port = int(cut.url.rpartition(":")[2])
        async with connected(port) as client:
            await begin_a_text(client)
            cut.cut()
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(SOON):
                    while await client.read_event() is not None:
                        pass
        async with connected(port) as client:
            assert audio(await spoken(client, "Hello."))
            assert alike(await heard(client, sound("question"), RATE), QUESTION)
