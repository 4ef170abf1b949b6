"""What the adapter for speech servers asks for, and how it explains what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from parley.errors import CapacityError, ConfigError, EngineError, InvalidRequest, TimedOut, UnavailableError
from parley.testing.adapters import joined, speak
from parley.testing.speech_server import RATE, SpeechServer, spoken
from parley.values import ModelInfo, Voice
from parley.worker.adapters.openai_speech import OpenAISpeechAdapter
from parley.worker.engine_pool import build_pool
from parley.worker.pack import VoicePack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    with SpeechServer() as running:
        yield running


_made: list[OpenAISpeechAdapter] = []


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while _made:
        _made.pop().unload()


def adapter(
    url: str, folder: Path | None = None, *, speakers: dict[str, int | str] | None = None, **options: Any
) -> OpenAISpeechAdapter:
    names = tuple(speakers or ("alloy", "echo"))
    defaults = {name: option.default for name, option in OpenAISpeechAdapter.options.items()}
    info = ModelInfo("remote", "openai-speech", sample_rate=RATE, speakers=names)
    pack = VoicePack(
        info, folder, options={**defaults, "base_url": url, "check": False, **options}, speaker_ids=speakers or {}
    )
    made = OpenAISpeechAdapter(pack)
    _made.append(made)
    made.load()
    return made


def test_it_asks_for_pcm_of_the_text_that_it_is_given(server: SpeechServer) -> None:
    speak(adapter(server.url, model="kokoro"), "One.", Voice(speaker="echo", speed=1.5))
    assert server.requests[-1] == {
        "model": "kokoro",
        "input": "One.",
        "voice": "echo",
        "response_format": "pcm",
        "stream_format": "audio",
        "speed": 1.5,
    }


def test_the_audio_is_what_the_server_sent(server: SpeechServer) -> None:
    samples = joined(speak(adapter(server.url), "Hello."))
    assert (samples * 32_768).astype("<i2").tobytes() == spoken("Hello.")


def test_speakers_may_have_other_names_on_the_server(server: SpeechServer) -> None:
    speak(adapter(server.url, speakers={"anna": "alloy"}), "Hi.", Voice(speaker="anna"))
    assert server.requests[0]["voice"] == "alloy"


def test_the_first_chunk_comes_before_the_server_is_done(server: SpeechServer) -> None:
    audio = adapter(server.url).synthesize("a" * 290, voice=Voice())
    first = next(audio)
    assert 0 < first.samples.size < len(spoken("a" * 290)) / 2
    audio.close()


def test_closing_the_stream_ends_the_servers_work(server: SpeechServer) -> None:
    audio = adapter(server.url).synthesize("a" * 290, voice=Voice())
    next(audio)
    audio.close()
    assert server.aborted.wait(5)


def test_sentences_share_one_connection(server: SpeechServer) -> None:
    voice = adapter(server.url)
    for text in ("One.", "Two.", "Three."):
        assert joined(speak(voice, text)).size
    assert len(server.connections) == 1


def test_after_a_sentence_that_nobody_wanted_the_next_one_is_whole(server: SpeechServer) -> None:
    voice = adapter(server.url)
    audio = voice.synthesize("This one is much too long to be heard by anybody. " * 20, voice=Voice())
    next(audio)
    audio.close()
    samples = joined(speak(voice, "Two."))
    assert (samples * 32_768).astype("<i2").tobytes() == spoken("Two.")
    assert len(server.connections) == 2


def test_a_server_that_hung_up_meanwhile_is_called_again() -> None:
    with SpeechServer() as server:
        voice = adapter(server.url)
        speak(voice, "One.")
        server.hang_up()
        assert joined(speak(voice, "Two.")).size


def test_the_key_comes_from_a_file_in_the_pack(server: SpeechServer, tmp_path: Path) -> None:
    server.key = "secret"
    (tmp_path / "key.txt").write_text("secret\nmore\n")
    assert joined(speak(adapter(server.url, tmp_path, api_key_file="key.txt"), "Hello.")).size


def test_a_key_file_that_is_missing_is_named(server: SpeechServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"key.txt can not be read: .*options.api_key_file"):
        adapter(server.url, tmp_path, api_key_file="key.txt")


def test_a_wrong_key_says_which_setting_to_change(server: SpeechServer) -> None:
    server.key = "secret"
    with pytest.raises(ConfigError, match=r"answered 401 \(Incorrect API key.\); set 'options.api_key_file'"):
        speak(adapter(server.url), "Hello.")


def test_a_wrong_path_says_what_the_address_must_be(server: SpeechServer) -> None:
    with pytest.raises(ConfigError, match=r"'options.base_url' must be the part of the address before /audio/speech"):
        speak(adapter(server.url.replace("/v1", "/v2")), "Hello.")


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"key 'options.base_url' is 'gpu-box'"):
        adapter("gpu-box")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="can not be reached"):
        speak(adapter("http://127.0.0.1:9/v1"), "Hello.")


@pytest.mark.parametrize(
    ("status", "kind"), [(429, CapacityError), (400, InvalidRequest), (500, EngineError), (503, EngineError)]
)
def test_a_status_becomes_the_error_that_it_means(server: SpeechServer, status: int, kind: type[Exception]) -> None:
    server.fail_with = status
    with pytest.raises(kind, match=f"answered {status}"):
        speak(adapter(server.url), "Hello.")


def test_audio_that_breaks_off_is_an_error_and_not_a_short_sentence(server: SpeechServer) -> None:
    server.break_off = True
    with pytest.raises((EngineError, UnavailableError)):
        speak(adapter(server.url), "Hello.")


def test_a_silent_server_runs_into_the_time_limit() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with pytest.raises(TimedOut, match=r"sent nothing for 0.1 s"):
            speak(adapter(url, timeout=0.1), "Hello.")


def test_loading_asks_the_server_for_one_word(server: SpeechServer) -> None:
    adapter(server.url, check=True)
    assert [request["input"] for request in server.requests] == ["Ready."]


def test_loading_fails_when_the_server_does(server: SpeechServer) -> None:
    server.fail_with = 500
    with pytest.raises(ConfigError, match="remote: The speech server"):
        adapter(server.url, check=True)


def test_a_worker_runs_several_engines_of_it_because_each_waits_for_one_request() -> None:
    pack = VoicePack(ModelInfo("remote", "openai-speech"))
    pool = build_pool(pack.info, lambda: OpenAISpeechAdapter(pack), slots=1, isolated=False)
    assert pool.slots == OpenAISpeechAdapter.slots > 1
