"""Fetching from the hub, through its real library, from a hub that runs on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
import yaml

from parley.errors import InvalidRequest, NotFound, UnavailableError
from parley.store.catalog import Entry, Source
from parley.store.pulling import pull as fetch
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("huggingface_hub")

COMMIT = "a" * 40
FILES = {"en/voice.onnx": b"weights" * 1000, "en/voice.onnx.json": b"{}"}


class Hub:
    """A hub with one repository, ``someone/voices``."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.sent: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                paths = form["paths"]
                if not self.path.startswith("/api/models/someone/voices/paths-info/"):
                    self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                    return
                found = [hub.describe(path) for path in paths if path in hub.files]
                self._send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

            def do_HEAD(self) -> None:
                self._file(body=False)

            def do_GET(self) -> None:
                self._file(body=True)

            def _file(self, *, body: bool) -> None:
                path = self.path.partition("/resolve/")[2].partition("/")[2].partition("?")[0]
                data = hub.files.get(path)
                if data is None:
                    self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                    return
                if body:
                    hub.sent.append(path)
                etag = hashlib.sha256(FILES[path]).hexdigest()
                self._send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body=body)

            def _send(self, status: int, data: bytes, headers: dict[str, str], *, body: bool = True) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if body:
                    self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def describe(self, path: str) -> dict[str, Any]:
        data = FILES[path]
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": "0" * 40}
        if path.endswith(".onnx"):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}
        return entry


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def voice(repo: str = "someone/voices", files: dict[str, str] | None = None, **changes: Any) -> Entry:
    files = files or {"en/voice.onnx": "model.onnx", "en/voice.onnx.json": "model.onnx.json"}
    metadata = {"languages": ["en-US"], "licence": "CC0-1.0", "sample_rate": 22_050}
    source = Source("hf", repo, {local: (remote,) for remote, local in files.items()})
    return Entry("amy", "voice", "piper", "CC0-1.0", (source,), metadata=metadata, **changes)


def pull(entry: Entry, root: Path, endpoint: str, **options: Any) -> Path:
    return fetch(entry, root / "piper" / "amy", mirror=endpoint, **options)


def test_a_voice_becomes_a_pack_that_the_catalog_reads(hub: Hub, tmp_path: Path) -> None:
    folder = pull(voice(), tmp_path, endpoint=hub.url)
    assert folder == tmp_path / "piper" / "amy"
    assert (folder / "model.onnx").read_bytes() == FILES["en/voice.onnx"]
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text("utf-8"))
    assert metadata["source"].endswith("someone/voices at main")
    assert VoicePackCatalog((tmp_path,)).pack("amy").info.licence == "CC0-1.0"
    assert [path.name for path in folder.parent.iterdir()] == ["amy"]


def test_each_file_is_announced_with_its_size(hub: Hub, tmp_path: Path) -> None:
    lines: list[str] = []
    pull(voice(), tmp_path, endpoint=hub.url, say=lines.append)
    assert lines[1:] == ["1 of 2: en/voice.onnx (0.0 MB)", "2 of 2: en/voice.onnx.json (0.0 MB)"]


def test_a_wrong_checksum_is_refused_and_the_file_deleted(hub: Hub, tmp_path: Path) -> None:
    hub.files["en/voice.onnx"] = b"WEIGHTS" * 1000
    with pytest.raises(UnavailableError, match="wrong checksum and was deleted"):
        pull(voice(), tmp_path, endpoint=hub.url)
    assert not (tmp_path / "piper" / "amy").exists()


def test_what_the_catalog_states_counts_before_what_the_hub_states(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="another checksum than its author states"):
        pull(voice(checksums={"model.onnx": "sha256:" + "0" * 64}), tmp_path, endpoint=hub.url)


def test_the_next_try_goes_on_with_what_has_arrived(hub: Hub, tmp_path: Path) -> None:
    good = hub.files.pop("en/voice.onnx.json")
    with pytest.raises(NotFound):
        pull(voice(), tmp_path, endpoint=hub.url)
    hub.files["en/voice.onnx.json"] = b"x"  # another length than promised: fetching it fails half-way
    with pytest.raises(UnavailableError):
        pull(voice(checksums={"model.onnx.json": "sha256:" + "0" * 64}), tmp_path, endpoint=hub.url)
    hub.files["en/voice.onnx.json"] = good
    pull(voice(), tmp_path, endpoint=hub.url)
    assert hub.sent.count("en/voice.onnx") == 1


def test_a_folder_that_exists_is_kept_unless_it_is_to_be_replaced(hub: Hub, tmp_path: Path) -> None:
    pull(voice(), tmp_path, endpoint=hub.url)
    with pytest.raises(InvalidRequest, match="say --replace"):
        pull(voice(), tmp_path, endpoint=hub.url)
    pull(voice(), tmp_path, endpoint=hub.url, replace=True)


def test_a_file_that_the_hub_lacks_is_named(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"has no en/other.onnx at main"):
        pull(voice(files={"en/other.onnx": "model.onnx"}), tmp_path, endpoint=hub.url)


def test_an_unknown_repository_is_named(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no repository someone/else"):
        pull(voice(repo="someone/else"), tmp_path, endpoint=hub.url)


def test_without_a_network_one_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"http://127.0.0.1:9 can not be reached \(.*\); check the network"):
        pull(voice(), tmp_path, endpoint="http://127.0.0.1:9")
