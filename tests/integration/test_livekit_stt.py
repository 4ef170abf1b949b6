"""Parley's ears as a LiveKit Agents plugin, against a running server; and the wire below, ``/v1/audio/listen``."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("livekit.agents", reason="livekit-agents is not installed")

import soxr
from livekit import api, rtc
from livekit.agents import APIConnectionError, APIStatusError, stt
from livekit.agents.types import APIConnectOptions
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from tests.integration.people import running
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from parley.bench import speech
from parley.errors import ConfigError
from parley.integrations import livekit
from parley.integrations.server import Server
from parley.testing.engines import EngineCatalog
from parley.testing.livekit_server import LiveKitServer
from parley.worker.server import Worker
from parley.worker.settings import ModelSettings, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from numpy.typing import NDArray
    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(180)]

AGENT = Path(__file__).parents[2] / "examples" / "livekit_agent" / "agent.py"
KEY = "a-key-of-the-test"
ONCE = APIConnectOptions(max_retry=0, timeout=5.0)
TEXT = "What is the weather like today?"
MORE = "Tell me about the second one."
Kind = stt.SpeechEventType


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    settings = ("server.api_key=" + KEY, "api.listening_at_once=3", "asr.engine=pocketsphinx", "server.warm_up=true")
    options = [part for setting in settings for part in ("--set", setting)]
    with running(tmp_path_factory.mktemp("livekit_stt"), *options) as it:
        yield it


@pytest.fixture
async def ears(parley: Running) -> AsyncIterator[livekit.STT]:
    async with livekit.STT(parley.url, api_key=KEY) as one:  # type: ignore[attr-defined]
        yield one


def said(text: str) -> NDArray[np.int16]:
    """At 48 kHz, with the silence in which it is understood."""
    return np.concatenate((np.zeros(24_000, np.int16), speech.say(text), np.zeros(48_000, np.int16)))


def frames(samples: NDArray[np.int16], rate: int = 48_000) -> list[rtc.AudioFrame]:
    size = rate // 50
    pieces = [samples[begin : begin + size] for begin in range(0, samples.size - size + 1, size)]
    return [rtc.AudioFrame(piece.tobytes(), rate, 1, size) for piece in pieces]


def alike(heard: str, text: str) -> bool:
    return SequenceMatcher(None, heard.lower(), text.lower().strip("?.")).ratio() > 0.8


async def heard(ears: livekit.STT, *items: rtc.AudioFrame | None) -> list[stt.SpeechEvent]:
    """All events of a stream; None flushes."""
    async with asyncio.timeout(60), ears.stream(conn_options=ONCE) as stream:
        for item in items:
            if item is None:
                stream.flush()
            else:
                stream.push_frame(item)
        stream.end_input()
        return [event async for event in stream]


async def drained(stream: stt.RecognizeStream) -> None:
    async with stream:
        stream.end_input()
        async for _ in stream:
            pass


async def test_each_utterance_is_begun_grows_is_final_and_ends(ears: livekit.STT) -> None:
    events = await heard(ears, *frames(said(TEXT)), *frames(said(MORE)))
    kinds = [event.type for event in events if event.type != Kind.INTERIM_TRANSCRIPT]
    once = [Kind.START_OF_SPEECH, Kind.FINAL_TRANSCRIPT, Kind.RECOGNITION_USAGE, Kind.END_OF_SPEECH]
    assert sorted(kinds) == sorted(2 * once)
    finals = [event.alternatives[0] for event in events if event.type == Kind.FINAL_TRANSCRIPT]
    assert alike(finals[0].text, TEXT)
    assert alike(finals[1].text, MORE)
    growing = [event.alternatives[0].text for event in events if event.type == Kind.INTERIM_TRANSCRIPT]
    assert growing
    assert all(growing)
    length = said(TEXT).size / 48_000
    assert 0 < finals[0].start_time < 0.6
    assert length < finals[1].start_time < finals[1].end_time < 2 * length


async def test_a_flush_brings_the_words_without_the_silence(ears: livekit.STT) -> None:
    voice = speech.say(TEXT)
    async with asyncio.timeout(30), ears.stream(conn_options=ONCE) as stream:
        for frame in frames(voice):
            stream.push_frame(frame)
        stream.flush()
        async for event in stream:
            if event.type == Kind.FINAL_TRANSCRIPT:
                break
    assert alike(event.alternatives[0].text, TEXT)


async def test_usage_is_what_was_sent(ears: livekit.STT) -> None:
    metrics: list[Any] = []
    ears.on("metrics_collected", metrics.append)
    await heard(ears, *frames(said(TEXT)))
    assert sum(each.audio_duration for each in metrics) == pytest.approx(said(TEXT).size / 48_000, abs=0.1)
    assert any(each.acquire_time > 0 for each in metrics)
    assert {each.metadata.model_provider for each in metrics} == {"parley"}


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
async def test_a_recording_of_any_rate_is_understood_at_once(ears: livekit.STT, rate: int) -> None:
    samples = soxr.resample(said(TEXT), 48_000, rate)
    event = await ears.recognize(frames(samples, rate), conn_options=ONCE)
    assert event.type == Kind.FINAL_TRANSCRIPT
    assert alike(event.alternatives[0].text, TEXT)


async def test_a_stereo_recording_is_understood(ears: livekit.STT) -> None:
    samples = np.repeat(said(TEXT), 2)
    event = await ears.recognize(rtc.AudioFrame(samples.tobytes(), 48_000, 2, samples.size // 2), conn_options=ONCE)
    assert alike(event.alternatives[0].text, TEXT)


async def test_silence_is_no_word(ears: livekit.STT) -> None:
    assert await heard(ears, *frames(np.zeros(48_000, np.int16))) == []
    event = await ears.recognize(frames(np.zeros(48_000, np.int16)), conn_options=ONCE)
    assert event.alternatives[0].text == ""


async def test_a_wrong_key_is_told_and_not_tried_again(parley: Running) -> None:
    errors: list[Any] = []
    ears = livekit.STT(parley.url, api_key="wrong")
    ears.on("error", errors.append)
    with pytest.raises(APIStatusError, match="key"):
        await drained(ears.stream())
    assert [error.recoverable for error in errors] == [False]


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    errors: list[Any] = []
    ears = livekit.STT("http://127.0.0.1:9")
    ears.on("error", errors.append)
    with pytest.raises(APIConnectionError):
        await drained(ears.stream(conn_options=APIConnectOptions(max_retry=2, retry_interval=0.01)))
    assert [error.recoverable for error in errors] == [True, True, False]


def test_an_address_that_is_none_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match="no address of a Parley server"):
        livekit.STT("localhost:8080")


# --- the example -----------------------------------------------------------------------


@pytest.mark.skipif(not LiveKitServer.available(), reason="livekit-server is not installed")
async def test_the_example_hears_somebody_in_a_room_and_says_it_again(parley: Running, tmp_path: Path) -> None:
    models = ModelSettings(default_model="tone")
    worker = Worker(WorkerSettings(port=0, models=models), EngineCatalog())
    await worker.start()
    server = LiveKitServer(tmp_path)
    async with server:
        environ = {
            **os.environ,
            "LIVEKIT_URL": server.url,
            "LIVEKIT_API_KEY": server.api_key,
            "LIVEKIT_API_SECRET": server.api_secret,
            "PARLEY_URL": parley.url,
            "PARLEY_API_KEY": KEY,
            "PARLEY_WORKER": worker.address,
        }
        command = [sys.executable, str(AGENT), "dev", "--no-reload"]
        with (tmp_path / "agent.log").open("w") as log:
            agent = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            async with asyncio.timeout(60):
                while "registered worker" not in (tmp_path / "agent.log").read_text():
                    await asyncio.sleep(0.1)
                assert alike(await said_again(server), f"You said: {TEXT}")
        except TimeoutError:
            pytest.fail((tmp_path / "agent.log").read_text())
        finally:
            agent.terminate()
            agent.wait(15)
            await worker.aclose()


async def said_again(server: LiveKitServer) -> str:
    """What the agent writes down of its own words, when it is told the question in a room."""
    dispatch = RoomConfiguration(agents=[RoomAgentDispatch(agent_name="parrot")])
    grants = api.VideoGrants(room_join=True, room="test")
    token = api.AccessToken(server.api_key, server.api_secret).with_identity("ada").with_grants(grants)
    room, told = rtc.Room(), asyncio.Queue[str]()

    async def read(reader: rtc.TextStreamReader, who: str) -> None:
        if who != "ada" and reader.info.attributes.get("lk.transcribed_track_id", "") not in own:
            await told.put(await reader.read_all())

    own: set[str] = set()
    reading: set[asyncio.Task[None]] = set()
    room.register_text_stream_handler(
        "lk.transcription", lambda reader, who: reading.add(asyncio.ensure_future(read(reader, who)))
    )
    await room.connect(server.url, token.with_room_config(dispatch).to_jwt())
    try:
        source = rtc.AudioSource(48_000, 1)
        microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        track = rtc.LocalAudioTrack.create_audio_track("voice", source)
        published = await room.local_participant.publish_track(track, microphone)
        own.add(published.sid)
        await told.get()  # its greeting: it is there, and listens
        for frame in frames(said(TEXT)):
            await source.capture_frame(frame)
        while "said" not in (text := await told.get()):
            pass
        return text
    finally:
        await room.disconnect()
        for task in reading:
            task.cancel()


# --- the wire --------------------------------------------------------------------------


def stream(parley: Running) -> connect:
    address = Server(parley.url).address("/v1/audio/listen", "ws")
    return connect(address, additional_headers={"Authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        (["{"], "no JSON"),
        ([b"\0\0"], 'type "start"'),
        (['{"type": "commit"}'], 'type "start"'),
        (['{"type": "start", "sample_rate": 5}'], "sample_rate must be"),
        (['{"type": "start"}', '{"type": "start"}'], "already started"),
        (['{"type": "start"}', '{"type": "hello"}'], "type of a message"),
    ],
)
async def test_what_can_not_be_meant_is_told_and_ends_the_stream(
    parley: Running, messages: list[str | bytes], says: str
) -> None:
    async with asyncio.timeout(10), stream(parley) as connection:
        for message in messages:
            await connection.send(message)
        told = json.loads(await connection.recv())
        if told["type"] == "started":
            told = json.loads(await connection.recv())
        await connection.wait_closed()
    assert told["type"] == "error"
    assert says in told["message"]
    assert connection.close_code == 1008


async def test_one_stream_too_many_is_refused_with_a_word_and_the_others_go_on(parley: Running) -> None:
    async with asyncio.timeout(30), stream(parley) as one, stream(parley) as two, stream(parley) as three:
        for each in (one, two, three):
            await each.send('{"type": "start"}')
            assert json.loads(await each.recv())["type"] == "started"
        async with stream(parley) as more:
            await more.send('{"type": "start"}')
            told = json.loads(await more.recv())
            assert told["retryable"]
            assert "api.listening_at_once" in told["message"]
            with pytest.raises(ConnectionClosed):
                await more.recv()
        for each in (one, two, three):
            await each.send('{"type": "end"}')
            assert json.loads(await each.recv()) == {"type": "done", "seconds": 0.0}


async def test_who_leaves_frees_the_place(parley: Running) -> None:
    for _ in range(5):
        async with asyncio.timeout(20), stream(parley) as connection:
            await connection.send('{"type": "start", "detection": false}')
            assert json.loads(await connection.recv())["type"] == "started"
            await connection.send(speech.say(TEXT)[:9_600].tobytes())
