"""Voices of people over HTTP, with the real server and its worker: added, spoken with at once, deleted, gone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import wave
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from tests.integration.people import running

from parley.api.encoding import FORMATS
from parley.bench import speech
from parley.cli import main
from parley.worker.adapters import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from tests.integration.people import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
KEY = "a-key-of-the-test"
SAID = "The north wind and the sun were disputing which was the stronger, when a traveller came along."


def copycats(folder: Path, *names: str) -> None:
    """Models of a family from another package, which repeats the recordings that it has heard."""
    info = folder / "copycat-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: copycat\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\ncopycat = parley.testing.engines:CopyAdapter\n")
    for name in names:
        pack = folder / "voicepacks" / "copycat" / name
        pack.mkdir(parents=True)
        (pack / "metadata.yaml").write_text("languages: [en]\nlicence: MIT\n")


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    folder = tmp_path_factory.mktemp("voices")
    copycats(folder, "cat")
    options = (f"server.api_key={KEY}", "worker.cloning.enabled=true", 'worker.models.preload_models=["cat"]')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("XDG_RUNTIME_DIR", str(folder))  # where the command line looks for a server: there is this one
        with running(folder, *(part for option in options for part in ("--set", option))) as it:
            yield it


@pytest.fixture
def http(parley: Running) -> Generator[httpx.Client, None, None]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=parley.url, headers=headers, timeout=60) as client:
        yield client
        for voice in client.get("/v1/voices").json()["voices"]:
            client.delete(f"/v1/voices/{voice['model_id']}/{voice['name']}")


def person(sentences: int = 2) -> np.ndarray:
    return np.concatenate([speech.say(SAID, speech.speakers()[0])] * sentences)


def file_of(samples: np.ndarray, name: str = "wav") -> bytes:
    encoder = FORMATS[name]()
    return encoder.add(samples.astype(np.int16).tobytes()) + encoder.finish()


def added(http: httpx.Client, file: bytes, **fields: str) -> httpx.Response:
    data = {"name": "me", "consent": "true", "text": SAID} | fields
    return http.post("/v1/voices", data=data, files={"file": ("me", file)})


def spoken(http: httpx.Client, voice: str) -> httpx.Response:
    body = {"model": "tts-1", "voice": voice, "input": "One two three four five.", "response_format": "pcm"}
    return http.post("/v1/audio/speech", json=body)


def names(http: httpx.Client) -> list[str]:
    return [voice["id"] for voice in http.get("/v1/audio/voices").json()["voices"]]


def speakers(http: httpx.Client) -> list[str]:
    (cat,) = (model for model in http.get("/v1/models").json()["models"] if model["model_id"] == "cat")
    return list(cat["speakers"])


@pytest.mark.parametrize("container", ["wav", "mp3", "opus"])
def test_a_recording_speaks_at_once_and_is_gone_when_it_is_deleted(
    http: httpx.Client, parley: Running, container: str
) -> None:
    answer = added(http, file_of(person(), container))
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert (said["id"], said["text"], said["text_heard"]) == ("cat/me", SAID, False)
    assert 6 < said["seconds"] < 30
    assert "cat/me" in names(http)
    assert speakers(http) == ["me"]
    assert likeness(spoken(http, "cat/me").content, parley) > 0.9
    assert http.delete("/v1/voices/cat/me").status_code == 204
    assert http.get("/v1/voices").json() == {"voices": [], "models": ["cat"]}
    assert "cat/me" not in names(http)
    assert speakers(http) == []
    assert spoken(http, "cat/me").status_code == 404
    assert not list(parley.log.parent.rglob("me.*"))


def likeness(pcm: bytes, parley: Running) -> float:
    """How much of what is heard is the recording, by the likeness of their spectra."""
    heard = np.frombuffer(pcm, np.int16).astype(float)
    assert heard.size > 12_000
    with wave.open(str(next(parley.log.parent.rglob("me.wav"))), "rb") as file:
        assert (file.getframerate(), file.getnchannels()) == (24_000, 1)
        kept = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(float)
    one, other = (
        np.abs(np.fft.rfft(part[:6_000] * np.hanning(6_000))) for part in (heard[:6_000], kept[12_000:18_000])
    )
    return float(np.corrcoef(one, other)[0, 1])


def test_where_no_text_is_given_the_ears_write_it_down_and_it_is_said(http: httpx.Client, parley: Running) -> None:
    answer = added(http, file_of(person()), text="")
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert said["text_heard"] is True
    assert len(said["text"].split()) > 5
    assert next(parley.log.parent.rglob("me.txt")).read_text() == said["text"]
    assert said["text"] not in parley.log.read_text()


def test_nothing_that_was_said_is_logged(http: httpx.Client, parley: Running) -> None:
    assert added(http, file_of(person())).status_code == 201
    assert added(http, b"this is no recording", name="other").status_code == 400
    assert "north wind" not in parley.log.read_text()


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ({"consent": ""}, 400, "consent must be true"),
        ({"consent": "no"}, 400, "consent must be true"),
        ({"name": ""}, 400, "needs a name"),
        ({"name": "a/b"}, 400, "letters, digits"),
        ({"model": "nobody"}, 404, "there are cat"),
        ({"text": "a " * 2_000}, 400, "2000 characters"),
    ],
)
def test_what_is_missing_is_said(http: httpx.Client, fields: dict[str, str], status: int, why: str) -> None:
    answer = added(http, file_of(person()), **fields)
    assert (answer.status_code, why in answer.json()["error"]["message"]) == (status, True), answer.text
    assert http.get("/v1/voices").json()["voices"] == []


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (lambda: file_of(person(1)[:96_000]), "6 to 30 s are needed"),
        (lambda: file_of(np.tile(person(), 6)), "30 s are taken"),
        (lambda: file_of(person() + np.random.default_rng(1).normal(0, 2_000, person().size)), "too noisy"),
        (lambda: file_of(np.zeros(10 * 48_000)), "No speech was found"),
        (lambda: b"not a recording at all", "no recording"),
    ],
    ids=["short", "long", "noisy", "silent", "no recording"],
)
def test_a_recording_that_does_not_serve_is_refused_with_the_reason(http: httpx.Client, file: Any, why: str) -> None:
    answer = added(http, file())
    assert (answer.status_code, why in answer.json()["error"]["message"]) == (400, True), answer.text


def test_the_key_is_asked_for(parley: Running) -> None:
    for method, path in (("GET", "/v1/voices"), ("POST", "/v1/voices"), ("DELETE", "/v1/voices/cat/me")):
        assert httpx.request(method, parley.url + path).status_code == 401


def test_the_command_line_adds_lists_and_removes(
    http: httpx.Client, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "me.wav").write_bytes(file_of(person()))
    arguments = ["voices", "add", "me", "--from", str(tmp_path / "me.wav"), "--text", SAID]
    assert command(*arguments) == 2
    assert "--consent" in capfd.readouterr().err
    assert command(*arguments, "--consent") == 0
    assert "cat/me speaks now" in capfd.readouterr().out
    assert [voice["id"] for voice in http.get("/v1/voices").json()["voices"]] == ["cat/me"]
    assert command("voices", "list") == 0
    assert "cat/me" in capfd.readouterr().out
    assert command("models", "show", "cat") == 0
    assert "me" in capfd.readouterr().out
    assert command("voices", "remove", "me") == 0
    assert "cat/me is deleted" in capfd.readouterr().out
    assert command("voices", "remove", "me") == 1


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return int(end.value.code or 0)


def test_the_example_speaks_in_the_voice_of_a_recording(http: httpx.Client, parley: Running, tmp_path: Path) -> None:
    (tmp_path / "me.wav").write_bytes(file_of(person()))
    example = Path(__file__).resolve().parents[3] / "examples" / "clone" / "main.py"
    done = subprocess.run(
        [sys.executable, str(example), str(tmp_path / "me.wav"), "Good morning to you.", str(tmp_path / "said.wav")],
        env={**os.environ, "PARLEY_URL": parley.url, "PARLEY_API_KEY": KEY},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip()
    with wave.open(io.BytesIO((tmp_path / "said.wav").read_bytes())) as file:
        assert file.getnframes() > 12_000
    assert http.get("/v1/voices").json()["voices"] == []


def test_where_it_is_not_allowed_nothing_is_read(tmp_path: Path) -> None:
    copycats(tmp_path, "cat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        with running(tmp_path) as it, httpx.Client(base_url=it.url, timeout=60) as http:
            answer = added(http, file_of(person()))
            assert answer.status_code == 412
            assert "worker.cloning.enabled" in answer.json()["error"]["message"]
