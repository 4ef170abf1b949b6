"""Each threat of the page is held by tests that there are, or stands among those that are not held."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "explanation" / "threat-model.md").read_text("utf-8")
HELD, _, OPEN = PAGE.partition("## Not held")


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| threat"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def missing(cell: str) -> list[str]:
    """The tests that it names and there are not, and everything that is no name of a test."""
    return [name for name in cell.split(", ") if not _is_a_test(name)]


def _is_a_test(name: str) -> bool:
    found = re.fullmatch(r"`(\w+(?:/\w+)*\.py)::(test_\w+)`", name)
    if found is None or not (file := ROOT / "tests" / found[1]).is_file():
        return False
    return re.search(rf"^\s*(?:async )?def {found[2]}\(", file.read_text("utf-8"), re.MULTILINE) is not None


@pytest.mark.parametrize("row", rows(HELD), ids=lambda row: row[0][:60])
def test_what_is_said_to_hold_a_threat_is_a_test(row: list[str]) -> None:
    threat, against, held = row
    assert threat
    assert against
    assert missing(held) == []


def test_a_threat_that_no_test_holds_would_be_noticed() -> None:
    assert missing("`unit/docs/test_threats.py::test_that_there_is_not`") != []
    assert missing("") == [""]
    assert missing("by hand") == ["by hand"]


def test_what_is_not_held_says_how_it_stands() -> None:
    assert rows(OPEN)
    assert all(len(row) == 2 and all(row) for row in rows(OPEN))
