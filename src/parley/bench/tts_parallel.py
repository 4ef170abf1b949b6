"""Sentences of one reply spoken side by side: when does it pay?

A reply of several sentences is asked of one session, and heard as it comes. Two voices: ``slow``, which takes
longer to make audio than to play it and waits for a machine elsewhere meanwhile, as one on a GPU or a
server does (tones, held back); and ``piper-medium``, fast, on the CPUs of this machine. Definitions:

- ``first frame``: text sent -> first 20 ms frame received.
- ``whole reply``: text sent -> last frame received.
- ``silence within``: how long the listener, who plays from the first frame on, waits for audio in all.
- ``head start``: the longest that the first frame may wait so that the rest comes in time; none but where it is named.
- ``cpu``: CPU time of the worker's processes over the seconds of audio.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from parley.bench.report import LoadMeter, Param, Row, row
from parley.bench.tts_processes import worker
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from parley.rpc.client import GrpcSynthesizer

REPLY = (
    "The train leaves at half past nine. Please take your seats now. We are about to depart. "
    "Tickets can be bought on board. The next stop is the old harbour. Thank you for coming along."
)
SLOW = "slow-tone"
_SLOW_PACK = """\
languages: [und]
licence: MIT
options:
  pace: 0.8
  delay_ms: 150
"""


def slow_pack(folder: Path) -> None:
    """A voice that makes 0.8 s of audio in a second, after 150 ms; it costs no CPU while it waits."""
    place = folder / "tone" / SLOW
    place.mkdir(parents=True)
    (place / "metadata.yaml").write_text(_SLOW_PACK, "utf-8")


async def measure(
    folder: Path, model: str, family: str, parallel: int, rounds: int, *, text: str = REPLY, head_start: float = 0.0
) -> list[Row]:
    """Rows for one model with ``parallel`` sentences at a time, on as many engine slots."""
    first, whole, silence, cpu = [], [], [], []
    load = LoadMeter()
    async with worker(folder, model, parallel=parallel, head_start=head_start) as (process, synthesizer):
        await _hear(synthesizer, model, "warm", "Ready.")
        for number in range(rounds):
            before = process.cpu()
            arrivals = await _hear(synthesizer, model, f"u{number}", text)
            cpu.append((process.cpu() - before) / (0.02 * len(arrivals)))
            first.append(1000 * arrivals[0])
            whole.append(arrivals[-1])
            silence.append(_silence(arrivals))
    params: dict[str, Param] = {"adapter": family, "model": model, "parallel": parallel}
    params |= {"head start": head_start} if head_start else {}
    busy = load.read()
    return [
        row("first frame", "ms", first, params=params, load=busy),
        row("whole reply", "s", whole, params=params, load=busy),
        row("silence within", "s", silence, params=params, load=busy),
        row("cpu", "s/s", cpu, params=params, load=busy),
    ]


async def _hear(synthesizer: GrpcSynthesizer, model: str, utterance: str, text: str) -> list[float]:
    """Seconds from the text to each frame of the reply."""

    async def pieces() -> AsyncIterator[str]:
        yield text

    began = time.perf_counter()
    voice = Voice(model=model)
    synthesis = synthesizer.synthesize(pieces(), voice=voice, session_id="s", utterance_id=utterance)
    async with aclosing(synthesis):
        return [time.perf_counter() - began async for _ in synthesis]


def _silence(arrivals: list[float]) -> float:
    """Seconds that playing every frame at its time, and none before it is there, takes beyond the audio."""
    return max(at - (arrivals[0] + 0.02 * number) for number, at in enumerate(arrivals))
