"""The embedded recogniser over synthesised speech, in its own processes."""

import asyncio
import difflib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import numpy as np
import pytest

from parley.asr import AsrSettings, create_recognizer
from parley.asr.pocketsphinx import Microphone, SphinxDecoder
from parley.asr.processes import ProcessRecognizer
from parley.audio import AudioFrame
from parley.audio.resample import resample
from parley.bench.speech import say
from parley.errors import CapacityError, EngineError, InvalidRequest
from parley.llm.script import phrases
from parley.testing.recognizers import frames, hear
from parley.values import Transcript

pytestmark = pytest.mark.anyio


def speech(text: str) -> np.ndarray:
    quiet = np.random.default_rng(0).normal(0, 8, 4_800).astype(np.int16)
    return np.concatenate([quiet, resample(say(text), 48_000, 16_000), quiet])


@pytest.fixture(scope="module")
def decoder() -> SphinxDecoder:
    loaded = SphinxDecoder(phrases())
    loaded.load()
    return loaded


@pytest.fixture(scope="module")
def microphone(decoder: SphinxDecoder) -> str:
    """What is known of a person's microphone when they have said a few things."""
    memory = ""
    for text in PHRASES:
        final(decoder, text, memory)
        memory = decoder.memory
    return memory


def final(decoder: SphinxDecoder, text: str, memory: str = "") -> Transcript:
    decoder.start("", memory)
    decoder.feed(speech(text).tobytes())
    return decoder.finish()


PHRASES = ["tell me a story", "what time is it", "stop", "tell me a joke", "what is three plus four"]


@pytest.mark.parametrize("text", PHRASES)
def test_a_known_phrase_is_understood_word_by_word(decoder: SphinxDecoder, microphone: str, text: str) -> None:
    assert final(decoder, text, microphone).text == text


@pytest.mark.parametrize("text", ["please turn off the kitchen lights", "my brother works in a hospital"])
def test_an_unknown_sentence_is_left_to_the_open_vocabulary(decoder: SphinxDecoder, microphone: str, text: str) -> None:
    found = final(decoder, text, microphone).text.split()
    assert difflib.SequenceMatcher(None, found, text.split()).ratio() > 0.6


def test_only_a_known_phrase_that_both_models_hear_is_told_with_confidence(decoder: SphinxDecoder) -> None:
    sure = {}
    for text in ("what time is it", "my brother works in a hospital"):
        sure[text] = final(decoder, text).confidence >= 0.8
    assert sure == {"what time is it": True, "my brother works in a hospital": False}


def test_words_have_their_times(decoder: SphinxDecoder) -> None:
    words = final(decoder, "tell me a story").words
    assert [word.text for word in words] == ["tell", "me", "a", "story"]
    assert words[0].start == pytest.approx(0.3, abs=0.1)


BUZZ = (np.sign(np.sin(np.arange(48_000) * 2 * np.pi * 100 / 16_000)) * 6_000).astype(np.int16)
HISS = np.random.default_rng(4).normal(0, 3_000, 48_000).astype(np.int16)


async def test_a_session_is_heard_the_same_whatever_another_played_before() -> None:
    sentences = ("my brother works in a hospital", "turn off the kitchen lights")

    async def session(recognizer: ProcessRecognizer) -> list[Transcript]:
        ears = recognizer.for_session()
        return [(await hear(ears, frames(speech(text))))[-1] for text in sentences]

    async for recognizer in opened(decoders=1):
        before = await session(recognizer)
        other = recognizer.for_session()
        for noise in (BUZZ, HISS, speech("what time is it") // 8):
            await hear(other, frames(noise))
        assert await session(recognizer) == before


def test_the_same_audio_is_heard_the_same_in_whatever_pieces_it_comes(decoder: SphinxDecoder) -> None:
    pcm = speech("my brother works in a hospital and my sister works at the station").tobytes()
    heard = []
    for size in (640, 3_000, len(pcm)):
        decoder.start("", "")
        for start in range(0, len(pcm), size):
            decoder.feed(pcm[start : start + size])
        heard.append((decoder.finish(), decoder.memory))
    assert heard[0] == heard[1] == heard[2]


def test_a_turn_goes_on_with_what_was_learnt_in_the_one_before(decoder: SphinxDecoder) -> None:
    loud = Microphone((80.0,) + 12 * (0.0,)).pack()
    final(decoder, "stop", loud)
    of_a_loud_one = Microphone.unpack(decoder.memory).mean[0]
    final(decoder, "stop")
    assert of_a_loud_one > 65 > 50 > Microphone.unpack(decoder.memory).mean[0]


def test_phrases_that_nobody_can_pronounce_are_left_out() -> None:
    decoder = SphinxDecoder(("xyzzy plugh", "stop"))
    decoder.load()
    assert final(decoder, "stop").text == "stop"


async def test_hot_words_are_heard_as_phrases_are() -> None:
    async for recognizer in opened(decoders=1, hot_words=("open the blue umbrella",)):
        assert (await hear(recognizer, frames(speech("open the blue umbrella"))))[-1].text == "open the blue umbrella"


async def test_hot_words_of_a_session_are_its_own() -> None:
    async for recognizer in opened(decoders=1):
        told, other = recognizer.for_session(("open the blue umbrella",)), recognizer.for_session()
        said = [(await hear(ears, frames(speech("open the blue umbrella"))))[-1] for ears in (other, told, other, told)]
        known = [transcript.text == "open the blue umbrella" for transcript in said]
        assert known == [False, True, False, True]


async def test_a_session_that_is_told_other_hot_words_goes_on_with_what_was_learnt() -> None:
    async for recognizer in opened(decoders=1):
        ears, straight = recognizer.for_session(), recognizer.for_session()
        sentences = ("my brother works in a hospital", "open the blue umbrella", "turn off the kitchen lights")
        said = [(await hear(straight, frames(speech(text) // 8)))[-1] for text in sentences]
        first = (await hear(ears, frames(speech(sentences[0]) // 8)))[-1]
        told = (await hear(ears.for_session((sentences[1],)), frames(speech(sentences[1]) // 8)))[-1]
        assert (first, told.text) == (said[0], sentences[1])
        assert said[1].text != sentences[1]
        # What was learnt of the microphone while it was told, too.
        assert (await hear(ears, frames(speech(sentences[2]) // 8)))[-1] == said[2]


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


async def test_a_turn_is_counted_while_it_is_heard_and_not_when_it_is_over(recognizer: ProcessRecognizer) -> None:
    async with aclosing(recognizer.transcribe(frames(speech("tell me a story")))) as transcripts:
        await anext(transcripts)
        assert (recognizer.workload.turns, recognizer.workload.decoders) == (1, 1)
    assert recognizer.workload.turns == 0
    assert recognizer.workload.waiting == 0


async def _heard_while(recognizer: ProcessRecognizer, harm: Callable[[int], None]) -> str:
    """What is understood of a sentence whose process is harmed in the middle of it."""
    harmed = asyncio.Event()

    async def audio() -> AsyncIterator[AudioFrame]:
        async for frame in frames(speech("tell me a story")):
            yield frame
            if frame.start_sample == 16_000:
                await harmed.wait()

    async with aclosing(recognizer.transcribe(audio())) as transcripts:
        texts = []
        async for transcript in transcripts:
            texts.append(transcript.text)
            if not harmed.is_set():
                harm(recognizer.pids[0])
                harmed.set()
        return texts[-1]


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


@pytest.mark.parametrize("harm", [_kill, _stop])
async def test_a_process_that_dies_or_hangs_is_replaced_and_no_word_is_lost(harm: Callable[[int], None]) -> None:
    async for recognizer in opened(decoders=1, stuck_after=5.0):
        assert await _heard_while(recognizer, harm) == "tell me a story"
        assert recognizer.deaths
        assert len(recognizer.pids) == 1


async def test_a_process_that_died_between_two_turns_is_not_noticed(recognizer: ProcessRecognizer) -> None:
    assert (await hear(recognizer, frames(speech("stop"))))[-1].text == "stop"
    os.kill(recognizer.pids[0], signal.SIGKILL)
    assert (await hear(recognizer, frames(speech("stop"))))[-1].text == "stop"


async def test_a_fault_of_ours_costs_its_turn_and_the_decoder_hears_the_next_one(
    recognizer: ProcessRecognizer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(said: object) -> Transcript:
        raise KeyError(said)

    with monkeypatch.context() as broken:
        broken.setattr("parley.asr.processes.from_json", fault)
        with pytest.raises(EngineError, match="log says why"):
            await hear(recognizer, frames(speech("stop")))
    assert any(record.exc_info for record in caplog.records)
    assert (await hear(recognizer, frames(speech("stop"))))[-1].text == "stop"


async def test_a_turn_beyond_the_bound_is_refused_at_once(recognizer: ProcessRecognizer) -> None:
    async def endless() -> AsyncIterator[AudioFrame]:
        await asyncio.Event().wait()
        yield AudioFrame(b"")

    async with aclosing(recognizer.transcribe(endless())) as one, aclosing(recognizer.transcribe(endless())) as two:
        waiting = [asyncio.ensure_future(anext(one)), asyncio.ensure_future(anext(two))]
        await asyncio.sleep(0.05)  # nothing tells that both have been lent a decoder: neither ever says a word
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
    pids = recognizer.pids
    await recognizer.aclose()
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_more_turns_than_decoders_are_all_heard_in_the_end() -> None:
    async for recognizer in opened(decoders=2):
        texts = await asyncio.gather(*(hear(recognizer, frames(speech("tell me a story"))) for _ in range(5)))
        assert [turn[-1].text for turn in texts] == ["tell me a story"] * 5
        assert len(recognizer.pids) == 2


TALK = (
    "we went to the market and bought some bread and then we walked along the river until it was dark",
    "my brother works in a hospital and my sister works at the station and they come home late",
)


async def test_a_question_is_answered_while_others_keep_talking_and_they_are_heard_too() -> None:
    async for recognizer in opened(decoders=1):
        answered = asyncio.Event()

        async def talk(text: str, answered: asyncio.Event = answered) -> AsyncIterator[AudioFrame]:
            async for frame in frames(speech(text)):
                yield frame
            await answered.wait()

        talking = [asyncio.create_task(hear(recognizer.for_session(), talk(text))) for text in TALK]
        question = await hear(recognizer.for_session(), frames(speech("tell me a story")))
        assert question[-1].text == "tell me a story"
        assert not any(task.done() for task in talking)
        answered.set()
        for text, task in zip(TALK, talking, strict=True):
            said = (await task)[-1]
            assert difflib.SequenceMatcher(None, said.text.split(), text.split()).ratio() > 0.5
            assert [word.start for word in said.words] == sorted(word.start for word in said.words)
            assert " ".join(word.text for word in said.words) == said.text
