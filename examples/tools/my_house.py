"""A house with a lamp, a door and a washing machine, as tools of a voice."""

from __future__ import annotations

import asyncio
from typing import Literal

from parley.tools import tool

lamps = {"kitchen": False, "bedroom": False}


@tool(effect="read")
async def lamp_states() -> dict[str, bool]:
    """Which lamps are on. Ask for it before you say anything about lamps."""
    return lamps


@tool
async def switch_lamp(room: Literal["kitchen", "bedroom"], on: bool) -> str:
    """Switch the lamp of a room on or off."""
    lamps[room] = on
    return f"The lamp in the {room} is {'on' if on else 'off'} now."


@tool(confirm=True)
async def open_door() -> str:
    """Open the front door. The person is asked first."""
    return "The front door is open."


@tool(background=True, timeout=3600, interruption="finish")
async def wash(minutes: int = 30) -> str:
    """Start the washing machine. It takes a while, and you are told when it is done."""
    await asyncio.sleep(60 * minutes)
    return "The laundry is done."
