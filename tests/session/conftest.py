from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from tests.session.reached import cells as cells

from parley.testing.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def anyio_backend() -> object:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


@pytest.fixture(scope="module")
def few_collections() -> Iterator[None]:
    """Thousands of sessions leave garbage behind: it is looked for less often, which saves time."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    yield
    gc.set_threshold(*before)
