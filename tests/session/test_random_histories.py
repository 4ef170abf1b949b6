"""Whole sessions under anything that can happen to them: nothing hangs, nothing is lost, nothing of ours fails.

A few of them wherever the tests run, 1,000 in ``just test``; ``just histories`` lives through 10,000, and prints which
cells of the tables were reached.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tests.session.histories import EVENT_BYTES, FEWEST, MOST, live

from parley.testing.virtual_time import run_virtual

SHARDS = 8
HISTORIES = int(os.environ.get("PARLEY_TEST_HISTORIES", "80"))
SEED = int(os.environ.get("PARLEY_TEST_SEED", "0"))


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("cells", "few_collections")
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
