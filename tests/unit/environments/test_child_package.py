"""The part of Parley that lives in an engine's environment."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from parley.environments import child_package
from parley.environments.child_package import modules, pack, version, write_wheel


def test_it_has_the_child_and_nothing_of_the_server() -> None:
    places = modules()
    assert {"parley/__init__.py", "parley/asr/child.py", "parley/children/wire.py"} <= set(places)
    folders = {place.split("/")[1] for place in places if place.count("/") > 1}
    assert folders == {"asr", "audio", "children", "text", "worker"}
    of_worker = {Path(place).stem for place in places if place.startswith("parley/worker/")}
    adapters = {"csm", "csm_frames", "loading", "parler", "peft_files", "side_paths"}
    assert of_worker <= {"__init__", "engine_child", "engine_wire", "memory", "pack", "words", *adapters}
    assert not {"parley/asr/processes.py", "parley/children/process.py"} & set(places)


def test_the_same_text_makes_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    assert write_wheel(tmp_path).read_bytes() == write_wheel(tmp_path / "again").read_bytes()


def test_another_text_makes_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = version()
    changed = {**modules(), "parley/errors.py": b"changed"}
    version.cache_clear()
    monkeypatch.setattr(child_package, "modules", lambda: changed)
    assert version() != before
    version.cache_clear()


def test_a_wheel_says_what_it_is_and_what_it_needs(tmp_path: Path) -> None:
    wheel = zipfile.ZipFile(pack(tmp_path, "tiny_engine", "1.0", {"tiny.py": b"x = 1\n"}, ("numpy",)))
    about = wheel.read("tiny_engine-1.0.dist-info/METADATA").decode()
    assert about == "Metadata-Version: 2.1\nName: tiny-engine\nVersion: 1.0\nRequires-Dist: numpy\n"
    assert b"tiny.py,sha256=" in wheel.read("tiny_engine-1.0.dist-info/RECORD")
    assert wheel.testzip() is None
