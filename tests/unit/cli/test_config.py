"""`parley config`: what it prints and what it exits with; settings on their way to a child."""

from __future__ import annotations

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
