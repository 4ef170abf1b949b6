"""``parley say`` ends, whatever becomes of the text."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from parley.cli.say import _hear
from parley.errors import InvalidRequest
from parley.messages import StateChanged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


async def test_a_text_that_no_voice_speaks_ends_with_a_sentence() -> None:
    async def messages() -> AsyncIterator[Any]:
        yield SimpleNamespace(message=StateChanged("silent", "thinking", "text_given"))
        yield SimpleNamespace(message=StateChanged("silent", "idle", "reply_failed"))
        await asyncio.get_running_loop().create_future()

    async def sent() -> tuple[str, float]:
        return "...", 0.0

    sending = asyncio.create_task(sent())
    await sending
    with pytest.raises(InvalidRequest, match="nothing to say"):
        await asyncio.wait_for(_hear(messages(), sending), 10)  # type: ignore[arg-type]
