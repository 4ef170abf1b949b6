"""Whole sessions with tools under anything that can happen to them.

No result is lost, nothing is written twice or on a guess, and there is no state without sound, a cause or an apology.
A few wherever the tests run, 1,000 in ``just test``.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tests.session.histories import EVENT_BYTES, FEWEST, MOST, live
from tests.session.tool_histories import WEIGHTED, ToolLife

from parley.testing.virtual_time import run_virtual

SHARDS = 4
HISTORIES = min(1_000, int(os.environ.get("PARLEY_TEST_HISTORIES", "80")))
SEED = int(os.environ.get("PARLEY_TEST_SEED", "0"))


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("cells", "few_collections")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_whatever_happens_no_result_is_lost_and_nothing_is_written_twice(shard: int) -> None:
    @seed(1_000 * SEED + shard)
    @settings(
        max_examples=max(1, HISTORIES // SHARDS),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=FEWEST * EVENT_BYTES, max_size=MOST * EVENT_BYTES))
    def histories(history: bytes) -> None:
        assert run_virtual(live(history, ToolLife, WEIGHTED)) == []

    histories()
