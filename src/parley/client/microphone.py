"""Microphones for programs: a file played in real time, then silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from parley import clock
from parley.errors import UnavailableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from parley.client.session import SessionClient

FRAME_SECONDS = 0.010
"""Short frames are heard sooner; 20 ms cost less."""


class WavMicrophone:
    """Sends samples in real time, 10 ms at a time, then silence until cancelled."""

    def __init__(self, samples: NDArray[np.int16], sample_rate: int) -> None:
        self.samples_sent = 0
        self.ended = asyncio.Event()
        """Set when the file is over and silence follows."""
        self.sample_rate = sample_rate
        self._pcm = samples.astype("<i2").tobytes()

    @property
    def seconds(self) -> float:
        """Length of what is to be said."""
        return len(self._pcm) / 2 / self.sample_rate

    async def run(self, client: SessionClient) -> None:
        """Send until cancelled or the server has gone."""
        step = round(FRAME_SECONDS * self.sample_rate)
        began = clock.now()
        for index in range(2**62):
            start = 2 * step * index
            pcm = self._pcm[start : start + 2 * step].ljust(2 * step, b"\0")
            if start >= len(self._pcm):
                self.ended.set()
            try:
                await client.send_microphone(pcm)
            except UnavailableError:
                return
            self.samples_sent += step
            await asyncio.sleep(max(0.0, began + (index + 1) * FRAME_SECONDS - clock.now()))
