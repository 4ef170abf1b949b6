"""Which models hear, speak, take turns and answer is said where people look: at the start, in /health, to the page."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from tests.integration.people import Running, running

from parley import cli
from parley.llm.nearby import USUAL_PORTS

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

EMBEDDED = {"ears": "pocketsphinx", "voice": "espeak", "turn": "words", "llm": "script"}


class Lists(BaseHTTPRequestHandler):
    """Like a chat endpoint with one model."""

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": [{"id": "tiny:1b"}]}).encode()
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def endpoint() -> Generator[int, None, None]:
    """A chat endpoint on the first of the usual ports that is free, and nobody before it."""
    for port in USUAL_PORTS:
        with contextlib.suppress(OSError):
            server = ThreadingHTTPServer(("127.0.0.1", port), Lists)
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip("a server of somebody else uses a usual port of language models")
    else:
        pytest.skip("none of the usual ports of language models is free")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory, endpoint: int) -> Generator[Running, None, None]:
    folder = tmp_path_factory.mktemp("parley")
    with running(folder, "--set", f"store.folder={folder / 'store'}") as it:
        yield it


def told(parley: Running, path: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{parley.url}{path}", timeout=5) as answer:
        models: dict[str, object] = json.load(answer)["models"]
    return models


def test_health_and_the_page_name_the_models_in_use(parley: Running) -> None:
    assert told(parley, "/health") == EMBEDDED
    assert told(parley, "/v1/client") == EMBEDDED


def test_the_start_names_them_what_would_be_better_and_who_could_answer(parley: Running, endpoint: int) -> None:
    parley.wait_for_words("talks with it")
    lines = parley.log.read_text().splitlines()
    (models,) = [line for line in lines if line.startswith("It hears with")]
    assert all(f"{name} (embedded)" in models for name in EMBEDDED.values())
    (better,) = [line for line in lines if line.startswith("Better ears")]
    assert "pull recommended`" in better
    (answers,) = [line for line in lines if line.startswith("A language model answers")]
    assert f"--llm http://127.0.0.1:{endpoint}/v1#tiny:1b`" in answers.replace("'", "")


def test_the_doctor_names_who_could_answer(
    endpoint: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--json", "--set", "server.port=0"])
    (found,) = [each for each in json.loads(capsys.readouterr().out) if each["name"] == "language model"]
    assert "tiny:1b" in found["detail"]
    assert f":{endpoint}/v1#tiny:1b" in found["mend"]
