"""The whole of Parley as a user starts it: `parley up` as a process, a client on a WebSocket, spoken words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
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
import pytest

from parley import clock
from parley.bench.speech import RATE, Samples, say
from parley.client.playout import Playout
from parley.client.session import SessionClient
from parley.messages import (
    BargeInDecided,
    PauseAudio,
    ReplyEnded,
    ReplyStarted,
    ReplyText,
    ResumeAudio,
    ServerMessage,
    StartSession,
    TextInput,
    TranscriptUpdate,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

pytestmark = pytest.mark.anyio

START_LIMIT = 60.0
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

    def children(self) -> list[int]:
        """Process ids directly below it."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    def worker(self) -> int:
        """The process that speaks."""
        return next(pid for pid in self.children() if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes())


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Generator[Running, None, None]:
    """Start it in a folder of its own, wait until it is ready, and stop it as Ctrl-C does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "parley.log"
    command = [sys.executable, "-m", "parley", "up", "--no-browser", "--port", str(port), *arguments]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, text=True)
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


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    with running(tmp_path_factory.mktemp("parley")) as it:
        yield it


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
async def talking(parley: Running) -> AsyncGenerator[Participant, None]:
    """A session on headphones."""
    ears = Playout()
    start = StartSession(echo_cancelled=True)
    async with SessionClient(parley.url, start, listener=ears) as client:
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


# --- facts -----------------------------------------------------------------------------


async def test_a_typed_question_gets_a_spoken_answer(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("What is two plus three?")
        text, ended = await text_of(participant)
        assert text.strip() == "Two plus three is 5."
        assert ended.outcome == "finished"
        assert ended.heard_text.strip() == text.strip()
        assert participant.loudness(ended.utterance_id) > 500


async def test_a_spoken_question_gets_a_spoken_answer(parley: Running) -> None:
    async with talking(parley) as participant:
        participant.speak(say("What time is it?"))
        heard = await participant.next(TranscriptUpdate, final=True)
        text, ended = await text_of(participant)
    assert "time" in heard.text.lower()
    assert re.match(r"It is [a-z' ]+ in the (morning|afternoon|evening)\.", text.strip())
    assert participant.loudness(ended.utterance_id) > 500


async def test_speech_over_the_reply_pauses_it_and_takes_the_floor(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("Tell me a story")
        story = await participant.next(ReplyStarted)
        await participant.hear(3.0)
        participant.speak(say("Stop. What is your name?"))
        await participant.next(PauseAudio, utterance_id=story.utterance_id)
        await participant.next(BargeInDecided, utterance_id=story.utterance_id, outcome="take_floor")
        ended = await participant.next(ReplyEnded, utterance_id=story.utterance_id)
        assert ended.outcome == "interrupted"
        assert 0 < len(ended.heard_text) < len(ended.text)
        assert "Once upon a time there was a lighthouse".startswith(ended.heard_text[:20])
        answer, _ = await text_of(participant)
        assert "Parley" in answer or "All right" in answer
        heard = participant.heard(story.utterance_id)
    assert contiguous(heard)
    assert heard[-1][1] == ended.heard_sample


async def test_a_nod_pauses_the_reply_and_not_a_sample_of_it_is_lost(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("Count to twelve")
        count = await participant.next(ReplyStarted)
        await participant.hear(2.0)
        participant.speak(say("Okay."))
        await participant.next(PauseAudio, utterance_id=count.utterance_id)
        await participant.next(ResumeAudio, utterance_id=count.utterance_id)
        decision = await participant.next(BargeInDecided, utterance_id=count.utterance_id)
        assert decision.outcome in ("backchannel", "noise")
        ended = await participant.next(ReplyEnded, 60, utterance_id=count.utterance_id)
        heard = participant.heard(count.utterance_id)
    assert ended.outcome == "finished"
    assert ended.heard_text.strip().endswith("twelve.")
    assert contiguous(heard)


async def test_the_voice_changes_by_word_of_mouth(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("Hello")
        first = await participant.next(ReplyStarted)
        await participant.next(ReplyEnded, 60)
        await participant.type("Change your voice")
        await participant.next(ReplyEnded, 60)
        await participant.type("Hello")
        second = await participant.next(ReplyStarted)
        await participant.next(ReplyEnded, 60)
    assert second.voice != first.voice


async def test_the_story_goes_on_where_it_was_left(parley: Running) -> None:
    async with talking(parley) as participant:
        await participant.type("Tell me a story")
        story = await participant.next(ReplyStarted)
        await participant.hear(2.5)
        await participant.type("stop")
        cut = await participant.next(ReplyEnded, utterance_id=story.utterance_id)
        await participant.next(ReplyEnded)
        await participant.type("go on")
        await participant.next(ReplyStarted)
        more = await participant.next(ReplyText)
    after = cut.text[len(cut.heard_text) :].split()
    assert more.text.split()[:2] == after[:2]


async def test_two_sessions_do_not_mix(parley: Running) -> None:
    async def ask(question: str) -> str:
        async with talking(parley) as participant:
            await participant.type(question)
            return (await text_of(participant))[0].strip()

    answers = await asyncio.gather(ask("what is one plus one"), ask("what is three plus four"))
    assert answers == ["One plus one is 2.", "Three plus four is 7."]


async def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    with running(tmp_path) as parley:
        os.kill(parley.worker(), signal.SIGKILL)
        async with talking(parley) as participant:
            async with asyncio.timeout(30):
                while True:
                    await participant.type("what is one plus one")
                    _, ended = await text_of(participant)
                    if ended.outcome == "finished":
                        break
        assert "starting it again" in parley.log.read_text()


def test_stopping_leaves_no_process_and_exits_cleanly(tmp_path: Path, no_processes_left: None) -> None:
    with running(tmp_path) as parley:
        below = parley.children()
        parley.process.send_signal(signal.SIGTERM)
        assert parley.process.wait(15) == 0
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
    assert "Traceback" not in parley.log.read_text()


def test_when_it_is_killed_its_children_go_too(tmp_path: Path) -> None:
    with running(tmp_path) as parley:
        below = parley.children()
        parley.process.kill()
        parley.process.wait()
        deadline = time.monotonic() + 15
        while left := [pid for pid in below if _alive(pid)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def failing(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and words of a command that should not work."""
    command = [sys.executable, "-m", "parley", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stderr.strip()


def test_a_port_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, words = failing(tmp_path, "up", "--no-browser", "--port", str(port))
    assert code == 2
    assert words.splitlines() == [f"parley: Port {port} on 127.0.0.1 is in use; stop what uses it, "
                                  "or choose another with --port."]  # fmt: skip


def test_a_missing_voice_is_said_in_sentences(tmp_path: Path) -> None:
    code, words = failing(tmp_path, "up", "--no-browser", "--voice", "nobody", "--set", "server.port=0")
    assert code != 0
    assert "There is no model called 'nobody'" in words
    assert "Traceback" not in words
