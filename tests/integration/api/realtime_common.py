"""What the Realtime tests share, over a WebSocket and in calls: the server, what is said, and the events that came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from tests.integration.people import running

from parley import clock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api.realtime_client import Mind
    from tests.integration.people import Running

KEY = "a-key-of-the-test"
LONG = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen."
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "How it is outside.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@contextlib.contextmanager
def thinking_with(thinking: Mind, folder: Path, *options: str) -> Generator[Running, None, None]:
    """A Parley whose language model is ``thinking``."""
    options = ("llm.engine=openai", f"llm.openai.base_url={thinking.url}", "llm.openai.system_prompt=", *options)
    with running(folder, *(part for option in options for part in ("--set", option))) as it:
        yield it


def typed(text: str) -> dict[str, Any]:
    """An item of the user's."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


class EventLog:
    """The events that a client was sent, as its library has them, and when they came."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.times: list[float] = []
        self._news = asyncio.Event()

    def note(self, event: Any) -> None:
        self.events.append(event)
        self.times.append(clock.now())
        self._news.set()

    def types(self) -> list[str]:
        return [event["type"] if isinstance(event, dict) else event.type for event in self.events]

    def of(self, kind: str) -> list[Any]:
        return [event for event, known in zip(self.events, self.types(), strict=True) if known == kind]

    def index(self, kind: str, which: int = 0) -> int:
        return [place for place, known in enumerate(self.types()) if known == kind][which]

    async def until(self, kind: str, count: int = 1, within: float = 30) -> Any:
        """Wait for the so-manieth event of a type."""
        async with asyncio.timeout(within):
            while len(found := self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return found[count - 1]

    def check_order(self, *kinds: str) -> None:
        """The first of each came in this order."""
        places = [self.index(kind) for kind in kinds]
        assert places == sorted(places), dict(zip(kinds, places, strict=True))
