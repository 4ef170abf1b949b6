"""What programs inside the environments of other people's clients share: nothing but the standard library."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
import urllib.request
import wave
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.clients import lines
from tests.clients.recorder import STORY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

URL, KEY = os.environ.get("PARLEY_TEST_URL", ""), os.environ.get("PARLEY_TEST_KEY", "")
RATE = 24_000
COUNT = "one two three four five six seven eight nine ten eleven twelve thirteen"
"""What is said again while somebody nods."""
INTO_IT = "Wait, please stop, I have another question for you."
"""What is said by whoever takes the floor."""
SOON = 20.0
"""Seconds that anything may take on a busy machine."""


def realtime(model: str = "gpt-realtime", url: str = URL) -> str:
    """The address of the Realtime endpoint."""
    return f"{url.replace('http', 'ws', 1)}/v1/realtime?model={model}"


def line() -> AbstractAsyncContextManager[lines.Line]:
    """A way to it that can be cut."""
    return lines.line(URL)


def sound(name: str) -> bytes:
    """A recording of the test: mono s16le at 24 kHz."""
    with wave.open(str(Path(os.environ["PARLEY_TEST_FOLDER"], f"{name}.wav"))) as file:
        assert file.getframerate() == RATE
        return file.readframes(file.getnframes())


@contextlib.asynccontextmanager
async def microphone(send: Callable[[bytes], Awaitable[Any]], piece: float = 0.02) -> AsyncIterator[Microphone]:
    """One that is open all the time: silence in real time, in pieces of 20 ms, where nobody speaks."""
    it = Microphone()
    running = asyncio.create_task(it.run(send, piece))
    try:
        yield it
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Microphone:
    """Somebody in front of one."""

    def __init__(self) -> None:
        self._speech = bytearray()

    async def say(self, name: str) -> None:
        """Say a recording, to its end."""
        self._speech += sound(name)
        while self._speech:
            await asyncio.sleep(0.02)

    async def run(self, send: Callable[[bytes], Awaitable[Any]], piece: float) -> None:
        """Send what is said."""
        size = int(piece * RATE) * 2
        began = time.monotonic()
        for number in range(2**31):
            pcm = bytes(self._speech[:size]).ljust(size, b"\0")
            del self._speech[:size]
            await send(pcm)
            await asyncio.sleep(max(0.0, began + (number + 1) * piece - time.monotonic()))


def asked() -> list[dict[str, Any]]:
    """All that the language model was asked so far."""
    with urllib.request.urlopen(os.environ["PARLEY_TEST_RECORDER"], timeout=5) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def roles(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Role and text of each message; what stands in front of the conversation is left out."""
    return [
        (each["role"], (each.get("content") or "").strip()) for each in body["messages"] if each["role"] != "system"
    ]


def alike(told: str, heard: str, least: float = 0.8) -> bool:
    """The words that the model was told are those the client was told.

    A last word that came late, and changed nothing, does not begin a reply anew.
    """
    return bool(heard) and SequenceMatcher(None, told.lower(), heard.lower().strip()).ratio() > least


def told_after_a_nod(newest: str) -> list[tuple[str, str]]:
    """What the model is told next: all of the reply."""
    return [("user", COUNT), ("assistant", f"You said: {COUNT}."), ("user", newest)]


def check_taken(told: list[tuple[str, str]], most: int = 40) -> None:
    """What the model is told when somebody took the floor: the story as far as it was heard, and what they said."""
    _, (role, heard), (whose, said) = told
    assert (role, whose) == ("assistant", "user"), told
    check_heard(heard, 4, most)
    assert alike(said, INTO_IT, 0.5), said


def check_heard(heard: str, least: int, most: int) -> None:
    """So many words of the story, from its beginning."""
    assert STORY.startswith(heard.rstrip(". …-")), heard
    assert least <= len(heard.split()) <= most, heard


async def until(true: Callable[[], Any]) -> None:
    """Wait until something has happened."""
    async with asyncio.timeout(SOON):
        while not true():
            await asyncio.sleep(0.02)
