"""Which cells of a session's tables were reached, and quiet logs, while random histories are lived through."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parley.session.decide import call_life, floor_table, reply_life


class Reached(dict[Any, Any]):
    """A table that remembers which of its cells were used."""

    def __init__(self, table: dict[Any, Any]) -> None:
        super().__init__(table)
        self.cells: set[Any] = set()

    def get(self, key: Any, default: Any = None) -> Any:
        if key in self:
            self.cells.add(key)
        return super().get(key, default)

    def names(self) -> list[str]:
        return sorted(" ".join(part.value for part in key) for key in self.cells)


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write down the cells that are reached, where somebody asks for them."""
    floor, reply, call = Reached(floor_table.TABLE), Reached(reply_life.REPLY_TABLE), Reached(call_life.CALL_TABLE)
    monkeypatch.setattr(floor_table, "TABLE", floor)
    monkeypatch.setattr(reply_life, "REPLY_TABLE", reply)
    monkeypatch.setattr(call_life, "CALL_TABLE", call)
    monkeypatch.setattr(logging.getLogger("parley"), "disabled", True)
    monkeypatch.setattr(logging.getLogger("parley.session.guard"), "disabled", True)
    yield
    folder = os.environ.get("PARLEY_TEST_CELLS")
    if folder:
        text = json.dumps({"floor": floor.names(), "reply": reply.names(), "call": call.names()})
        (Path(folder) / f"{uuid.uuid4()}.json").write_text(text, encoding="utf-8")
