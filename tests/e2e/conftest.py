"""A real browser in front of a real Parley: Debian's Chromium, headless, with a WAV as its microphone."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import wave
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from parley.bench.speech import RATE, Speaker, mix, noise, say, speakers
from parley.testing.livekit_server import LiveKitServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STATIC = Path(__file__).parents[2] / "src" / "parley" / "server" / "static"
START_TIMEOUT = 60.0
POLL = 0.2

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)")
needs_page = pytest.mark.skipif(not (STATIC / "index.html").exists(), reason="the page is not built (just web)")


def clearest_speaker() -> Speaker:
    """The speaker that the embedded recogniser understands best."""
    return next((speaker for speaker in speakers() if speaker.engine == "flite"), speakers()[0])


def script_wav(path: Path, lines: list[tuple[float, str]], seconds: float, *, room: bool = True) -> Path:
    """A microphone recording: each line spoken at its second, over a quiet room, or over no sound at all."""
    track = np.zeros(int(seconds * RATE), np.int16)
    for at, text in lines:
        speech = say(text, clearest_speaker())
        start = int(at * RATE)
        track[start : start + len(speech)] = speech
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((mix(track, noise(len(track), -65.0, 7)) if room else track).tobytes())
    return path


@dataclass
class Running:
    """A `parley up` of our own."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """End it the way a person does, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_parley(folder: Path, *flags: str, port: int | None = None, **environment: str) -> Running:
    """Start `parley up` and wait until it can hold a conversation."""
    port = port or free_port()
    log = folder / f"parley-{port}.log"
    command = [sys.executable, "-m", "parley", "up", "--no-browser", "--port", str(port), *flags]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
    running = Running(f"http://127.0.0.1:{port}", process, log)
    deadline = START_TIMEOUT / POLL
    while not answers(f"{running.url}/health"):
        deadline -= 1
        assert running.process.poll() is None, log.read_text()
        assert deadline > 0, log.read_text()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL)
    return running


def answers(url: str) -> bool:
    """True when the URL gives a 200."""
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def sessions(running: Running) -> int:
    """How many conversations the server holds."""
    return int(httpx.get(f"{running.url}/health", timeout=5).json()["sessions"])


def eventually(condition: Callable[[], bool], within: float = 15.0) -> None:
    """Ask until it holds; another process gives no event to wait for."""
    pause = threading.Event()
    for _ in range(round(within / POLL)):
        if condition():
            return
        pause.wait(POLL)
    pytest.fail(f"it did not come to pass within {within:g} s")


@dataclass(frozen=True)
class Place:
    """Where a tab may talk, and by which transport."""

    parley: Running
    transport: str


@pytest.fixture(scope="session")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start_parley(tmp_path_factory.mktemp("parley"))
    yield running
    running.stop()


class Rooms:
    """A LiveKit server of our own. Playwright allows no second loop in its thread, so this has one of its own."""

    def __init__(self, folder: Path) -> None:
        if not LiveKitServer.available():
            pytest.skip("no livekit-server on the PATH (see .ci/run)")
        self._server = LiveKitServer(folder)
        self._runner = asyncio.Runner()
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Rooms:
        self._do(self._server.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def _do(self, work: Coroutine[object, object, object]) -> None:
        self._thread.submit(self._runner.run, work).result()

    def stop(self) -> None:
        self._do(self._server.stop())

    def start(self) -> None:
        """On the same ports as before."""
        self._do(self._server.start())

    @property
    def flags(self) -> list[str]:
        """How `parley up` is told about it."""
        return [
            f"--set=livekit.url={self._server.url}",
            f"--set=livekit.api_key={self._server.api_key}",
            f"--set=livekit.api_secret={self._server.api_secret}",
        ]


@pytest.fixture(scope="session")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A `parley up` beside a LiveKit server of its own."""
    folder = tmp_path_factory.mktemp("livekit")
    with Rooms(folder) as rooms:
        running = start_parley(folder, *rooms.flags)
        yield running
        running.stop()


@pytest.fixture(params=["webrtc", "livekit"])
def place(request: pytest.FixtureRequest) -> Place:
    """Both ways to talk from a browser."""
    name = "parley" if request.param == "webrtc" else "livekit"
    return Place(request.getfixturevalue(name), request.param)


@pytest.fixture(params=["webrtc", "livekit", "websocket"])
def any_place(request: pytest.FixtureRequest) -> Place:
    """Every way to talk from a browser."""
    name = "livekit" if request.param == "livekit" else "parley"
    return Place(request.getfixturevalue(name), request.param)


def gzipped(paths: list[Path]) -> int:
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths)


def words_in(samples: NDArray[np.float32], rate: int) -> str:
    """What the embedded decoder hears in the page's sound: an independent ear."""
    import pocketsphinx
    import soxr

    mono = soxr.resample(samples, rate, 16_000)
    decoder = pocketsphinx.Decoder(loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw((np.clip(mono, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return str(hypothesis.hypstr) if hypothesis else ""
