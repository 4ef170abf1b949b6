"""What a stock client types into a room's chat becomes a typed turn, whole, up to the length of any other message."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from parley.audio.frame import AudioFrame
from parley.messages import TextInput

pytest.importorskip("livekit.rtc")

from parley.transports.bounds import ClientBounds
from parley.transports.client_settings import ClientSettings
from parley.transports.livekit import LiveKitTransport
from parley.transports.livekit_settings import LiveKitSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def typed(text: str) -> AsyncIterator[str]:
    """As the SDK hands it out: in pieces."""
    for start in range(0, len(text), 15_000):
        yield text[start : start + 15_000]


@pytest.mark.parametrize("length", [8_001, 20_000, 20_001])
async def test_what_is_typed_in_a_room_reaches_the_session_whole_which_alone_judges_its_length(length: int) -> None:
    transport = LiveKitTransport(LiveKitSettings(), ClientBounds(ClientSettings()))
    try:
        transport._identity, text = "somebody", "x" * length
        transport._on_chat(typed(text), "somebody")
        async for item in transport:
            assert not isinstance(item, AudioFrame)
            assert item == TextInput(text)
            break
    finally:
        await transport.aclose()
