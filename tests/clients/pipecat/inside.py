"""What Pipecat gets of Parley; run by tests/clients/test_pipecat.py in an environment that has Pipecat."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import wave
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import STTUsageMetricsData, TTFBMetricsData, TTSUsageMetricsData
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.utils.errors import ErrorCategory
from websockets.asyncio.server import ServerConnection, serve

from parley.integrations.pipecat import ParleySTTService, ParleySTTSettings, ParleyTTSService, ParleyTTSSettings

pytestmark = pytest.mark.anyio

URL, KEY = os.environ["PARLEY_TEST_URL"], os.environ["PARLEY_TEST_KEY"]
QUESTION = "What is the weather like today?"
TEXT = "The first thing is short, I think."
MORE = "Then there comes a second one."
SECOND = 1_000_000_000
RATE = 24_000


async def played(service: Any, *frames: Frame, **params: Any) -> tuple[list[Frame], list[Frame]]:
    """What leaves the service, down and up the pipeline."""
    options = PipelineParams(**{"audio_in_sample_rate": 48_000, "audio_out_sample_rate": RATE, **params})
    async with asyncio.timeout(60):
        down, up = await run_test(service, frames_to_send=frames, pipeline_params=options, start_timeout=10)
    return list(down), list(up)


def of(kind: type[Any], frames: list[Frame]) -> list[Any]:
    return [frame for frame in frames if isinstance(frame, kind)]


def voice(**settings: Any) -> ParleyTTSService:
    return ParleyTTSService(url=URL, api_key=KEY, settings=ParleyTTSSettings(**settings))


def seconds(frames: list[Frame]) -> float:
    return sum(len(frame.audio) / 2 / frame.sample_rate for frame in of(TTSAudioRawFrame, frames))


def measured(kind: type[Any], frames: list[Frame]) -> list[Any]:
    return [data for frame in of(MetricsFrame, frames) for data in frame.data if isinstance(data, kind)]


# --- voices ----------------------------------------------------------------------------


async def test_a_text_becomes_sound_with_the_time_of_each_word() -> None:
    down, up = await played(voice(), TTSSpeakFrame(TEXT))
    assert of(ErrorFrame, up) == []
    assert {frame.sample_rate for frame in of(TTSAudioRawFrame, down)} == {RATE}
    words = of(TTSTextFrame, down)
    assert " ".join(word.text for word in words).split() == TEXT.split()
    times = [word.pts for word in words]
    assert times == sorted(times)
    assert 0.5 < (times[-1] - times[0]) / SECOND < seconds(down)
    assert (len(of(TTSStartedFrame, down)), len(of(TTSStoppedFrame, down))) == (1, 1)


async def test_the_sentences_of_a_reply_are_one_context_whose_times_go_on() -> None:
    deltas = [LLMTextFrame(f"{word} ") for word in f"{TEXT} {MORE}".split()]
    down, _ = await played(voice(), LLMFullResponseStartFrame(), *deltas, LLMFullResponseEndFrame())
    words = of(TTSTextFrame, down)
    assert len({word.context_id for word in words}) == 1
    assert " ".join(word.text for word in words).split() == f"{TEXT} {MORE}".split()
    first, second = words[0], words[len(TEXT.split())]
    alone, _ = await played(voice(), TTSSpeakFrame(TEXT))
    assert (second.pts - first.pts) / SECOND == pytest.approx(seconds(alone), abs=0.4)


async def test_another_rate_is_made_here() -> None:
    high, _ = await played(voice(), TTSSpeakFrame(TEXT), audio_out_sample_rate=48_000)
    assert {frame.sample_rate for frame in of(TTSAudioRawFrame, high)} == {48_000}
    low, _ = await played(voice(), TTSSpeakFrame(TEXT))
    assert seconds(high) == pytest.approx(seconds(low), abs=0.1)


async def test_settings_change_from_the_next_sentence_on() -> None:
    update = TTSUpdateSettingsFrame(delta=ParleyTTSSettings(speed=2.0))
    slow, _ = await played(voice(), TTSSpeakFrame(TEXT))
    fast, _ = await played(voice(), update, TTSSpeakFrame(TEXT))
    assert seconds(fast) < 0.7 * seconds(slow)


async def test_an_interruption_ends_the_sound_and_the_words() -> None:
    long = " ".join([TEXT, MORE] * 20)
    down, up = await played(voice(), TTSSpeakFrame(long), SleepFrame(0.5), InterruptionFrame(), SleepFrame(0.5))
    assert of(ErrorFrame, up) == []
    cut = next(index for index, frame in enumerate(down) if isinstance(frame, InterruptionFrame))
    assert of(TTSAudioRawFrame, down[cut:]) == []
    assert of(TTSTextFrame, down[cut:]) == []


async def test_after_an_interruption_the_next_text_is_said() -> None:
    long = " ".join([TEXT, MORE] * 20)
    down, _ = await played(voice(), TTSSpeakFrame(long), SleepFrame(0.3), InterruptionFrame(), TTSSpeakFrame(MORE))
    cut = next(index for index, frame in enumerate(down) if isinstance(frame, InterruptionFrame))
    assert [word.text for word in of(TTSTextFrame, down[cut:])] == MORE.split()


async def test_a_text_without_a_word_is_no_error_and_no_reason_to_give_up() -> None:
    service = voice()
    down, up = await played(service, TTSSpeakFrame("🙂"), TTSSpeakFrame(TEXT))
    assert service.is_usable
    assert seconds(down) > 1
    assert [error.category for error in of(ErrorFrame, up) if error.category and error.category.is_permanent] == []


async def test_a_voice_that_is_not_there_is_told_for_good() -> None:
    service = voice(voice="nobody/here")
    _, up = await played(service, TTSSpeakFrame(TEXT))
    assert of(ErrorFrame, up)[0].category == ErrorCategory.INVALID_REQUEST
    assert "nobody" in of(ErrorFrame, up)[0].error
    assert not service.is_usable


async def test_usage_and_the_time_to_the_first_sound_are_measured() -> None:
    down, _ = await played(voice(), TTSSpeakFrame(TEXT), enable_metrics=True, enable_usage_metrics=True)
    assert [data.value for data in measured(TTSUsageMetricsData, down)] == [len(TEXT)]
    assert any(data.value > 0 for data in measured(TTFBMetricsData, down))


# --- ears ------------------------------------------------------------------------------


def ears(**options: Any) -> ParleySTTService:
    return ParleySTTService(url=URL, api_key=options.pop("api_key", KEY), **options)


def sound(silence: float = 0.0) -> list[InputAudioRawFrame]:
    """The question, and silence behind it."""
    with wave.open(str(Path(os.environ["PARLEY_TEST_FOLDER"], "question.wav"))) as file:
        rate = file.getframerate()
        pcm = file.readframes(file.getnframes()) + bytes(2 * int(silence * rate))
    size = rate // 50 * 2
    return [InputAudioRawFrame(pcm[begin : begin + size], rate, 1) for begin in range(0, len(pcm) - size, size)]


def alike(text: str) -> bool:
    return SequenceMatcher(None, text.lower(), QUESTION.lower().strip("?")).ratio() > 0.8


async def test_words_grow_and_are_final_once() -> None:
    down, up = await played(ears(), *sound(1.0))
    assert of(ErrorFrame, up) == []
    (final,) = of(TranscriptionFrame, down)
    assert alike(final.text)
    assert final.finalized
    growing = [frame.text for frame in of(InterimTranscriptionFrame, down)]
    assert growing
    assert all(one != two for one, two in pairwise(growing))


async def slow_ears(connection: ServerConnection) -> None:
    """A server that goes on to say what it hears after all was sent: word by word, and all of them at last."""
    async for message in connection:
        if isinstance(message, bytes):
            continue
        if json.loads(message)["type"] == "start":
            await connection.send('{"type": "started"}')
            continue
        for count in range(1, 7):
            await asyncio.sleep(0.4)  # a word that comes slowly: the time that passes is what is tested
            said = {"type": "transcript", "utterance": 1, "text": " ".join(["word"] * count), "stable": 0,
                    "final": count == 6, "start": 0.0, "end": 1.0, "language": "en", "confidence": 1.0,
                    "words": []}  # fmt: skip
            await connection.send(json.dumps(said))
        await connection.send('{"type": "done", "seconds": 1.0}')
        return


async def test_a_pipeline_that_ends_waits_as_long_as_words_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.integrations.pipecat._LAST_WORDS", 2.0)  # all of it takes longer, each word less
    async with serve(slow_ears, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        down, up = await played(ParleySTTService(url=url), InputAudioRawFrame(bytes(1_920), 48_000, 1))
    assert [frame.text for frame in of(TranscriptionFrame, down)] == ["word word word word word word"]
    assert of(ErrorFrame, up) == []


async def test_the_end_of_speech_that_pipecat_finds_brings_the_words() -> None:
    stopped = VADUserStoppedSpeakingFrame(stop_secs=0.2)
    frames = (*sound(), VADUserStartedSpeakingFrame(), stopped, SleepFrame(3.0))  # long enough for the recogniser
    down, _ = await played(ears(settings=ParleySTTSettings(silence=5.0)), *frames, enable_metrics=True)
    (final,) = of(TranscriptionFrame, down)
    assert alike(final.text)
    assert measured(TTFBMetricsData, down)


async def test_the_server_says_where_turns_are_when_it_is_asked_to() -> None:
    down, up = await played(ears(server_turns=True), *sound(1.0))
    for frames in (down, up):
        assert len(of(ProposedUserStartedSpeakingFrame, frames)) == 1
        assert len(of(ProposedUserStoppedSpeakingFrame, frames)) == 1
    assert of(STTMetadataFrame, down)[0].user_turn_strategies is not None
    order = [type(frame) for frame in down if isinstance(frame, TranscriptionFrame | ProposedUserStoppedSpeakingFrame)]
    assert order == [TranscriptionFrame, ProposedUserStoppedSpeakingFrame]


async def test_usage_is_what_was_sent() -> None:
    down, _ = await played(ears(), *sound(1.0), enable_metrics=True, enable_usage_metrics=True)
    used = sum(data.value.audio_seconds for data in measured(STTUsageMetricsData, down))
    assert used == pytest.approx(len(sound(1.0)) / 50, abs=0.1)


async def test_a_wrong_key_is_told_for_good() -> None:
    service = ears(api_key="wrong")
    _, up = await played(service, SleepFrame(0.5))
    assert ErrorCategory.AUTHENTICATION in [error.category for error in of(ErrorFrame, up)]
    assert not service.is_usable


async def test_a_connection_that_breaks_is_made_anew() -> None:
    service = ears(reconnect_backoff_min_wait=0.1)

    async def break_it() -> None:
        while service._websocket is None:
            await asyncio.sleep(0.01)
        service._websocket.transport.abort()

    breaking = asyncio.create_task(break_it())
    down, up = await played(service, SleepFrame(1.5), *sound(1.0))
    await breaking
    assert of(ErrorFrame, up)
    assert alike(of(TranscriptionFrame, down)[0].text)


def test_nothing_of_grpc_is_imported() -> None:
    program = "import sys, parley.integrations.pipecat; print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split()[-1] == "False"


def test_the_example_hears_a_file_and_says_it_again(tmp_path: Path) -> None:
    bot = Path(__file__).parents[3] / "examples" / "pipecat_bot" / "bot.py"
    question, answer = Path(os.environ["PARLEY_TEST_FOLDER"], "question.wav"), tmp_path / "answer.wav"
    environ = {**os.environ, "PARLEY_URL": URL, "PARLEY_API_KEY": KEY}
    command = [sys.executable, str(bot), str(question), str(answer)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    with wave.open(str(answer)) as file:
        assert 1.5 < file.getnframes() / file.getframerate() < 6
