"""Whole sessions under anything that can happen to them: nothing hangs, nothing is lost, nothing of ours fails.

A few of them wherever the tests run, 1,000 in ``just test``; ``just histories`` lives through 10,000, and prints which
cells of the tables were reached.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tests.session.histories import EVENT_BYTES, FEWEST, MOST, live

from parley.session.decide import floor_table, reply_life
from parley.testing.virtual_time import run_virtual

SHARDS = 8
HISTORIES = int(os.environ.get("PARLEY_TEST_HISTORIES", "80"))
SEED = int(os.environ.get("PARLEY_TEST_SEED", "0"))


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
def _cells(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write down the cells that are reached, where somebody asks for them."""
    floor, reply = Reached(floor_table.TABLE), Reached(reply_life.REPLY_TABLE)
    monkeypatch.setattr(floor_table, "TABLE", floor)
    monkeypatch.setattr(reply_life, "REPLY_TABLE", reply)
    monkeypatch.setattr(logging.getLogger("parley"), "disabled", True)
    monkeypatch.setattr(logging.getLogger("parley.session.guard"), "disabled", True)
    yield
    folder = os.environ.get("PARLEY_TEST_CELLS")
    if folder:
        text = json.dumps({"floor": floor.names(), "reply": reply.names()})
        (Path(folder) / f"{uuid.uuid4()}.json").write_text(text, encoding="utf-8")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_cells")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_whatever_happens_nothing_hangs_and_nothing_is_lost(shard: int) -> None:
    @seed(1_000 * SEED + shard)
    @settings(
        max_examples=HISTORIES // SHARDS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=FEWEST * EVENT_BYTES, max_size=MOST * EVENT_BYTES))
    def histories(history: bytes) -> None:
        assert run_virtual(live(history)) == []

    histories()


# A quiet sound was let go on, and grew loud before the first sound of the reply.
GREW_LOUD = (
    "00000000ef0f000000000000000000000000000000000000000000009a010068000080657900002900000021000000000000"
    "00000000000000000000"
)


@pytest.mark.parametrize("history", [GREW_LOUD], ids=["grew loud"])
def test_what_failed_once_does_not_fail_again(history: str) -> None:
    assert run_virtual(live(bytes.fromhex(history))) == []
