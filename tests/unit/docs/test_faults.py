"""The page of faults names panels and alerts that there are, and each is done to running processes by a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.faults.watch import panel
from tests.unit.deploy.scripts import script

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "faults.md"


@dataclass(frozen=True)
class Row:
    """One fault and what is seen of it."""

    fault: str
    board: str
    panel: str
    rises: bool
    alert: str


def _rows() -> list[Row]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [
        Row(each[0], each[2], each[3], each[4] == "up", each[5]) for each in cells if each[4:5] in (["up"], ["down"])
    ]


ROWS = _rows()


def test_there_are_ten_and_more() -> None:
    assert len({row.fault for row in ROWS}) == len({row.alert for row in ROWS}) == len(ROWS) >= 10


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.fault)
def test_the_panel_and_the_alert_of_a_fault_are_there(row: Row) -> None:
    assert panel(row.board, row.panel) != []
    assert row.alert in {alert.name for alert in script("alerts").alerts()}


def test_each_fault_is_done_by_a_test() -> None:
    from tests.integration.faults.test_faults import FAULTS

    assert set(FAULTS) == {row.fault for row in ROWS}
