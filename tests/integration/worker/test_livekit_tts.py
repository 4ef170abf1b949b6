"""Parley's voices as a LiveKit Agents plugin, against a real worker."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("livekit.agents", reason="livekit-agents is not installed")

from livekit.agents import APIConnectionError, APIStatusError
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, APIConnectOptions, TimedString

from parley.integrations import livekit_tts

pytestmark = pytest.mark.anyio

ONCE = APIConnectOptions(max_retry=0, timeout=5.0)
TEXT = "The first thing is short. Then there comes a second one, which is longer."


def words_of(events: list[object]) -> list[TimedString]:
    return [word for event in events for word in event.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])]  # type: ignore[attr-defined]


async def test_words_come_with_their_audio_and_make_up_the_text(bench) -> None:  # type: ignore[no-untyped-def]
    worker = await bench.worker()
    async with livekit_tts.TTS(worker.address, model="tone") as voice:
        assert voice.capabilities.streaming
        assert voice.capabilities.aligned_transcript
        async with voice.stream(conn_options=ONCE) as stream:
            for piece in TEXT.split(" "):
                stream.push_text(piece + " ")
            stream.end_input()
            events = [event async for event in stream]
    words = words_of(events)
    assert "".join(words).split() == TEXT.split()
    starts = [word.start_time for word in words]
    assert starts == sorted(starts)
    assert all(word.end_time >= word.start_time for word in words)
    duration = sum(event.frame.duration for event in events)
    assert starts[-1] < duration
    assert all(event.frame.sample_rate == 48_000 for event in events)
    assert [event.is_final for event in events].count(True) == 1


async def test_audio_starts_before_the_text_is_complete(bench) -> None:  # type: ignore[no-untyped-def]
    worker = await bench.worker()
    async with livekit_tts.TTS(worker.address, model="tone") as voice, voice.stream(conn_options=ONCE) as stream:
        stream.push_text("The first sentence is whole. And the second")
        async with asyncio.timeout(5):
            assert (await anext(stream)).frame.samples_per_channel
        stream.push_text(" follows.")
        stream.end_input()
        events = [event async for event in stream]
    assert events[-1].is_final


async def test_nothing_to_say_is_said_without_a_worker() -> None:
    async with livekit_tts.TTS("127.0.0.1:9") as voice, voice.stream(conn_options=ONCE) as stream:
        stream.push_text("  ")
        stream.end_input()
        assert [event async for event in stream] == []


async def test_an_interruption_ends_the_synthesis_on_the_worker(bench) -> None:  # type: ignore[no-untyped-def]
    worker = await bench.worker()
    voice = livekit_tts.TTS(worker.address, model="tone")
    stream = voice.stream(conn_options=ONCE)
    stream.push_text("A very long story. " * 200)
    async with asyncio.timeout(5):
        await anext(stream)
    assert not worker.servicer._quiet.is_set()
    await stream.aclose()
    await bench.until(worker.servicer._quiet.is_set)
    await voice.aclose()


async def test_a_whole_text_can_be_collected_at_once(bench) -> None:  # type: ignore[no-untyped-def]
    worker = await bench.worker()
    async with livekit_tts.TTS(worker.address, model="tone") as voice:
        frame = await voice.synthesize("Hello.", conn_options=ONCE).collect()
    assert frame.duration > 0.1


async def test_an_unknown_model_is_refused_and_not_tried_again(bench) -> None:  # type: ignore[no-untyped-def]
    worker = await bench.worker()
    async with livekit_tts.TTS(worker.address, model="nobody") as voice, voice.stream() as stream:
        stream.push_text("Hello.")
        stream.end_input()
        with pytest.raises(APIStatusError, match="nobody"):
            async for _ in stream:
                pass


async def test_a_worker_that_is_not_there_may_be_tried_again(bench, caplog: pytest.LogCaptureFixture) -> None:  # type: ignore[no-untyped-def]
    async with livekit_tts.TTS("127.0.0.1:9", model="tone") as voice, voice.stream(conn_options=ONCE) as stream:
        stream.push_text("Hello.")
        stream.end_input()
        with pytest.raises(APIConnectionError) as failure:
            async for _ in stream:
                pass
    assert failure.value.retryable


async def test_the_voice_can_change_between_utterances(bench) -> None:  # type: ignore[no-untyped-def]
    worker = await bench.worker()
    async with livekit_tts.TTS(worker.address, model="tone") as voice:
        slow = await voice.synthesize("The same words.", conn_options=ONCE).collect()
        voice.update_options(speed=2.0)
        fast = await voice.synthesize("The same words.", conn_options=ONCE).collect()
    assert fast.duration < slow.duration
