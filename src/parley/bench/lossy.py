"""A Parley whose WebRTC receiver loses packets at random: ``python -m parley.bench.lossy 0.005 up ...``."""

from __future__ import annotations

import functools
import random
import runpy
import sys
from typing import Any

SEED = 20


def lose(share: float) -> None:
    """From now on, every arriving RTP packet of this process is dropped with this probability."""
    from aiortc.rtcdtlstransport import RTCDtlsTransport

    receive = RTCDtlsTransport._handle_rtp_data
    dice = random.Random(SEED)

    @functools.wraps(receive)
    async def receive_some(self: Any, *packet: Any, **more: Any) -> None:
        if dice.random() >= share:
            await receive(self, *packet, **more)

    RTCDtlsTransport._handle_rtp_data = receive_some  # type: ignore[method-assign]


if __name__ == "__main__":
    lose(float(sys.argv[1]))
    sys.argv[1:] = sys.argv[2:]
    runpy.run_module("parley", run_name="__main__")  # the command line stands above this layer
