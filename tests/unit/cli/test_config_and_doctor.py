"""`parley config` and `parley doctor`: what they print and what they exit with."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from parley import cli
from parley.cli.children import inherited
from parley.cli.options import as_variables, parse_overrides
from parley.config import load_settings
from parley.errors import ConfigError

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


def test_show_prints_what_was_changed_and_masks_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(
        capsys, "config", "show", "--changed", "--set", "server.api_key=hush", "--set", "server.port=9"
    )
    assert code == 0
    assert "server.port: 9" in out
    assert "hush" not in out


def test_check_names_a_mistake_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = outcome(capsys, "config", "check", "--set", "server.port=many")
    assert code == 2
    assert err.strip() == 'parley: server.port is "many" on the command line, but it must be a whole number.'


def test_a_sample_file_can_be_written_and_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    assert outcome(capsys, "config", "sample", "worker", "--out", str(path))[0] == 0
    assert outcome(capsys, "config", "check", "--config", str(path))[0] == 0


def test_an_override_needs_a_value() -> None:
    assert parse_overrides(["a.b=1=2"]) == {"a.b": "1=2"}
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_overrides(["a.b"])


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
    assert found["worker 127.0.0.1:9"]["mend"] == "parley worker --port 9"
    assert found["registry (Redis)"]["mend"] == "just redis"
    assert found["default model nobody"]["mend"] == "parley models pull nobody"


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


def test_a_child_gets_the_same_settings_as_variables(tmp_path: Path) -> None:
    overrides = ["server.api_key=a,=b ", "server.port=1", "session.reply.greeting="]
    flags = {"server.port": 9, "routing.workers": ("a:1", "b:2"), "registry.url": None}
    file = tmp_path / "empty.yaml"
    file.write_text("")
    said = load_settings([file], environ=as_variables(overrides, flags))
    assert said == load_settings(
        [file], {**parse_overrides(overrides), "server.port": 9, "routing.workers": "a:1,b:2"}, {}
    )


def test_a_child_gets_a_setting_once_however_its_variable_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("parley_server__port", "1")
    found = inherited({"PARLEY_SERVER__PORT": "2"})
    assert {name: value for name, value in found.items() if name.upper() == "PARLEY_SERVER__PORT"} == {
        "PARLEY_SERVER__PORT": "2"
    }
