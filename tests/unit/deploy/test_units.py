"""The units of systemd: systemd itself reads them, their commands and settings are Parley's, nobody is cut off."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.deploy.scripts import ROOT
from tests.unit.docs.test_commands import misuse

from parley.config import Settings, load_settings

FOLDER = ROOT / "deploy/systemd"
UNITS = sorted(FOLDER.glob("*.service"))
EXAMPLE = FOLDER / "parley.env.example"
PARLEY = "/opt/parley/bin/parley"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def values(unit: Path, key: str) -> list[str]:
    """What the unit says of this key, in order, its instance being number 1 on a host called here."""
    text = unit.read_text("utf-8").replace("%i", "1").replace("%H", "here")
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def command(unit: Path) -> list[str]:
    (line,) = values(unit, "ExecStart")
    return shlex.split(line)


def settings_of(unit: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those that the unit's process would have, with the example as its file of settings."""
    monkeypatch.chdir(folder)
    lines = EXAMPLE.read_text("utf-8").splitlines()
    variables = [line for line in lines if "=" in line and not line.startswith("#")]
    variables += [word for line in values(unit, "Environment") for word in shlex.split(line)]
    return load_settings(environ=dict(each.split("=", 1) for each in variables), files=())


def verdict(unit: Path, folder: Path, *changes: tuple[str, str]) -> str:
    """What systemd says of it where Parley is installed, after these changes."""
    text = unit.read_text("utf-8").replace(PARLEY, str(Path(sys.executable).with_name("parley")))
    for old, new in changes:
        text = text.replace(old, new)
    file = folder / unit.name
    file.write_text(text, "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    return done.stderr


def test_there_are_units() -> None:
    assert [unit.name for unit in UNITS] == ["parley-orchestrator.service", "parley-worker@.service"]


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_reads_every_line(unit: Path, tmp_path: Path) -> None:
    assert unit.name not in verdict(unit, tmp_path).replace("@1", "@")
    wrong = verdict(unit, tmp_path, ("KillMode=mixed", "KillMode=gentle"))
    assert "gentle" in wrong  # so a line that it does not take would be seen


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_little_that_a_unit_may_do_without(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_units_command_is_one_of_parleys(unit: Path) -> None:
    program, *words = command(unit)
    assert program == PARLEY
    assert misuse(words) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_units_settings_load_and_nobody_is_killed_who_still_drains(
    unit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(unit, tmp_path, monkeypatch)
    assert settings.routing.api_key == settings.worker.api_key != ""
    (stop,) = values(unit, "TimeoutStopSec")
    drains = {"serve": settings.server.drain, "worker": settings.worker.drain_ms / 1000}
    assert float(stop) > drains[command(unit)[1]] + 10


def test_what_a_unit_keeps_lies_where_it_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orchestrator, worker = UNITS
    assert settings_of(orchestrator, tmp_path, monkeypatch).recording.folder.startswith("/var/lib/parley/")
    assert settings_of(worker, tmp_path, monkeypatch).worker.voicepacks == ("/var/lib/parley/voicepacks",)
    for unit in UNITS:
        assert values(unit, "StateDirectory") == values(unit, "CacheDirectory") == ["parley"]
        assert "XDG_DATA_HOME=/var/lib/parley" in " ".join(values(unit, "Environment"))
