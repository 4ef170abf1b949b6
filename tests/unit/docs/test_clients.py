"""Each cell on the page of other people's clients is a test that there is, or says why there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
INSIDE = ROOT / "tests" / "clients"
PAGE = (ROOT / "docs" / "reference" / "clients.md").read_text("utf-8")


def tables() -> list[list[list[str]]]:
    """Each as rows of cells, without the line below its head."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.splitlines():
        if line.startswith("| "):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [[rows[0], *rows[2:]] for rows in found if rows]


CLIENTS, NAMES, LENDERS = tables()
WHAT = CLIENTS[0][2:]


def named_in(file: str) -> list[str]:
    """The names of its tests, without what all begin with."""
    begin = r'^(?:async )?def test_(\w+)\(|^test\("([^"]+)"'
    found = re.findall(begin, (INSIDE / file).read_text("utf-8"), re.MULTILINE)
    return [python or javascript.replace(" ", "_") for python, javascript in found]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("row", CLIENTS[1:], ids=lambda row: row[0])
def test_what_is_said_to_be_tried_with_a_client_is(row: list[str]) -> None:
    (file,) = quoted(row[1])
    names = {what: quoted(name)[0] for what, name, _ in NAMES[1:]}
    tests = named_in(file)
    for what, cell in zip(WHAT, row[2:], strict=True):
        assert cell == "✓"
        assert [test for test in tests if test.startswith(names[what])], f"{file} has no test {names[what]}"


@pytest.mark.parametrize("column", [1, 2])
def test_what_is_said_to_be_tried_with_voices_and_ears_is(column: int) -> None:
    file = quoted(LENDERS[0][column])[-1]
    assert [row[0] for row in LENDERS[1:]] == WHAT
    for row in LENDERS[1:]:
        assert row[column].startswith("none: ") or quoted(row[column])
        assert set(quoted(row[column])) <= set(named_in(file))


def test_every_client_that_ci_installs_is_on_the_page_in_its_version() -> None:
    asked = [path for path in INSIDE.glob("*/requirements.in") if path.parent.name != "floors"]
    lines = "".join(path.read_text("utf-8") for path in asked)
    pins = set(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\d+\.\d+)", lines, re.MULTILINE))
    node = json.loads((INSIDE / "node" / "package.json").read_text("utf-8"))["dependencies"]
    pins |= {(name, version.rpartition(".")[0]) for name, version in node.items() if "openai" in name}
    assert set(re.findall(r"`([@\w/-]+)` (\d+\.\d+)", PAGE)) == pins
