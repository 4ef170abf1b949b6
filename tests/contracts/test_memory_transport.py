"""The transport of tests and simulations keeps the contract of the real ones, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from parley.testing.transports import Link, TransportContract
from parley.testing.virtual_time import VirtualTimeLoop
from parley.transports.memory import MemoryTransport

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


class TestMemory(TransportContract):
    @pytest.fixture
    async def link(self) -> AsyncIterator[Link]:
        transport = MemoryTransport(reports=True)
        yield Link(transport, transport.participant)
        await transport.aclose()
