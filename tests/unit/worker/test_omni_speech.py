"""What the adapter for WebSocket speech servers says to them, and how it explains what goes wrong."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from parley.errors import CapacityError, ConfigError, EngineError, InvalidRequest, TimedOut, UnavailableError
from parley.testing.adapters import joined, speak
from parley.testing.omni_server import OmniServer
from parley.testing.speech_server import RATE, spoken
from parley.values import ModelInfo, Voice
from parley.worker.adapters.omni_speech import OmniSpeechAdapter
from parley.worker.engine_pool import build_pool
from parley.worker.pack import VoicePack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = "a" * 290


@pytest.fixture(params=["vllm", "sglang"])
def server(request: pytest.FixtureRequest) -> Iterator[OmniServer]:
    with OmniServer(request.param) as running:
        yield running


_made: list[OmniSpeechAdapter] = []


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while _made:
        _made.pop().unload()


def pack_of(
    url: str, folder: Path | None = None, *, speakers: dict[str, int | str] | None = None, **options: Any
) -> VoicePack:
    info = ModelInfo("remote", "omni-speech", sample_rate=RATE, speakers=tuple(speakers or ("alloy", "echo")))
    return VoicePack(info, folder, options={"base_url": url, "check": False, **options}, speaker_ids=speakers or {})


def adapter(url: str, folder: Path | None = None, **pack: Any) -> OmniSpeechAdapter:
    made = OmniSpeechAdapter(pack_of(url, folder, **pack))
    _made.append(made)
    made.load()
    return made


def pcm(samples: Any) -> bytes:
    data: bytes = (samples * 32_768).astype("<i2").tobytes()
    return data


def test_it_asks_for_streamed_pcm_of_the_text_that_it_is_given(server: OmniServer) -> None:
    speak(adapter(server.url, model="qwen3", language="English"), "One.", Voice(speaker="echo", speed=1.5))
    assert server.configs == [
        {
            "type": "session.config",
            "response_format": "pcm",
            "stream_audio": True,
            "speed": 1.5,
            "model": "qwen3",
            "voice": "echo",
            "language": "English",
        }
    ]
    assert server.texts == ["One."]


def test_the_audio_is_what_the_server_sent_sentence_by_sentence(server: OmniServer) -> None:
    one = adapter(server.url)
    for text in ("Hello.", "How are you?", "I am well."):
        assert pcm(joined(speak(one, text))) == spoken(text)
    assert server.texts == ["Hello.", "How are you?", "I am well."]


def test_a_connection_is_kept_where_the_server_keeps_it() -> None:
    with OmniServer("vllm") as server:
        one = adapter(server.url)
        for voice in (Voice(speaker="alloy"), Voice(speaker="alloy"), Voice(speaker="echo")):
            speak(one, "One.", voice)
        assert len(server.connections) == 1
        assert [config["voice"] for config in server.configs] == ["alloy", "echo"]


def test_no_text_is_lost_where_the_server_hung_up_between_two(server: OmniServer) -> None:
    one = adapter(server.url)
    speak(one, "One.")
    server.hang_up()
    assert pcm(joined(speak(one, "Two."))) == spoken("Two.")
    assert server.texts == ["One.", "Two."]


def test_two_channels_are_one() -> None:
    with OmniServer("vllm", channels=2) as server:
        assert pcm(joined(speak(adapter(server.url), "Hello."))) == spoken("Hello.")


def test_speakers_may_have_other_names_on_the_server(server: OmniServer) -> None:
    speak(adapter(server.url, speakers={"anna": "alloy"}), "Hi.", Voice(speaker="anna"))
    assert server.configs[0]["voice"] == "alloy"


def test_a_sentence_that_nobody_wants_stops_the_server(server: OmniServer) -> None:
    audio = adapter(server.url).synthesize(LONG * 10, voice=Voice())
    assert 0 < next(audio).samples.size < len(spoken(LONG)) / 2
    began = time.perf_counter()
    audio.close()
    assert time.perf_counter() - began < 5
    assert server.aborted.wait(10)


@pytest.mark.parametrize(
    ("changed", "error", "why"),
    [
        ({"status": 503}, CapacityError, "it is full"),
        ({"status": 500}, UnavailableError, "answered 500"),
        ({"status": 404}, ConfigError, "base_url"),
        ({"key": "secret"}, ConfigError, "api_key_file"),
        ({"fail": "Generation failed for utterance 0"}, EngineError, "Generation failed"),
        ({"fail": "The request queue is full."}, CapacityError, "queue is full"),
        ({"die_after": 3}, EngineError, "broke off in the middle"),
        ({"die_after": 0}, UnavailableError, "before it said anything"),
    ],
)
def test_what_goes_wrong_is_told_apart(
    server: OmniServer, changed: dict[str, Any], error: type[Exception], why: str
) -> None:
    for name, value in changed.items():
        setattr(server, name, value)
    with pytest.raises(error, match=why):
        speak(adapter(server.url), LONG)


def test_a_voice_that_the_server_does_not_have_is_the_callers_fault(server: OmniServer) -> None:
    with pytest.raises(InvalidRequest, match="no such voice"):
        speak(adapter(server.url, speakers={"anna": "anna"}), "Hello.", Voice(speaker="anna"))


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_is_set(server: OmniServer) -> None:
    server.mute = True
    with pytest.raises(TimedOut, match=r"sent nothing for 0\.2 s"):
        speak(adapter(server.url, first=0.2), "Hello.")


def test_the_key_comes_from_its_file(server: OmniServer, tmp_path: Path) -> None:
    server.key = "secret"
    (tmp_path / "key.txt").write_text("secret\n")
    assert joined(speak(adapter(server.url, tmp_path, api_key_file="key.txt"), "Hello.")).size


def test_nobody_there_is_said_at_loading() -> None:
    with pytest.raises(ConfigError, match="can not be reached"):
        adapter("http://127.0.0.1:9/v1", check=True)


def test_a_worker_asks_no_more_of_a_server_than_it_makes_at_a_time(server: OmniServer) -> None:
    pack = pack_of(server.url, slots=3)
    pool = build_pool(pack.info, lambda: OmniSpeechAdapter(pack), slots=1, isolated=False)
    assert pool.slots == 3
    adapters = [adapter(server.url, slots=3) for _ in range(3)]
    threads = [threading.Thread(target=speak, args=(one, LONG)) for one in adapters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.most <= 3
    assert len(server.texts) == 3
