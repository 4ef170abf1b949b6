"""Every command that a page tells its reader to run exists, takes these options, and works in a fresh clone."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from parley.cli import COMMANDS, load_command

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
UsageError: Any = typer.BadParameter.__base__
NAMES = "|".join(COMMANDS)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]


def lines_of_blocks(page: Path) -> list[str]:
    """Lines of the page's code blocks, those that end in a backslash joined with the next."""
    blocks = re.findall(r"^ *```[a-z]*\n(.*?)^ *```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def in_sentences(page: Path) -> list[str]:
    """Commands between single backticks."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    return re.findall(rf"`((?:uv run )?parley (?:{NAMES})\b[^`]*)`", text)


def words_after_parley(line: str) -> list[str]:
    """What the shell would give to parley: up to a pipe, an ampersand or a comment."""
    words = shlex.split(line.split("parley ", 1)[1], comments=True)
    ends = [place for place, word in enumerate(words) if word in ("&", "|", "&&", ";")]
    return words[: ends[0]] if ends else words


def misuse(words: list[str]) -> str:
    """What the command line would complain about; "" when it would run."""
    try:
        command: Any = load_command(words[0])
        context = typer.Context(command, info_name=words[0])
        rest = words[1:]
        while isinstance(command, TyperGroup) and rest:
            name, command, rest = command.resolve_command(context, rest)
            context = typer.Context(command, parent=context, info_name=name)
        command.parse_args(context, rest)
    except UsageError as error:
        return f"{type(error).__name__}: {error.format_message()}"
    return ""


def in_a_block(line: str) -> bool:
    return re.match(rf"^(?:[A-Z_]+=\S+ )*(?:\S.*[|&] )?(?:uv run )?parley (?:{NAMES})\b", line) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_run_in_a_fresh_clone(page: Path) -> None:
    commands = [line for line in lines_of_blocks(page) if in_a_block(line)]
    assert [line for line in commands if "uv run parley" not in line] == []
    assert {line: wrong for line in commands if (wrong := misuse(words_after_parley(line)))} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_sentences_exist_with_their_options(page: Path) -> None:
    wrong = {line: misuse(words_after_parley(line)) for line in in_sentences(page)}
    assert {line: why for line, why in wrong.items() if why and not why.startswith(("Missing", "NoArgs"))} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_installs_a_strangers_package(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.findall(r"pip install [^&\n]*parley", text) == []
    assert set(re.findall(r"--extra ([\w-]+)", text)) <= set(EXTRAS)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("uv run parley up --https", ""),
        ("your-model | uv run parley say -", ""),
        ("uv run parley up --loud", "--loud"),
        ("uv run parley models fetch x", "fetch"),
        ("uv run parley models pull en_US-ljspeech-medium   # into a folder", ""),
        ("uv run parley chat --max-wait soon", "number"),
        ("uv run parley say", "Missing"),
    ],
)
def test_what_these_tests_would_complain_about(line: str, complaint: str) -> None:
    assert in_a_block(line)
    found = misuse(words_after_parley(line))
    assert complaint in found
    assert bool(complaint) == bool(found)
