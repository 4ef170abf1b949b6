"""The embedded recogniser over synthesised speech, in its own processes."""

import asyncio
import difflib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest

from parley.asr import AsrSettings, create_recognizer
from parley.asr.pocketsphinx import SphinxDecoder
from parley.asr.processes import ProcessRecognizer
from parley.audio import AudioFrame
from parley.audio.resample import resample
from parley.bench.speech import say
from parley.errors import CapacityError, EngineError, InvalidRequest
from parley.llm.script import phrases
from parley.testing.recognizers import frames, hear

pytestmark = pytest.mark.anyio


def speech(text: str) -> np.ndarray:
    quiet = np.random.default_rng(0).normal(0, 8, 4_800).astype(np.int16)
    return np.concatenate([quiet, resample(say(text), 48_000, 16_000), quiet])


@pytest.fixture(scope="module")
def decoder() -> SphinxDecoder:
    loaded = SphinxDecoder(phrases())
    loaded.load()
    return loaded


def heard(decoder: SphinxDecoder, text: str) -> str:
    decoder.start("", ())
    decoder.feed(speech(text).tobytes())
    return decoder.finish().text


PHRASES = ["tell me a story", "what time is it", "stop", "tell me a joke", "what is three plus four"]


@pytest.mark.parametrize("text", PHRASES)
def test_a_known_phrase_is_understood_word_by_word(decoder: SphinxDecoder, text: str) -> None:
    assert heard(decoder, text) == text


@pytest.mark.parametrize("text", ["please turn off the kitchen lights", "my brother works in a hospital"])
def test_an_unknown_sentence_is_left_to_the_open_vocabulary(decoder: SphinxDecoder, text: str) -> None:
    found = heard(decoder, text).split()
    assert difflib.SequenceMatcher(None, found, text.split()).ratio() > 0.6


def test_only_a_known_phrase_that_both_models_hear_is_told_with_confidence(decoder: SphinxDecoder) -> None:
    sure = {}
    for text in ("what time is it", "my brother works in a hospital"):
        decoder.start("", ())
        decoder.feed(speech(text).tobytes())
        sure[text] = decoder.finish().confidence >= 0.8
    assert sure == {"what time is it": True, "my brother works in a hospital": False}


def test_words_have_their_times(decoder: SphinxDecoder) -> None:
    decoder.start("", ())
    decoder.feed(speech("tell me a story").tobytes())
    words = decoder.finish().words
    assert [word.text for word in words] == ["tell", "me", "a", "story"]
    assert words[0].start == pytest.approx(0.3, abs=0.1)


def test_hot_words_become_part_of_the_small_model(decoder: SphinxDecoder) -> None:
    decoder.start("", ("open the blue umbrella",))
    decoder.feed(speech("open the blue umbrella").tobytes())
    assert decoder.finish().text == "open the blue umbrella"


def test_phrases_that_nobody_can_pronounce_are_left_out() -> None:
    decoder = SphinxDecoder(("xyzzy plugh", "stop"))
    decoder.load()
    assert heard(decoder, "stop") == "stop"


async def opened(**settings: object) -> AsyncIterator[ProcessRecognizer]:
    recognizer = create_recognizer(AsrSettings(phrases=("tell me a story",), **settings))
    assert isinstance(recognizer, ProcessRecognizer)
    yield recognizer
    await recognizer.aclose()


@pytest.fixture
async def recognizer() -> AsyncIterator[ProcessRecognizer]:
    async for opening in opened(decoders=1, max_waiting=1):
        yield opening


async def test_partial_transcripts_come_while_somebody_speaks(recognizer: ProcessRecognizer) -> None:
    transcripts = await hear(recognizer, frames(speech("tell me a story")))
    assert len(transcripts) > 1
    assert transcripts[-1].text == "tell me a story"


async def test_a_process_that_dies_fails_its_own_turn_and_the_next_one_is_heard(recognizer: ProcessRecognizer) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[AudioFrame]:
        async for frame in frames(speech("tell me a story")):
            yield frame
        started.set()
        await asyncio.Event().wait()

    turn = asyncio.create_task(hear(recognizer, endless()))
    await started.wait()
    while not recognizer.pool.processes:
        await asyncio.sleep(0.01)
    os.kill(recognizer.pool.processes[0].pid, signal.SIGKILL)
    with pytest.raises(EngineError, match="another one is being started"):
        await turn
    assert (await hear(recognizer, frames(speech("stop"))))[-1].text == "stop"


async def test_a_turn_beyond_the_bound_is_refused_at_once(recognizer: ProcessRecognizer) -> None:
    async def endless() -> AsyncIterator[AudioFrame]:
        await asyncio.Event().wait()
        yield AudioFrame(b"")

    async with aclosing(recognizer.transcribe(endless())) as one, aclosing(recognizer.transcribe(endless())) as two:
        waiting = [asyncio.ensure_future(anext(one)), asyncio.ensure_future(anext(two))]
        await asyncio.sleep(0.05)
        with pytest.raises(CapacityError, match=r"asr\.decoders"):
            await hear(recognizer, endless())
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_audio_at_another_rate_is_refused(recognizer: ProcessRecognizer) -> None:
    with pytest.raises(InvalidRequest, match="48000 Hz"):
        await hear(recognizer, frames(np.zeros(960, np.int16), 48_000))


async def test_no_process_is_left_after_closing(recognizer: ProcessRecognizer) -> None:
    await hear(recognizer, frames(speech("stop")))
    pids = [process.pid for process in recognizer.pool.processes]
    await recognizer.aclose()
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_more_turns_than_decoders_are_all_heard_in_the_end() -> None:
    async for recognizer in opened(decoders=2):
        texts = await asyncio.gather(*(hear(recognizer, frames(speech("tell me a story"))) for _ in range(5)))
        assert [turn[-1].text for turn in texts] == ["tell me a story"] * 5
        assert len(recognizer.pool.processes) == 2
