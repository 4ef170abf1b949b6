"""The root of the command line: lazy, and one sentence for every error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from parley import cli
from parley.errors import CapacityError, ConfigError


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    captured = capsys.readouterr()
    return int(str(end.value.code)), captured.out, captured.err


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def doctor() -> None:
        raise error

    monkeypatch.setattr("parley.cli.doctor.doctor", doctor)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "--help")
    assert code == 0
    assert all(name in out for name in cli.COMMANDS)


def test_help_imports_no_command_and_nothing_heavy() -> None:
    script = (
        "import sys; from parley import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'grpc', 'onnxruntime', 'starlette', 'pydantic', 'openai'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, name, "--help")
    assert code == 0
    assert "Usage" in out


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = outcome(capsys, "sing")
    assert code == 2
    assert "sing" in err


def test_an_error_is_one_sentence_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(monkeypatch, CapacityError("Full."))
    assert outcome(capsys, "doctor") == (1, "", "parley: Full.\n")


def test_a_wrong_setting_is_exit_code_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    raising(monkeypatch, ConfigError("The port is wrong."))
    assert outcome(capsys, "doctor") == (2, "", "parley: The port is wrong.\n")


def test_an_interrupt_is_exit_code_130_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    code, _, err = outcome(capsys, "doctor")
    assert code == 130
    assert "Traceback" not in err


def test_debug_shows_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, ConfigError("The port is wrong."))
    with pytest.raises(ConfigError):
        cli.main(["--debug", "doctor"])


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "--version")
    assert code == 0
    assert out.startswith("parley ")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in Linux's /proc")
def test_numpy_makes_no_threads_for_our_small_matrices() -> None:
    program = "import parley.cli, numpy, os; print(len(os.listdir('/proc/self/task')))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "1\n"
