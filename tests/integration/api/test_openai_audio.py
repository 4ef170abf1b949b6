"""OpenAI's own client for Python, pointed at Parley: it speaks, it listens, it reads the lists and the errors."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Generator
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import openai
import pytest
from tests.integration.people import running

from parley.api.encoding import wav_header
from parley.bench import speech

if TYPE_CHECKING:
    from tests.integration.people import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
KEY = "a-key-of-the-test"
TEXT = "What is the weather like today? Tell me about the second one."


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    folder = tmp_path_factory.mktemp("openai")
    options = ("server.api_key=" + KEY, "api.largest_file=3000000", "api.longest_audio=60")
    with running(folder, *(part for option in options for part in ("--set", option))) as it:
        yield it


@pytest.fixture
def client(parley: Running) -> Generator[openai.OpenAI, None, None]:
    with openai.OpenAI(base_url=f"{parley.url}/v1", api_key=KEY, max_retries=0) as one:
        yield one


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def question() -> bytes:
    """A recording as somebody's program would make it."""
    samples = speech.say("What is the weather like today?", speech.speakers()[0])
    return wav_header(speech.RATE) + samples.astype("<i2").tobytes()


def test_a_text_becomes_a_file_and_the_file_becomes_the_text(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="marin", input=TEXT, response_format="wav", instructions="warmly"
    ) as answer:
        assert answer.headers["content-type"] == "audio/wav"
        file = b"".join(answer.iter_bytes())
    said = client.audio.transcriptions.create(model="whisper-1", file=("said.wav", file))
    likeness = SequenceMatcher(None, words(TEXT), words(said.text)).ratio()
    assert likeness > 0.5, said.text  # the embedded ears know no formant voice well


@pytest.mark.parametrize(
    ("name", "content_type", "begin"),
    [("mp3", "audio/mpeg", b"\xff"), ("opus", "audio/ogg", b"OggS"), ("aac", "audio/aac", b"\xff"),
     ("flac", "audio/flac", b"fLaC"), ("pcm", "audio/pcm", b"")],
)  # fmt: skip
def test_each_format_has_its_type(client: openai.OpenAI, name: str, content_type: str, begin: bytes) -> None:
    answer = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.", response_format=name)  # type: ignore[arg-type]
    assert answer.response.headers["content-type"] == content_type
    assert len(answer.content) > 2_000
    assert answer.content.startswith(begin)


def test_speech_as_events_is_the_same_file(client: openai.OpenAI) -> None:
    import base64

    whole = client.audio.speech.create(model="tts-1", voice="echo", input=TEXT, response_format="pcm").content
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="echo", input=TEXT, response_format="pcm", stream_format="sse"
    ) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert [event["type"] for event in events[:-1]] == ["speech.audio.delta"] * (len(events) - 1)
    assert events[-1]["type"] == "speech.audio.done"
    assert events[-1]["usage"]["total_tokens"] == len(TEXT)
    assert len(b"".join(base64.b64decode(event["audio"]) for event in events[:-1])) == len(whole)


def test_the_example_runs(parley: Running, tmp_path: Path) -> None:
    example = Path(__file__).resolve().parents[3] / "examples" / "openai_audio" / "main.py"
    done = subprocess.run(
        [sys.executable, str(example), "What is the weather like today?", str(tmp_path / "said.mp3")],
        env={**os.environ, "PARLEY_URL": parley.url, "PARLEY_API_KEY": KEY},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert words(done.stdout)
    assert (tmp_path / "said.mp3").stat().st_size > 5_000


def test_speed_is_the_voices(client: openai.OpenAI) -> None:
    slow, fast = (
        client.audio.speech.create(model="tts-1", voice="ash", input=TEXT, response_format="pcm", speed=speed).content
        for speed in (0.7, 1.6)
    )
    assert len(slow) > 1.5 * len(fast)


def test_a_recording_in_every_shape(client: openai.OpenAI) -> None:
    file = ("question.wav", question())
    plain = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file, language="en")
    assert words(plain.text) == words("what is the weather like today")
    verbose = client.audio.transcriptions.create(
        model="whisper-1", file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert verbose.words is not None
    assert [word.word for word in verbose.words] == words(plain.text)
    assert all(one.start < one.end <= float(verbose.duration) + 0.1 for one in verbose.words)
    text = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="text")
    assert words(text) == words(plain.text)
    srt = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="srt")
    assert re.match(r"1\n00:00:00,\d{3} --> 00:00:0\d,\d{3}\nwhat is the weather like today\n", srt)
    vtt = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.")


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_helps_to_hear_this_recording_and_no_other(client: openai.OpenAI, stream: bool) -> None:
    said = "open the blue umbrella"
    sound = wav_header(speech.RATE) + speech.say(said, speech.speakers()[0]).astype("<i2").tobytes()

    def heard(**more: str) -> str:
        answer = client.audio.transcriptions.create(model="whisper-1", file=("it.wav", sound), stream=stream, **more)
        return answer.text if not stream else list(answer)[-1].text

    texts = [heard(), heard(prompt=f"Blue Umbrella, xyzzy. {said.capitalize()}."), heard()]
    assert [text == said for text in texts] == [False, True, False]


def test_words_come_as_events_while_the_recording_is_heard(client: openai.OpenAI) -> None:
    events = list(client.audio.transcriptions.create(model="whisper-1", file=("q.wav", question()), stream=True))
    done = events[-1]
    assert done.type == "transcript.text.done"
    assert words(done.text) == words("what is the weather like today")
    assert "".join(event.delta for event in events[:-1]) == done.text  # type: ignore[union-attr]


def test_the_lists(client: openai.OpenAI, parley: Running) -> None:
    models = [model.id for model in client.models.list()]
    assert "espeak" in models
    assert not any("tone" in model for model in models)
    assert client.models.retrieve("espeak").id == "espeak"
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.models.retrieve("nope")
    listed = httpx.get(f"{parley.url}/v1/audio/voices", headers={"Authorization": f"Bearer {KEY}"}).json()["voices"]
    assert {"id", "name"} <= set(listed[0])
    voice = listed[-1]["id"]
    assert client.audio.speech.create(model="tts-1", voice=voice, input="Hello.").content


def test_errors_are_read_by_the_client(client: openai.OpenAI, parley: Running) -> None:
    with pytest.raises(openai.NotFoundError, match="no model called 'nope'"):
        client.audio.speech.create(model="nope", voice="alloy", input="Hello.")
    with pytest.raises(openai.NotFoundError, match="speaker called 'nobody'"):
        client.audio.speech.create(model="tts-1", voice="nobody", input="Hello.")
    for text, says in (("", "empty"), ("...", "no word"), ("x" * 5_000, "api.longest_text")):
        with pytest.raises(openai.BadRequestError, match=says):
            client.audio.speech.create(model="tts-1", voice="alloy", input=text)
    with pytest.raises(openai.BadRequestError, match="no recording"):
        client.audio.transcriptions.create(model="whisper-1", file=("notes.wav", b"no sound" * 1_000))
    with pytest.raises(openai.BadRequestError, match=r"api\.largest_file"):
        client.audio.transcriptions.create(model="whisper-1", file=("long.wav", bytes(3_100_000)))
    with pytest.raises(openai.NotFoundError, match="pocketsphinx"):
        client.audio.transcriptions.create(model="nope", file=("q.wav", question()))
    with (
        openai.OpenAI(base_url=f"{parley.url}/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")


def test_more_at_once_than_there_are_places_wait_and_are_all_served(parley: Running) -> None:
    import concurrent.futures

    def speak(number: int) -> int:
        with openai.OpenAI(base_url=f"{parley.url}/v1", api_key=KEY, max_retries=0) as one:
            return len(one.audio.speech.create(model="tts-1", voice="alloy", input=f"Number {number}.").content)

    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        assert all(size > 1_000 for size in threads.map(speak, range(12)))


def test_whoever_leaves_ends_the_voice(parley: Running, tmp_path: Path) -> None:
    """A long text, left at its first bytes, many times over: places come back, or the last would wait too long."""
    text = "The quick brown fox jumps over the lazy dog. " * 80
    for _ in range(8):
        with httpx.stream(
            "POST", f"{parley.url}/v1/audio/speech", headers={"Authorization": f"Bearer {KEY}"},
            json={"model": "tts-1", "voice": "alloy", "input": text, "response_format": "wav"}, timeout=20,
        ) as answer:  # fmt: skip
            assert next(answer.iter_raw())
    answer = httpx.post(
        f"{parley.url}/v1/audio/speech", headers={"Authorization": f"Bearer {KEY}"},
        json={"model": "tts-1", "voice": "alloy", "input": "Hello."}, timeout=5,
    )  # fmt: skip
    assert answer.status_code == 200
    log = parley.log.read_text()
    assert "Traceback" not in log, log


def test_what_is_said_stands_in_no_log(parley: Running, client: openai.OpenAI) -> None:
    client.audio.speech.create(model="tts-1", voice="alloy", input="Xylophones vanish quietly.")
    client.audio.transcriptions.create(model="whisper-1", file=io.BytesIO(question()))
    log = parley.log.read_text().lower()
    assert "xylophone" not in log
    assert "weather" not in log
    assert np.all([KEY not in log])
