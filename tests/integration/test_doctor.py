"""`parley doctor` on this machine: what it finds, what it exits with."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from parley import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    captured = capsys.readouterr()
    return int(str(end.value.code)), captured.out, captured.err


def findings(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    code, out, _ = outcome(capsys, "doctor", "--json", *words)
    return code, {finding["name"]: finding for finding in json.loads(out)}


def test_the_doctor_finds_nothing_wrong_with_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys, "--set", "server.port=0")
    assert {name: finding for name, finding in found.items() if finding["state"] == "wrong"} == {}
    assert code == 0


def test_the_doctor_says_which_setting_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys, "--set", "vad.engine=magic")
    assert code == 1
    assert "vad.engine" in found["settings"]["detail"]


def test_the_doctor_finds_what_is_not_reachable_and_says_what_mends_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(
        capsys,
        *("--set", "routing.workers=127.0.0.1:9"),
        *("--set", "registry.url=redis://127.0.0.1:9/0"),
        *("--set", "worker.models.default_model=nobody"),
    )
    assert code == 1
    assert found["worker 127.0.0.1:9"]["mend"].endswith("parley worker --port 9")
    assert found["registry (Redis)"]["mend"] == "just redis"
    assert found["default model nobody"]["mend"].endswith("parley models pull nobody")


def test_the_doctor_notices_a_port_that_somebody_else_uses(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, found = findings(capsys, "--set", f"server.port={port}")
    assert code == 1
    assert found[f"port {port} on 127.0.0.1"]["state"] == "wrong"


def test_the_doctors_table_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "doctor", "--set", "server.port=0")
    assert code == 0
    assert "recogniser pocketsphinx" in out


def test_the_doctor_tries_the_ways_of_the_sound_when_it_is_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    _, without = findings(capsys, "--set", "server.port=0")
    code, found = findings(capsys, "--set", "server.port=0", "--media")
    assert code == 0
    assert {name for name in found if name not in without} == {"UDP ports", "direct path"}
