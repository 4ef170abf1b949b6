"""What a frame costs a session, in calls of Parley's own functions: no clock, so the same on every machine.

A bound is a tenth above what was counted. Whoever makes a frame dearer sees it here, and says why in a new bound.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from tests.session.histories import Life, pcm

from parley.session.decide.floor_table import Agent
from parley.testing.virtual_time import run_virtual

OWN = ("/parley/session/", "/parley/audio/", "/parley/conversation/", "/parley/clock.py", "/parley/transports/inbox.py")
FRAMES = 200


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """How often the session's own functions are called meanwhile, by file and name; a step of a coroutine is a call."""
    calls: dict[str, int] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            code = frame.f_code
            file = code.co_filename.replace("\\", "/")
            if any(own in file for own in OWN):
                name = f"{file.rpartition('/parley/')[2]}:{code.co_name}"
                calls[name] = calls.get(name, 0) + 1

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


async def microphone(loudness: float, *, in_turn: bool) -> float:
    """Calls per frame of 20 ms that comes in."""
    life = Life(reports=False, delay=0.0)
    participant = life.now.transport.participant
    sound = pcm(0.02, loudness)

    async def speak(frames: int) -> None:
        for _ in range(frames):
            await asyncio.sleep(0.02)
            await participant.speak(sound)

    await speak(60)
    assert (life.now.engine._floor.agent is Agent.LISTENING) is in_turn
    with counted() as calls:
        await speak(FRAMES)
    await life.leave()
    return sum(calls.values()) / FRAMES


async def loudspeaker() -> float:
    """Calls per frame of a reply that goes out, once its text is there."""
    life = Life(reports=False, delay=0.0)
    participant = life.now.transport.participant
    await life.type("tell me more")

    async def until(frames: int) -> None:
        while len(participant.frames) < frames:
            participant.arrived.clear()
            await participant.arrived.wait()

    await until(4)
    with counted() as calls:
        await until(9)
    await life.leave()
    return sum(calls.values()) / 5


@pytest.mark.parametrize(
    ("loudness", "in_turn", "bound"), [(0.0, False, 26), (1.0, True, 44)], ids=["silence", "speech"]
)
def test_a_frame_of_the_microphone_costs_no_more_calls_than_it_did(
    loudness: float, in_turn: bool, bound: float
) -> None:
    assert run_virtual(microphone(loudness, in_turn=in_turn)) <= bound


def test_a_frame_of_a_reply_costs_no_more_calls_than_it_did() -> None:
    assert run_virtual(loudspeaker()) <= 51
