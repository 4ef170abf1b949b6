"""A running Parley and somebody to talk to it, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from parley import clock
from parley.bench.speech import RATE, Samples
from parley.client.playout import Playout
from parley.client.session import SessionClient
from parley.messages import ReplyEnded, ReplyStarted, ServerMessage, StartSession, TextInput

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence

START_LIMIT = 180.0
"""Seconds that a start may take on a busy machine."""
FRAME = RATE // 50
Message = TypeVar("Message")


# --- the system ------------------------------------------------------------------------


@dataclass
class Running:
    """``parley up`` as a child."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    def status(self) -> int:
        """Of ``/health``; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_until(self, status: int) -> None:
        """Wait for ``/health`` to answer so."""
        deadline = time.monotonic() + START_LIMIT
        while self.status() != status:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def wait_for_words(self, words: str) -> None:
        """Wait until it has said this."""
        deadline = time.monotonic() + START_LIMIT
        while words not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def children(self) -> list[int]:
        """Process ids directly below it."""
        found: list[int] = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
                found += map(int, (task / "children").read_text().split())
        return found

    def worker(self) -> int:
        """The process that speaks."""
        return next(pid for pid in self.children() if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes())


@contextlib.contextmanager
def running(folder: Path, *arguments: str, program: Sequence[str] = ("-m", "parley")) -> Generator[Running, None, None]:
    """Start it in a folder of its own, wait until it is ready, and stop it as Ctrl-C does.

    ``program``: what Python is to run.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "parley.log"
    environ = {"PARLEY_STORE__FOLDER": str(folder / "store"), **os.environ}  # not the developer's own models
    command = [sys.executable, *program, "up", "--no-browser", "--port", str(port), *arguments]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=out, stderr=subprocess.STDOUT, text=True)
    it = Running(process, f"http://127.0.0.1:{port}", log)
    try:
        it.wait_until(200)
        yield it
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# --- the participant -------------------------------------------------------------------


@dataclass
class Participant:
    """Somebody with a microphone that is always open, and ears."""

    client: SessionClient
    ears: Playout
    messages: list[ServerMessage] = field(default_factory=list)
    _speech: bytearray = field(default_factory=bytearray)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def speak(self, samples: Samples) -> None:
        """Begin to say this now."""
        self._speech += samples.astype("<i2").tobytes()

    async def type(self, text: str) -> None:
        """A typed turn."""
        await self.client.send(TextInput(text))

    async def next(self, kind: type[Message], limit: float = 15.0, **fields: Any) -> Message:
        """Wait for a message of this kind with these fields; those that came before it are gone."""
        async with asyncio.timeout(limit):
            while True:
                while self.messages:
                    message = self.messages.pop(0)
                    if isinstance(message, kind) and all(getattr(message, key) == fields[key] for key in fields):
                        return message
                self._news.clear()
                await self._news.wait()

    async def hear(self, seconds: float) -> None:
        """Listen until this much more speech has been heard."""
        begin = sum(len(piece.pcm) for piece in self.ears.heard)
        async with asyncio.timeout(15 + seconds):
            while sum(len(piece.pcm) for piece in self.ears.heard) - begin < 2 * RATE * seconds:
                await asyncio.sleep(0.02)
                self.ears.advance(clock.now())

    def heard(self, utterance_id: str) -> list[tuple[int, int]]:
        """Stretches of an utterance's samples that were heard, in the order of hearing."""
        self.ears.advance(clock.now())
        number = self.client.numbers[utterance_id]
        return [(piece.start_sample, piece.end_sample) for piece in self.ears.heard if piece.number == number]

    def loudness(self, utterance_id: str) -> float:
        """Root mean square of what was heard of it."""
        self.ears.advance(clock.now())
        number = self.client.numbers[utterance_id]
        pcm = b"".join(piece.pcm for piece in self.ears.heard if piece.number == number)
        return float(np.sqrt(np.mean(np.frombuffer(pcm, "<i2").astype(np.float64) ** 2))) if pcm else 0.0

    async def run(self) -> None:
        """Send the microphone in real time and collect messages."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send())
            group.create_task(self._collect())

    async def _send(self) -> None:
        began = clock.now()
        for index in range(2**31):
            pcm = bytes(self._speech[: 2 * FRAME]).ljust(2 * FRAME, b"\0")
            del self._speech[: 2 * FRAME]
            await self.client.send_microphone(pcm)
            await asyncio.sleep(max(0.0, began + (index + 1) * 0.02 - clock.now()))

    async def _collect(self) -> None:
        async for received in self.client:
            self.messages.append(received.message)
            self._news.set()


@contextlib.asynccontextmanager
async def talking(parley: Running, api_key: str = "") -> AsyncGenerator[Participant, None]:
    """A session on headphones."""
    ears = Playout()
    start = StartSession(echo_cancelled=True)
    async with SessionClient(parley.url, start, listener=ears, api_key=api_key) as client:
        participant = Participant(client, ears)
        task = asyncio.create_task(participant.run())
        try:
            yield participant
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def contiguous(stretches: list[tuple[int, int]]) -> bool:
    """Every sample once, in order, from the first."""
    return bool(stretches) and all(
        begin == end for (_, end), (begin, _) in zip([(0, 0), *stretches], stretches, strict=False)
    )


async def text_of(participant: Participant) -> tuple[str, ReplyEnded]:
    """The next reply: its text, and how it ended."""
    started = await participant.next(ReplyStarted)
    ended = await participant.next(ReplyEnded, 60, utterance_id=started.utterance_id)
    return ended.text, ended
