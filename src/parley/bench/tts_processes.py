"""Processes and utterances of the voice benchmarks: a worker, the piper library beside it, and who asks them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from parley.errors import ConfigError
from parley.rpc.client import GrpcSynthesizer
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

TEXTS = (
    "Hello there, how are you today? The quick brown fox jumps over the lazy dog. It costs forty two euros.",
    "The train leaves at half past nine. Please take your seats, we are about to depart. Thank you.",
    "Yes, I can do that for you. Which day would suit you best, and at what time should I call?",
    "Good morning. Your order has left our house and will arrive on Friday before noon.",
)
_START_LIMIT = 120.0


@dataclass(slots=True)
class Round:
    """What one round of sessions gave."""

    first_ms: list[float] = field(default_factory=list)
    factor: list[float] = field(default_factory=list)
    audio: float = 0.0
    cpu: float = 0.0


async def speak(synthesizer: GrpcSynthesizer, model: str, session: str, text: str, result: Round) -> float:
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


@contextlib.contextmanager
def library(path: Path, *, alike: bool = False) -> Iterator[Library]:
    """The piper library in a process of its own; ``alike``: with onnxruntime set up as Parley sets it up."""
    child = _start("piper", str(path), *(["alike"] if alike else []))
    try:
        _expect(child)
        yield Library(child)
    finally:
        child.kill()
        child.communicate()


@dataclass(slots=True)
class Library:
    """Speaks texts one after the other; says for each how many seconds first chunk, all of it and its CPU took."""

    child: subprocess.Popen[str]

    def __call__(self, texts: Sequence[str]) -> list[dict[str, float]]:
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps(list(texts)) + "\n")
        self.child.stdin.flush()
        answer: list[dict[str, float]] = json.loads(_expect(self.child))
        return answer


@dataclass(slots=True)
class Process:
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
async def worker(
    folder: Path, model: str, *, parallel: int = 1, head_start: float = 0.0
) -> AsyncIterator[tuple[Process, GrpcSynthesizer]]:
    """A worker that serves ``model``, ``parallel`` sentences of an utterance at a time, and a client of it.

    ``head_start`` is ``worker.synthesis.head_start``.
    """
    child = _start("worker", str(folder), model, str(parallel), str(head_start))
    try:
        address = await asyncio.wait_for(asyncio.to_thread(_expect, child), _START_LIMIT)
        synthesizer = GrpcSynthesizer(address)
        try:
            yield Process(child.pid), synthesizer
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
