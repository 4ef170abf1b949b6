"""``parley chat``'s first look at a microphone: two seconds with a level, and a word on whether it hears anybody."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from parley.client.hearing import FULL_DB, QUIET_DB, Hearing, level_db
from parley.folders import data_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rich.console import Console, RenderableType

SECONDS = 2.0
_PATIENCE = 2.0
"""Seconds beyond that in which a card may take its time; one that gives no sound at all is not waited for."""
_BLOCKS = round(SECONDS * 100)
_MOST_KEPT = 20
_LABEL = "Say something: "
_WORDS = {
    "heard": ("I hear you.", "green"),
    "faint": (
        "I can't hear you: the microphone gives a sound, but nobody's voice. Speak up, or choose another one with "
        "--microphone (--devices lists them); you can also type.",
        "yellow",
    ),
    "nothing": (
        "I can't hear you: the microphone gives no sound at all. Switch it on, or choose another one with --microphone "
        "(--devices lists them); you can also type.",
        "yellow",
    ),
}


async def check_microphone(console: Console, blocks: AsyncIterator[bytes], name: str) -> None:
    """Show the level of ``blocks`` (10 ms, 48 kHz, s16le) for two seconds and say what was heard.

    Once in the life of a microphone that hears somebody, and only where a person looks; ``name`` is what it was chosen
    by, empty for the usual one.
    """
    if not console.is_terminal or name in _known():
        return
    hearing = Hearing()
    showing = Live(_meter(console, QUIET_DB), console=console, transient=True, auto_refresh=False)
    with showing, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS + _PATIENCE):
            async for pcm in blocks:
                hearing.take(pcm)
                if hearing.blocks % 8 == 0:
                    showing.update(_meter(console, level_db(pcm)), refresh=True)
                if hearing.blocks >= _BLOCKS:
                    break
    words, style = _WORDS[hearing.verdict]
    console.print(Text(words, style=style))
    if hearing.verdict == "heard":
        _remember(name)


def _meter(console: Console, level: float) -> RenderableType:
    """A row as wide as the window, however narrow."""
    room = max(4, min(60, console.width - len(_LABEL) - 1))
    full = round(room * min(1.0, max(0.0, (level - QUIET_DB) / (FULL_DB - QUIET_DB))))
    return Text.assemble(_LABEL, ("█" * full, "green"), ("·" * (room - full), "dim"), no_wrap=True, overflow="crop")


def _file() -> Path:
    return data_folder() / "microphones.json"


def _known() -> list[str]:
    """What the microphones were chosen by that have heard somebody on this machine."""
    try:
        kept = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [name for name in kept if isinstance(name, str)] if isinstance(kept, list) else []


def _remember(name: str) -> None:
    with contextlib.suppress(OSError):  # a home that takes no files: it is asked again the next time
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(json.dumps([*(known for known in _known() if known != name), name][-_MOST_KEPT:]), "utf-8")
