"""Voices: first frame, real-time factor and CPU of each adapter, and what Parley adds to the piper library.

Every model is served by a worker process of its own and asked over gRPC, as an orchestrator asks.
Sessions start together and read as fast as frames come. Definitions:

- ``first frame``: text sent -> first 20 ms frame received.
- ``real-time factor``: text sent -> last frame received, over the length of the audio.
- ``cpu``: CPU time of the worker's processes over the seconds of audio made in a round.
- ``cpu over the library``: CPU per second of audio through Parley (worker process, gRPC and 48 kHz framing
  included) over that of ``piper.PiperVoice.synthesize`` called directly on the same texts, in per cent above.
- ``first frame after the library's``: first frame through Parley minus the library's first chunk, same text.

``--set voicepacks=FOLDER`` measures the packs in a folder. Without it tiny random models in each family's
real format are used, and ``piper-medium``: a random model with a vocoder of the size that Piper's medium
voices have.
``--set adapter=piper,kokoro`` keeps only some families. Rounds: ``--trials`` (12).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from parley.bench.report import BenchOptions, Goal, LoadMeter, Param, Row, row
from parley.errors import ConfigError, ParleyError
from parley.interfaces import Voice
from parley.rpc.client import GrpcSynthesizer
from parley.worker import adapters
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

TEXTS = (
    "Hello there, how are you today? The quick brown fox jumps over the lazy dog. It costs forty two euros.",
    "The train leaves at half past nine. Please take your seats, we are about to depart. Thank you.",
    "Yes, I can do that for you. Which day would suit you best, and at what time should I call?",
    "Good morning. Your order has left our house and will arrive on Friday before noon.",
)
_START_LIMIT = 120.0


def run(options: BenchOptions) -> list[Row]:
    """Measure every model that is asked for; one that can not be loaded is said and left out."""
    wanted = {name for name in options.text("adapter").split(",") if name}
    rows: list[Row] = []
    with _packs(options, wanted) as folder:
        for model, family in _models(folder, wanted, builtin=not options.text("voicepacks")):
            try:
                rows += asyncio.run(_measure(folder, model, family, options))
            except ParleyError as error:
                print(f"{model}: {error}", file=sys.stderr)
        for path in sorted(folder.glob("piper/*/model.onnx")):
            if not wanted or "piper" in wanted:
                rows += asyncio.run(_against_library(folder, path, options))
    return rows


@contextlib.contextmanager
def _packs(options: BenchOptions, wanted: set[str]) -> Iterator[Path]:
    """The folder of packs: the one that is named, or tiny models made for the occasion."""
    named = options.text("voicepacks")
    if named:
        yield Path(named)
        return
    names = [f"{family}-tiny" for family in ("piper", "kokoro", "sherpa", "pocket") if _wanted(family, wanted)]
    if "piper-tiny" in names:
        names.append("piper-medium")
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        if names:
            command = [sys.executable, "-m", "parley.testing.tiny_models", folder, *names]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise ConfigError(f"The tiny models can not be made: {done.stderr.strip().splitlines()[-1]}.")
        yield Path(folder)


def _wanted(family: str, wanted: set[str]) -> bool:
    module = adapters.FAMILIES[family].module
    return (not wanted or family in wanted) and (not module or find_spec(module) is not None)


def _models(folder: Path, wanted: set[str], *, builtin: bool) -> list[tuple[str, str]]:
    """Ids and families to measure."""
    catalog = VoicePackCatalog((folder,))
    for model_id, problem in catalog.problems().items():
        print(f"{model_id}: {problem}", file=sys.stderr)
    plain = {"tone", "espeak"}
    return [
        (info.model_id, info.family)
        for info in catalog.models()
        if (not wanted or info.family in wanted)
        and (info.family not in plain or (info.model_id in plain and (builtin or info.family in wanted)))
    ]


@dataclass(slots=True)
class _Round:
    """What one round of sessions gave."""

    first_ms: list[float] = field(default_factory=list)
    factor: list[float] = field(default_factory=list)
    audio: float = 0.0
    cpu: float = 0.0


async def _measure(folder: Path, model: str, family: str, options: BenchOptions) -> list[Row]:
    rows: list[Row] = []
    rounds = options.trials or 12
    async with _worker(folder, model) as (process, synthesizer):
        await _round(process, synthesizer, model, 1)
        for sessions in options.sessions or (1, 4, 16):
            load = LoadMeter()
            results = [await _round(process, synthesizer, model, sessions) for _ in range(rounds)]
            params: dict[str, Param] = {"adapter": family, "model": model, "sessions": sessions}
            busy = load.read()
            first = [value for result in results for value in result.first_ms]
            factor = [value for result in results for value in result.factor]
            cpu = [result.cpu / result.audio for result in results]
            rows += [
                row("first frame", "ms", first, params=params, load=busy),
                row("real-time factor", "s/s", factor, params=params, load=busy),
                row("cpu", "s/s", cpu, params=params, load=busy),
            ]
    return rows


async def _round(process: _Process, synthesizer: GrpcSynthesizer, model: str, sessions: int) -> _Round:
    result = _Round()
    before = process.cpu()
    made = await asyncio.gather(
        *(_speak(synthesizer, model, f"s{i}", TEXTS[i % len(TEXTS)], result) for i in range(sessions))
    )
    result.audio, result.cpu = sum(made), process.cpu() - before
    return result


async def _speak(synthesizer: GrpcSynthesizer, model: str, session: str, text: str, result: _Round) -> float:
    """One utterance; returns the seconds of audio."""

    async def pieces() -> AsyncIterator[str]:
        yield text

    began, first, frames = time.perf_counter(), 0.0, 0
    synthesis = synthesizer.synthesize(
        pieces(), voice=Voice(model=model), session_id=session, utterance_id=f"{session}-{began}"
    )
    async with aclosing(synthesis):
        async for _ in synthesis:
            first = first or time.perf_counter() - began
            frames += 1
    audio = frames * 0.02
    result.first_ms.append(first * 1000)
    result.factor.append((time.perf_counter() - began) / audio)
    return audio


async def _against_library(folder: Path, path: Path, options: BenchOptions) -> list[Row]:
    """Parley and the library in turns on the same texts, so that both meet the same neighbours."""
    model, rounds = path.parent.name, options.trials or 12
    load = LoadMeter()
    over: list[float] = []
    late: list[float] = []
    spent: dict[str, list[float]] = {"Parley": [], "library": []}
    async with _worker(folder, model) as (process, synthesizer):
        with _library(path) as ask:
            for _ in range(rounds):
                result, there = _Round(), ask(TEXTS)
                before, audio = process.cpu(), 0.0
                for number, text in enumerate(TEXTS):
                    audio += await _speak(synthesizer, model, f"s{number}", text, result)
                spent["Parley"].append((process.cpu() - before) / audio)
                spent["library"].append(sum(t["cpu"] for t in there) / sum(t["audio"] for t in there))
                over.append(100 * (spent["Parley"][-1] / spent["library"][-1] - 1))
                late += [ours - 1000 * theirs["first"] for ours, theirs in zip(result.first_ms, there, strict=True)]
    params: dict[str, Param] = {"adapter": "piper", "model": model}
    busy = load.read()
    together = 100 * (median(spent["Parley"]) / median(spent["library"]) - 1)
    goal = Goal(p50=5.0) if model != "piper-tiny" else None
    return [
        row("cpu through Parley", "s/s", spent["Parley"], params=params, load=busy),
        row("cpu of the library", "s/s", spent["library"], params=params, load=busy),
        row(
            "cpu over the library", "%", over, params={**params, "of medians": round(together, 1)}, goal=goal, load=busy
        ),
        row("first frame after the library's", "ms", late, params=params, goal=Goal(p50=20.0), load=busy),
    ]


@contextlib.contextmanager
def _library(path: Path) -> Iterator[_Ask]:
    child = _start("piper", str(path))
    try:
        _expect(child)
        yield _Ask(child)
    finally:
        child.kill()
        child.communicate()


@dataclass(slots=True)
class _Ask:
    child: subprocess.Popen[str]

    def __call__(self, texts: Sequence[str]) -> list[dict[str, float]]:
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps(list(texts)) + "\n")
        self.child.stdin.flush()
        answer: list[dict[str, float]] = json.loads(_expect(self.child))
        return answer


@dataclass(slots=True)
class _Process:
    """CPU time of a process and its children."""

    pid: int

    def cpu(self) -> float:
        import psutil

        total = 0.0
        own = psutil.Process(self.pid)
        for process in (own, *own.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total


@asynccontextmanager
async def _worker(folder: Path, model: str) -> AsyncIterator[tuple[_Process, GrpcSynthesizer]]:
    child = _start("worker", str(folder), model)
    try:
        address = await asyncio.wait_for(asyncio.to_thread(_expect, child), _START_LIMIT)
        synthesizer = GrpcSynthesizer(address)
        try:
            yield _Process(child.pid), synthesizer
        finally:
            await synthesizer.aclose()
    finally:
        child.terminate()
        try:
            await asyncio.to_thread(child.communicate, timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def _start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "parley.bench.tts_child", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _expect(child: subprocess.Popen[str]) -> str:
    """The child's next line. Raises ConfigError with its last words when there is none."""
    assert child.stdout is not None
    line = child.stdout.readline().strip()
    if not line:
        words = child.stderr.read().strip().splitlines() if child.stderr else []
        raise ConfigError(words[-1] if words else f"The process ended with {child.wait()}.")
    return line
