"""Where a running server is noted for the other commands."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from parley.cli.running import folder, found, noted, workers_here


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_a_server_is_found_while_it_runs_and_not_after() -> None:
    with noted("http://127.0.0.1:8080", ["127.0.0.1:1", "127.0.0.1:2"]):
        assert workers_here() == ("127.0.0.1:1", "127.0.0.1:2")
        assert found()[0].url == "http://127.0.0.1:8080"
    assert found() == []


def test_what_a_killed_server_left_behind_is_removed() -> None:
    folder().mkdir(parents=True)
    nobody = 2**22 + 1  # above the largest process id of any system
    path = folder() / f"up-{nobody}.json"
    path.write_text(json.dumps({"pid": nobody, "url": "", "workers": ["127.0.0.1:1"]}))
    assert workers_here() == ()
    assert not path.exists()


def test_nonsense_in_the_folder_is_passed_over() -> None:
    folder().mkdir(parents=True)
    (folder() / "up-1.json").write_text("{")
    assert found() == []


def test_a_folder_that_cannot_be_written_stops_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "file"))
    with noted("http://127.0.0.1:8080", ["127.0.0.1:1"]):
        assert found() == []


def test_only_the_user_may_read_it() -> None:
    with noted("http://127.0.0.1:8080", []):
        (path,) = folder().iterdir()
        assert path.stat().st_mode & 0o077 == 0
        assert path.stat().st_uid == os.getuid()
