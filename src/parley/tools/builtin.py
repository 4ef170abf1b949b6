"""Two harmless tools, for a first try without any network."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

from pydantic import Field

from parley.tools.function import tool

LONGEST = 3600
"""Seconds that a timer may run."""


@tool(effect="read")
async def time() -> str:
    """The date and the time of day where the server stands. Ask for it whenever either matters."""
    now = datetime.now().astimezone()
    return f"{now:%Y-%m-%d %H:%M} ({now:%A}, time zone {now:%Z})"


@tool(effect="read", interruption="finish", background=True, timeout=LONGEST, filler_after=0)
async def timer(seconds: Annotated[int, Field(ge=1, le=LONGEST)]) -> str:
    """Set a timer. It runs in the background, and you are told when it is over."""
    await asyncio.sleep(seconds)
    return f"The timer of {seconds} seconds is over: tell the participant now."


BUILT_IN = (time, timer)
