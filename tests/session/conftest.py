from __future__ import annotations

import pytest
from tests.session.reached import cells as cells

from parley.testing.virtual_time import VirtualTimeLoop


@pytest.fixture
def anyio_backend() -> object:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})
