"""Commands that errors name work where they are read: in a clone, beside it, and in any other environment."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from parley import hints
from parley.hints import Start
from parley.worker.adapters import FAMILIES

ROOT = Path(__file__).resolve().parents[3]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
SOURCES = sorted(path for path in (ROOT / "src").rglob("*.py") if path.name != "hints.py" and "gen" not in path.parts)
CLONE = Path("/home/ada/my clone")


@pytest.mark.parametrize(
    ("start", "install", "command"),
    [
        (Start(CLONE, on_path=False), "uv sync --extra piper --inexact", "uv run parley up"),
        (Start(CLONE), "uv sync --extra piper --inexact", "parley up"),
        (
            Start(CLONE, inside=False, on_path=False),
            "uv sync --extra piper --inexact --project '/home/ada/my clone'",
            "uv run --project '/home/ada/my clone' parley up",
        ),
        (Start(python="/opt/py"), "/opt/py -m pip install 'piper-tts[alignment]>=1.8'", "parley up"),
        (
            Start(python="/opt/py", has_pip=False, on_path=False),
            "uv pip install --python /opt/py 'piper-tts[alignment]>=1.8'",
            "parley up",
        ),
    ],
)
def test_a_hint_follows_how_parley_was_started(start: Start, install: str, command: str) -> None:
    assert start.install("piper") == install
    assert start.command("up") == command


@pytest.mark.parametrize("extra", EXTRAS)
def test_outside_a_clone_an_extra_is_named_by_its_packages(extra: str) -> None:
    packages = hints.packages_of(extra)
    assert {re.split(r"[<>=\[ ]", package)[0] for package in packages} == {
        re.split(r"[<>=\[ ]", package)[0] for package in EXTRAS[extra]
    }
    assert not any("parley" in package for package in packages)


def test_this_very_clone_is_recognised() -> None:
    assert hints.started().project in (ROOT, None)
    assert hints._is_project(ROOT)
    assert not hints._is_project(ROOT / "src")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_no_sentence_names_an_install_command_of_its_own(path: Path) -> None:
    text = path.read_text("utf-8")
    assert (
        re.findall(r"pip install|parley-voice\[|\"parley\[|'parley\[", text.replace("`uv pip install whisperx`", ""))
        == []
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_every_extra_that_a_hint_names_exists(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    named = {
        argument.value
        for call in calls
        if ast.unparse(call.func) in ("install", "hints.install")
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }
    assert named <= set(EXTRAS)


def test_every_family_of_voices_names_an_extra_that_exists() -> None:
    assert {family.extra for family in FAMILIES.values() if family.extra} <= set(EXTRAS)
