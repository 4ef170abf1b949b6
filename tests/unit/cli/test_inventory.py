"""The list of all models: what there is, what is here, what is in use; with and without a server."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from parley import cli
from parley.cli import running
from parley.cli.inventory import KIND_NAMES, InUse, in_use, inventory
from parley.config import Settings
from parley.store import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = InUse("nobody", frozenset())


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty store, an empty folder, and no server of this user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PARLEY_STORE__FOLDER", str(tmp_path / "store"))
    return replace(Settings(), store=StoreSettings(folder=str(tmp_path / "store")))


def pack(folder: Path, family: str, model_id: str) -> None:
    """A voice pack whose weights nobody opens."""
    where = folder / family / model_id
    where.mkdir(parents=True)
    for name in ("model.onnx", "model.onnx.json"):
        (where / name).write_bytes(b"{}")
    (where / "metadata.yaml").write_text("languages: [en-GB]\nlicence: CC0-1.0\n")


@pytest.fixture
def told(settings: Settings) -> Iterator[dict[str, Any]]:
    """A server of this user's that says this of itself."""
    said: dict[str, Any] = {"status": "ok"}

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with running.noted(f"http://127.0.0.1:{server.server_port}", []):
        yield said
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_kind_is_listed_with_the_licences_of_its_weights_and_its_engine(settings: Settings) -> None:
    models = inventory(settings, NOBODY)
    assert [kind for kind in KIND_NAMES if not any(model.kind == kind for model in models)] == []
    assert [model.model_id for model in models if not model.licence] == []
    assert [model.model_id for model in models if not (model.engine_licence or model.forbidden)] == []
    joe = next(model for model in models if model.model_id == "en_US-joe-medium")
    assert (joe.licence, joe.engine_package, joe.engine_licence) == ("CC0-1.0", "piper-tts", "GPL-3.0-or-later")
    assert "lessac" in joe.origin


def test_what_is_fetched_and_what_somebody_put_there_are_installed(settings: Settings, tmp_path: Path) -> None:
    pack(tmp_path / "store" / "voice", "piper", "en_US-joe-medium")
    pack(tmp_path / "voicepacks", "piper", "mine")
    here = {model.model_id: model.path for model in inventory(settings, NOBODY) if model.installed}
    assert set(here) == {"pocketsphinx", "espeak", "words", "script", "en_US-joe-medium", "mine"}
    assert here["en_US-joe-medium"].endswith("store/voice/piper/en_US-joe-medium")
    assert here["mine"].endswith("voicepacks/piper/mine")


def test_a_pack_of_a_family_from_elsewhere_does_not_hide_the_others(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    entry = "voices:\n  far:\n    family: far-off\n    repo: a/b\n    files: {m.onnx: m.onnx}\n    metadata: {}\n"
    (tmp_path / "store" / "model_catalog.yaml").write_text(entry)
    assert "far" in [model.model_id for model in inventory(settings, NOBODY)]


def test_without_a_server_the_next_one_says_what_is_in_use(settings: Settings) -> None:
    used = [model.model_id for model in inventory(settings, in_use(settings)) if model.in_use]
    assert used == ["pocketsphinx", "espeak", "words", "script"]


def test_a_running_server_says_what_is_in_use(settings: Settings, told: dict[str, Any]) -> None:
    told["models"] = {"ears": "whisper-base", "voice": "espeak, kokoro-v1.0", "turn": "words", "llm": "llama3.2"}
    use = in_use(settings)
    assert use.by.startswith("http://127.0.0.1:")
    used = [model.model_id for model in inventory(settings, use) if model.in_use]
    assert used == ["whisper-base", "espeak", "kokoro-v1.0", "words"]


@pytest.mark.parametrize("models", [None, [], {"ears": 7}, "words"])
def test_a_server_that_does_not_tell_changes_nothing(settings: Settings, told: dict[str, Any], models: Any) -> None:
    told["models"] = models
    assert in_use(settings) == in_use(replace(settings))
    assert "parley up" in in_use(settings).by


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    captured = capsys.readouterr()
    return int(str(end.value.code)), captured.out, captured.err


def test_the_list_needs_no_server(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, errors = outcome(capsys, "models", "list", "--json")
    said = json.loads(out)
    assert (code, errors, said["workers"]) == (0, "", {})
    assert {model["kind"] for model in said["models"]} == set(KIND_NAMES)
    code, out, _ = outcome(capsys, "models", "list")
    assert code == 0
    assert "whisper-tiny.en" in out


def test_show_names_origin_and_both_licences(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "models", "show", "en_US-joe-medium")
    flat = " ".join(out.split())
    assert code == 0
    for words in ("CC0-1.0", "piper-tts", "GPL-3.0-or-later", "lessac", "64 MB"):
        assert words in flat


def test_show_of_nothing_known_is_one_sentence(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, errors = outcome(capsys, "models", "show", "nobody")
    assert (code, out) == (1, "")
    assert "No model 'nobody' is known" in errors
