"""What Parley adds to the piper library, told apart from how much the library differs from itself.

Each text is spoken four times in a row, in an order drawn anew for every text: through Parley, by the
library as its documentation calls it, by the same process once more, and by the library with the thread
settings that Parley gives onnxruntime. Differences are taken within these four alone, so that what
happens to the machine from one minute to the next is in none of them.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from parley.bench.report import Goal, LoadMeter, Param, Row, row
from parley.bench.tts_processes import TEXTS, Library, Process, Round, library, speak, worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley.rpc.client import GrpcSynthesizer

_WAYS = ("Parley", "library", "again", "alike")
_REST = 0.05
"""Seconds between two of them: threads of onnxruntime go on spinning after a run, on a core that the next needs."""


@dataclass(slots=True)
class _Way:
    """One way to have the texts spoken: the first audio of each text, and CPU per second of audio of each round."""

    first_ms: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    spent: float = 0.0
    audio: float = 0.0

    def add(self, first_ms: float, audio: float, cpu: float) -> None:
        self.first_ms.append(first_ms)
        self.audio += audio
        self.spent += cpu

    def end_round(self) -> None:
        self.cpu.append(self.spent / self.audio)
        self.spent = self.audio = 0.0


async def against_library(folder: Path, path: Path, rounds: int, seed: int) -> list[Row]:
    """Rows of the comparison for one Piper pack, whose ONNX file is ``path``."""
    ways = {name: _Way() for name in _WAYS}
    load = LoadMeter()
    model = path.parent.name
    async with worker(folder, model) as (process, synthesizer):
        with library(path) as plain, library(path, alike=True) as alike:
            order = random.Random(seed)
            for _ in range(rounds):
                for text in TEXTS:
                    for name in order.sample(_WAYS, len(_WAYS)):
                        await asyncio.sleep(_REST)
                        if name == "Parley":
                            await _through_parley(ways[name], process, synthesizer, model, text)
                        else:
                            _by_library(ways[name], alike if name == "alike" else plain, text)
                for way in ways.values():
                    way.end_round()
    return _rows(ways, model, load.read())


async def _through_parley(way: _Way, process: Process, synthesizer: GrpcSynthesizer, model: str, text: str) -> None:
    result, before = Round(), process.cpu()
    audio = await speak(synthesizer, model, "compared", text, result)
    way.add(result.first_ms[0], audio, process.cpu() - before)


def _by_library(way: _Way, ask: Library, text: str) -> None:
    (spoken,) = ask([text])
    way.add(1000 * spoken["first"], spoken["audio"], spoken["cpu"])


def _rows(ways: dict[str, _Way], model: str, busy: Mapping[str, float]) -> list[Row]:
    params: dict[str, Param] = {"adapter": "piper", "model": model}
    ours, theirs = ways["Parley"], ways["library"]
    over = [100 * (mine / other - 1) for mine, other in zip(ours.cpu, theirs.cpu, strict=True)]
    together = round(100 * (median(ours.cpu) / median(theirs.cpu) - 1), 1)
    real = model != "piper-tiny"  # framing costs more than a model of a few layers, which says nothing of voices
    cpu_goal = Goal(p50=5.0) if real else None
    late = Goal(p50=20.0, p95=20.0)

    def timed(name: str, values: list[float], goal: Goal | None = None) -> Row:
        return row(name, "ms", values, params=params, goal=goal, load=busy)

    return [
        row("cpu through Parley", "s/s", ours.cpu, params=params, load=busy),
        row("cpu of the library", "s/s", theirs.cpu, params=params, load=busy),
        row("cpu over the library", "%", over, params={**params, "of medians": together}, goal=cpu_goal, load=busy),
        timed("first frame through Parley", ours.first_ms),
        timed("first chunk of the library", theirs.first_ms),
        timed("first frame after the library's", _paired(ours, theirs), late),
        timed("the same, with the same thread settings", _paired(ours, ways["alike"]), late),
        timed("the library's second run after its first", _paired(ways["again"], theirs)),
    ]


def _paired(way: _Way, other: _Way) -> list[float]:
    return [mine - its for mine, its in zip(way.first_ms, other.first_ms, strict=True)]
