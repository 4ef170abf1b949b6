"""The life of an environment: listed, installed, used by a recogniser's process, broken, mended, removed.

The group is a small one of its own, a real package of the index and an engine of this test's, and everything goes
through the command line and uv as it does for people.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parley import cli
from parley.asr import AsrSettings
from parley.asr.decoder import DecoderSpec
from parley.asr.processes import ProcessRecognizer
from parley.environments import (
    EngineSettings,
    Environments,
    child_package,
    groups,
    installing,
    open_environments,
    shelf,
)
from parley.environments.groups import Family, Group, State
from parley.errors import ConfigError
from parley.testing.recognizers import frames, hear

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on this machine to make environments with"),
]
ROOT = Path(__file__).resolve().parents[3]
ENGINE = b'''
"""Hears how long a recording is, and says what of Parley and of the tests' environment it sees."""
import sys
from importlib.util import find_spec
from parley.values import Transcript

class Decoder:
    memory = ""
    def load(self): pass
    def start(self, language, memory, hot_words=()): self.samples = 0
    def feed(self, pcm): self.samples += len(pcm) // 2
    def pause(self): return self.said(False)
    def finish(self): return self.said(True)
    def said(self, final):
        sees = [name for name in ("parley.server", "pytest") if find_spec(name)]
        return Transcript(f"{self.samples} in {sys.prefix} sees {sees}", final=final, covered=self.samples / 16000)
'''
TINY = Group(
    "tiny",
    (Family("tiny-ears", "ears", "MIT"),),
    ("tiny-engine", "numpy"),
    "tiny_engine",
    1,
    python=sys.version_info[:2],
)


def pinned(name: str) -> str:
    """A package's lines in the lock of the project, without its marker."""
    found = re.findall(rf"^{name}==\S+.*\n(?:    .*\n)*", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    (lines,) = [lines for lines in found if applies(lines)]
    return re.sub(r" ; [^\\]*", " ", lines, count=1)


def applies(lines: str) -> bool:
    marker = re.match(r"\S+ ; python_full_version (<|>=) '3\.12'", lines)
    return not marker or (marker[1] == "<") == (sys.version_info < (3, 12))


def wheel(folder: Path, name: str, version: str, files: dict[str, bytes]) -> str:
    """Put a package of the test's into a folder; returns its line in a list."""
    packed = child_package.pack(folder, name, version, files)
    return (
        f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{hashlib.sha256(packed.read_bytes()).hexdigest()}\n"
    )


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that uv looks into beside its index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "lists"
    folder.mkdir()
    monkeypatch.setattr(shelf, "LISTS", folder)
    return folder


@pytest.fixture
def there(tmp_path: Path, wheels: Path, lists: Path, monkeypatch: pytest.MonkeyPatch) -> Environments:
    """Where the environments of these tests lie; the group is known, nothing is installed."""
    for name in list(groups.GROUPS):
        monkeypatch.delitem(groups.GROUPS, name)
    monkeypatch.setitem(groups.GROUPS, "tiny", TINY)
    monkeypatch.setenv("PARLEY_ENGINES__FOLDER", str(tmp_path / "environments"))
    (lists / "tiny.txt").write_text(wheel(wheels, "tiny_engine", "1.0", {"tiny_engine.py": ENGINE}) + pinned("numpy"))
    return open_environments(EngineSettings(str(tmp_path / "environments")))


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(["engines", *words])
    captured = capsys.readouterr()
    return int(str(end.value.code)), captured.out, captured.err


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code, out, _ = outcome(capsys, "list", "--json")
    assert code == 0
    (group,) = json.loads(out)
    return dict(group)


def heard_by(python: str) -> str:
    """What the engine says of a second of sound, in that interpreter."""

    async def listen() -> str:
        spec = DecoderSpec("tiny", "tiny_engine:Decoder", {}, python=python, copies=True)
        recognizer = ProcessRecognizer(spec, AsrSettings(decoders=1))
        try:
            return (await hear(recognizer, frames(np.zeros(16_000, np.int16))))[-1].text
        finally:
            await recognizer.aclose()

    return asyncio.run(listen())


def test_an_engine_is_installed_used_in_its_own_environment_and_removed(
    there: Environments, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listed(capsys)
    assert (before["state"], before["usable"]) == ("not installed", False)
    with pytest.raises(ConfigError, match="parley engines install tiny"):
        there.interpreter("tiny-ears")

    code, out, err = outcome(capsys, "install", "tiny-ears")
    assert code == 2
    assert "1 MB on disk" in out
    assert "--yes" in err
    assert not there.folder.exists()

    code, out, err = outcome(capsys, "install", "tiny-ears", "--yes")
    assert code == 0, err
    after = listed(capsys)
    assert (after["state"], after["usable"], after["size_mb"] > 10) == ("ready", True, True)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT / "src"), str(Path(pytest.__file__).parents[1]))))
    assert heard_by(there.interpreter("tiny-ears")) == f"16000 in {there.path(TINY)} sees []"

    code, out, _ = outcome(capsys, "install", "tiny")
    assert (code, "is here already" in out) == (0, True)
    code, out, _ = outcome(capsys, "remove", "tiny", "--yes")
    assert (code, "is removed" in out) == (0, True)
    assert listed(capsys) == before
    assert not there.path(TINY).exists()
    assert outcome(capsys, "remove", "tiny", "--yes")[0] == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from parley.environments import EngineSettings, groups, installing, open_environments, shelf
from tests.integration.environments.test_life import TINY
shelf.LISTS = Path(sys.argv[2])
there = open_environments(EngineSettings(sys.argv[1]))
def say(line):
    if line == "looking whether it works":
        os.kill(os.getpid(), signal.SIGKILL)
installing.install(there, installing.planned(there, TINY), say=say)
"""


def test_an_installation_that_is_cut_off_leaves_nothing_that_counts(
    there: Environments, lists: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = [sys.executable, "-c", KILLED, str(there.folder), str(lists)]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert there.staging(TINY).is_dir()
    assert there.state(TINY) is State.ABSENT

    assert outcome(capsys, "remove", "tiny", "--yes")[0] == 0
    assert not there.staging(TINY).exists()
    assert outcome(capsys, "install", "tiny", "--yes")[0] == 0
    assert there.state(TINY) is State.READY
    assert [path.name for path in there.folder.iterdir() if not path.name.endswith(".lock")] == ["tiny"]


def test_a_package_with_another_checksum_or_one_that_does_not_work_leaves_what_there_was(
    there: Environments, lists: Path, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(capsys, "install", "tiny", "--yes")[0] == 0
    good = (lists / "tiny.txt").read_text()

    (lists / "tiny.txt").write_text(
        re.sub(r"sha256:\w", "sha256:0", good, count=1).replace("sha256:00", "sha256:01", 1)
    )
    code, _, err = outcome(capsys, "install", "tiny", "--yes")
    assert (code, "A package of tiny cannot be fetched" in err) == (1, True)

    broken = wheel(wheels, "tiny_engine", "2.0", {"tiny_engine.py": b"import a_package_that_is_not_there\n"})
    (lists / "tiny.txt").write_text(broken + pinned("numpy"))
    code, _, err = outcome(capsys, "install", "tiny", "--yes")
    assert (code, "a_package_that_is_not_there" in err) == (1, True)

    assert there.state(TINY) is State.OLD_LIST
    assert heard_by(there.interpreter("tiny")).startswith("16000 in")
    (lists / "tiny.txt").write_text(good)
    assert there.state(TINY) is State.READY


def test_after_an_upgrade_of_parley_its_part_is_replaced_and_the_engines_packages_stay(
    there: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(capsys, "install", "tiny", "--yes")[0] == 0
    label = there.label(TINY)
    assert label is not None
    shelf.write_label(there.path(TINY), replace(label, child="0.0.9+other"))
    with pytest.raises(ConfigError, match="another version of Parley"):
        there.interpreter("tiny")
    packages = there.path(TINY).stat().st_ino
    assert outcome(capsys, "install", "tiny")[0] == 0
    assert there.path(TINY).stat().st_ino == packages
    assert heard_by(there.interpreter("tiny")).startswith("16000 in")


def test_torch_comes_from_the_index_that_is_set_and_cudas_libraries_stay_away(
    there: Environments, lists: Path, wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of wheels stands for the index; its torch is a version number alone."""
    cpu = tmp_path / "cpu"
    cpu.mkdir()
    version = b"__version__ = '9.9+cpu'\nclass version:\n    cuda = None\n"
    wheel(cpu, "torch", "9.9+cpu", {"torch.py": version})
    unfetchable = "".join(
        f"{name} \\\n    --hash=sha256:{64 * '0'}\n" for name in ("torch==9.9", "nvidia-nothing==1.0")
    )
    (lists / "tiny.txt").write_text((lists / "tiny.txt").read_text() + unfetchable)
    assert outcome(capsys, "install", "tiny", "--yes")[0] == 1
    code, out, err = outcome(capsys, "install", "tiny", "--yes", "--set", f"engines.torch_index={cpu}")
    assert (code, f"torch from {cpu}" in out) == (0, True), err
    assert listed(capsys)["torch"] == "9.9+cpu"


def test_one_process_at_a_time_installs_a_group(there: Environments, capsys: pytest.CaptureFixture[str]) -> None:
    there.folder.mkdir()
    with shelf.alone(there.folder, "tiny"):
        code, _, err = outcome(capsys, "install", "tiny", "--yes")
    assert (code, "Another process" in err) == (1, True)
    assert there.state(TINY) is State.ABSENT


def test_a_python_that_is_not_here_is_named_before_anything_is_done(
    there: Environments, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(groups.GROUPS, "tiny", replace(TINY, python=(3, 99)))
    code, _, err = outcome(capsys, "install", "tiny", "--yes")
    assert (code, "needs Python 3.99, which is not on this machine" in err) == (2, True)
    assert not there.folder.exists()


def test_without_uv_one_sentence_says_so(
    there: Environments, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("UV", raising=False)
    code, _, err = outcome(capsys, "install", "tiny", "--yes")
    assert (code, "needs uv" in err) == (2, True)


def test_an_unknown_engine_is_answered_with_where_to_look(
    there: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = outcome(capsys, "install", "dragon", "--yes")
    assert (code, "engines list" in err) == (1, True)
    assert installing.planned(there, TINY).work is groups.Work.ALL
