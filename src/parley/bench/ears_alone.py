"""The recogniser's part of ``parley bench ears-fair`` without the machine's other work: real decoders in virtual time.

A decoder's run time (CPU seconds) becomes delay, as if each had a core to itself and nothing else ran. What is measured
is how long after a question's last sample its final transcript is there, while others talk; not the rest of a session.
The embedded recogniser's decoders are led here as its processes lead them; any other recogniser is the one that a
server has, on a loop whose cores take the time that its decoding took.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parley.asr.pocketsphinx import SphinxDecoder
from parley.asr.sharing import Leave, Listen, Sharing
from parley.asr.stretches import Stretches
from parley.audio import AudioFrame
from parley.bench.cpu_time import CpuTimeLoop
from parley.llm.script import phrases
from parley.testing.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from parley.interfaces import Recognizer

RATE = 16_000
_FRAME = 320


@dataclass(slots=True)
class _Said:
    samples: NDArray[np.int16]
    audio: Stretches = field(default_factory=Stretches)
    place: int = -1
    """Of the decoder that has heard what there was; -1: none."""
    ended: float = 0.0
    understood: float = 0.0
    text: str = ""


class Room:
    """People who speak at given times, and decoders that take the time they take."""

    def __init__(self, decoders: int) -> None:
        self._sharing = Sharing(decoders)
        self._decoders = [SphinxDecoder(phrases()) for _ in range(decoders)]
        for decoder in self._decoders:
            decoder.load()
        self._idle = set(range(decoders))
        self._events: list[tuple[float, int, str, int]] = []
        self._count = 0
        self._now = 0.0
        self.said: dict[int, _Said] = {}

    def speak(self, turn: int, at: float, samples: NDArray[np.int16]) -> None:
        """Somebody says this from ``at`` on."""
        self.said[turn] = _Said(samples)
        self._plan(at, "open", turn)
        for end in range(_FRAME, len(samples) + _FRAME, _FRAME):
            self._plan(at + min(end, len(samples)) / RATE, "heard", turn)
        self._plan(at + len(samples) / RATE, "ended", turn)

    def run(self, until: float) -> Mapping[int, _Said]:
        """Let time pass; what became of each turn."""
        heard: dict[int, int] = {}
        while self._events and self._events[0][0] <= until:
            self._now, _, what, who = heapq.heappop(self._events)
            if what == "open":
                self._sharing.open(who)
            elif what == "heard":
                said, at = self.said[who], heard.get(who, 0)
                piece = said.samples[at : at + _FRAME]
                heard[who] = at + len(piece)
                said.audio.add(piece.tobytes())
                self._sharing.heard(who, len(piece))
            elif what == "ended":
                self.said[who].ended = self._now
                self._sharing.ended(who, self._now)
            else:
                self._idle.add(who)
            for place in sorted(self._idle):
                self._work(place)
        return self.said

    def _work(self, place: int) -> None:
        order = self._sharing.next(place)
        if order is None:
            return
        began = time.process_time()
        if isinstance(order, Leave):
            said = self.said[order.turn]
            self._sharing.left(order.turn, said.audio.cut(self._decoders[place].cut()))
            said.place = -1
        else:
            self._listen(place, order)
        took = time.process_time() - began
        if isinstance(order, Listen) and order.last:
            self.said[order.turn].understood = self._now + took
            self._sharing.close(order.turn)
        self._idle.discard(place)
        self._plan(self._now + took, "idle", place)

    def _listen(self, place: int, order: Listen) -> None:
        said, decoder = self.said[order.turn], self._decoders[place]
        if said.place != place:
            decoder.start("", "")
            said.place = place
        decoder.feed(said.audio.take(order.samples))
        if order.last:
            said.text = said.audio.whole(decoder.finish()).text

    def _plan(self, when: float, what: str, who: int) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, what, who))


def lags(
    recognizer: Callable[[], Recognizer],
    talk: Sequence[NDArray[np.int16]],
    questions: Sequence[NDArray[np.int16]],
    *,
    first: float,
    every: float,
) -> list[float]:
    """Seconds from each question's last sample to its final transcript; one is asked ``every`` so many seconds.

    Everybody in ``talk`` (16 kHz) talks without a pause from the beginning on, until the last question is understood.
    """
    return run_virtual(_lags(recognizer, talk, questions, first, every), CpuTimeLoop)


async def _lags(
    recognizer: Callable[[], Recognizer],
    talk: Sequence[NDArray[np.int16]],
    questions: Sequence[NDArray[np.int16]],
    first: float,
    every: float,
) -> list[float]:
    found: list[float] = []
    async with asyncio.TaskGroup() as group:
        talking = [group.create_task(_understand(recognizer(), samples)) for samples in talk]
        await asyncio.sleep(first)
        asked = []
        for question in questions:
            asked.append(group.create_task(_understand(recognizer(), question)))
            await asyncio.sleep(every)
        for task in asked:
            found.append(await task)
        for task in talking:
            task.cancel()
    return found


async def _understand(recognizer: Recognizer, samples: NDArray[np.int16]) -> float:
    """Seconds from the last sample to the final transcript."""
    loop = asyncio.get_running_loop()
    over = loop.time() + len(samples) / RATE
    async with aclosing(recognizer.transcribe(_spoken(samples), language="en")) as transcripts:
        async for _ in transcripts:
            pass
    return loop.time() - over


async def _spoken(samples: NDArray[np.int16]) -> AsyncGenerator[AudioFrame, None]:
    """At the speed of speech; the last frame is the last of the voice."""
    for sequence, start in enumerate(range(0, len(samples), _FRAME)):
        piece = samples[start : start + _FRAME]
        await asyncio.sleep(len(piece) / RATE)
        last = start + _FRAME >= len(samples)
        yield AudioFrame(piece.tobytes(), RATE, "", sequence, start, speaking=not last)
