"""Utterances over real gRPC: frames, marks, order, bounds, isolation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES
from parley.testing.engines import EngineCatalog
from parley.values import Voice
from parley.worker.settings import ModelSettings, SynthesisSettings

pytestmark = pytest.mark.anyio
VOICE = Voice()
LONG = "This is one sentence of many. " * 20


def pcm(frames: Any) -> bytes:
    return b"".join(frame.pcm for frame in frames)


async def test_an_utterance_is_exact_frames_in_order_and_one_final(bench: Any) -> None:
    client = bench.client(await bench.worker())
    frames = await bench.speak(client, "Hello there, this is a test.", utterance="u7")
    assert {len(frame.pcm) for frame in frames} == {FRAME_BYTES}
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert [frame.start_sample for frame in frames] == [i * FRAME_SAMPLES for i in range(len(frames))]
    assert [frame.final for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert {frame.utterance_id for frame in frames} == {"u7"}


async def test_marks_refer_to_all_pieces_of_the_text_together(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("speech")))
    pieces = ("Hello there, ", "my friend. How ", "are you?")
    frames = await bench.speak(client, *pieces, model="speech")
    marks = [mark for frame in frames for mark in frame.marks]
    text = "".join(pieces)
    assert [text[mark.text_start : mark.text_end] for mark in marks] == [
        "Hello", "there", "my", "friend", "How", "are", "you",
    ]  # fmt: skip
    starts = [mark.start_sample for mark in marks]
    assert starts == sorted(starts)


async def test_marks_arrive_with_the_frame_of_their_word(bench: Any) -> None:
    client = bench.client(await bench.worker())
    for frame in await bench.speak(client, "One two three four five six seven."):
        for mark in frame.marks:
            assert frame.start_sample <= mark.start_sample < frame.end_sample


async def test_the_same_text_gives_the_same_bytes(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("speech")))
    first = await bench.speak(client, LONG, model="speech", utterance="1")
    assert pcm(await bench.speak(client, LONG, model="speech", utterance="2")) == pcm(first)


async def test_audio_comes_while_the_text_is_still_open(bench: Any) -> None:
    client = bench.client(await bench.worker())
    never = asyncio.Event()

    async def text() -> Any:
        yield "The first clause."
        await never.wait()

    synthesis = client.synthesize(text(), voice=VOICE, session_id="s", utterance_id="u")
    assert len(await bench.take(synthesis, 10)) == 10
    await synthesis.aclose()


async def test_the_first_frame_does_not_wait_for_the_rest_of_the_text(bench: Any) -> None:
    catalog = EngineCatalog("slow")
    client = bench.client(await bench.worker(catalog))
    synthesis = bench.start(client, LONG, model="slow")
    await bench.take(synthesis, 1)
    speaking = next(adapter for adapter in catalog.created if adapter.info.model_id == "slow")
    assert speaking.chunks < 10
    await synthesis.aclose()


async def test_an_engine_waits_while_nobody_takes_its_audio(bench: Any) -> None:
    catalog = EngineCatalog("slow")
    client = bench.client(await bench.worker(catalog, synthesis=SynthesisSettings(read_ahead=0.4)))
    synthesis = bench.start(client, LONG * 3, model="slow")
    await bench.take(synthesis, 1)
    speaking = next(adapter for adapter in catalog.created if adapter.info.model_id == "slow")
    before = -1
    while before != speaking.chunks:
        before = speaking.chunks
        await asyncio.sleep(0.1)
    assert speaking.chunks * 0.04 < 3.0
    await synthesis.aclose()


async def test_sessions_that_share_a_model_do_not_mix(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("speech")))
    texts = [f"Session {n} says this. And {n} again." for n in range(8)]
    alone = [await bench.speak(client, text, model="speech", utterance="a", session="x") for text in texts]
    together = await asyncio.gather(
        *(bench.speak(client, text, model="speech", utterance="b", session=f"s{n}") for n, text in enumerate(texts))
    )
    assert [pcm(frames) for frames in together] == [pcm(frames) for frames in alone]


async def test_a_held_session_does_not_block_another_one_on_the_same_engine(bench: Any) -> None:
    settings = SynthesisSettings(read_ahead=0.2)
    client = bench.client(await bench.worker(EngineCatalog("slow"), synthesis=settings))
    held = bench.start(client, "A long text for a session that waits. " * 4, model="slow", session="held")
    await bench.take(held, 1)
    await held.pause()
    assert (await bench.speak(client, "Short.", model="slow", session="other"))[-1].final
    await held.aclose()


async def test_several_engine_slots_keep_the_order_of_sentences(bench: Any) -> None:
    alone = bench.client(await bench.worker(EngineCatalog("speech")))
    slots = ModelSettings(default_model="tone", engine_slots=3)
    parallel = SynthesisSettings(parallel_sentences=3)
    several = bench.client(await bench.worker(EngineCatalog("speech"), slots, synthesis=parallel))
    expected = await bench.speak(alone, LONG, model="speech")
    frames = await bench.speak(several, LONG, model="speech")
    assert pcm(frames) == pcm(expected)
    assert [frame.marks for frame in frames] == [frame.marks for frame in expected]


async def test_the_voice_model_changes_with_the_next_utterance(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech"))
    client = bench.client(worker)
    undisturbed = await bench.speak(client, LONG, utterance="0")
    current = bench.start(client, LONG, utterance="1")
    heard = await bench.take(current, 5)
    await client.worker.load("speech")
    other = await bench.speak(client, "Now with another voice.", model="speech", utterance="2")
    assert other[-1].final
    heard += await bench.rest(current)
    assert [frame.pcm for frame in heard] == [frame.pcm for frame in undisturbed], "no frame is lost by the change"
    await bench.until(lambda: worker.servicer.capabilities().sessions == 1)


async def test_a_session_opened_beforehand_needs_no_round_trip(bench: Any) -> None:
    worker = await bench.worker()
    client = bench.client(worker)
    await client.prepare(voice=VOICE, session_id="s")
    assert worker.servicer.capabilities().sessions == 1
    await bench.speak(client, "Hello.")
    assert worker.servicer.capabilities().sessions == 1
    await client.end_session("s")
    assert worker.servicer.capabilities().sessions == 0


async def test_sentences_made_ahead_never_hold_up_the_one_that_is_heard(bench: Any) -> None:
    slots = ModelSettings(default_model="tone", engine_slots=3)
    parallel = SynthesisSettings(parallel_sentences=3, read_ahead=0.3)
    client = bench.client(await bench.worker(EngineCatalog("speech"), slots, synthesis=parallel))
    assert (await bench.speak(client, LONG, model="speech"))[-1].final
