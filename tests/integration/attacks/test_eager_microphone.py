"""A client whose sound comes faster than it can have been spoken, and the reply on the same connection."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from websockets.asyncio.client import connect

from parley import clock
from parley.testing.echo_host import EchoHost, echo_app, serving
from parley.transports.binary import MICROPHONE_HEADER

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_who_sends_sound_faster_than_it_is_spoken_hears_the_reply_without_a_hole() -> None:
    """What is not read yet fills the socket; the reply on the same connection must not wait for that.

    A receive buffer of a fixed size makes the system throw away what comes, its acknowledgements of the reply included,
    and each time it waits twice as long until it tries again: the reply stood still for seconds.
    """
    sound = MICROPHONE_HEADER + bytes(960)
    frame = bytes([0x82, 0xFE, *len(sound).to_bytes(2), 0, 0, 0, 0]) + sound
    came: list[float] = []
    async with serving(echo_app(EchoHost())) as url, connect(url + "/v1/session") as ws:
        await ws.send('{"type": "start", "sample_rate": 48000}')
        await ws.send('{"type": "text", "text": "play 10"}')
        begin = clock.now()

        async def listen() -> None:
            async for data in ws:
                if isinstance(data, bytes):
                    came.append(clock.now())
                elif json.loads(data)["type"] == "reply_end":
                    return

        listening = asyncio.create_task(listen())
        tick = 0
        while not listening.done():
            tick += 1
            await asyncio.sleep(begin + tick * 0.004 - clock.now())  # two and a half times as fast as it may be spoken
            if ws.transport.get_write_buffer_size() < 2**20:
                ws.transport.write(frame)
        await listening
        ws.transport.abort()
    assert len(came) == 500
    assert max(after - before for before, after in pairwise(came)) < 0.5  # it was 0.6 to 6.6
