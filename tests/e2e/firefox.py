"""Firefox by WebDriver, with a sound server of its own: what it hears is played to it, what it plays is recorded.

Needs Debian's firefox-esr, pulseaudio and pulseaudio-utils, and geckodriver (``cargo install geckodriver``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from tests.e2e.conftest import free_port

RATE = 48_000
START_TIMEOUT = 60.0
POLL = 0.1
PARTS = {
    "firefox-esr": "apt install firefox-esr",
    "geckodriver": "cargo install geckodriver",
    "pulseaudio": "apt install pulseaudio",
    "pactl": "apt install pulseaudio-utils",
}
PREFERENCES = {
    "media.navigator.permission.disabled": True,  # nobody is there to be asked
    "media.autoplay.default": 0,
    "media.peerconnection.ice.loopback": True,  # this test stays on this machine
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.cubeb.backend": "pulse-rust",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.normandy.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}
# Two rooms: what is played into "mouth" is the microphone, what Firefox plays goes to "ears".
SOUND = """
load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
load-module module-null-sink sink_name=mouth rate=48000 channels=1
load-module module-null-sink sink_name=ears rate=48000 channels=1
load-module module-remap-source master=mouth.monitor source_name=microphone
set-default-sink ears
set-default-source microphone
"""


def missing() -> str:
    """What is not installed here and how to get it; empty where all is there."""
    lacking = [f"{name} ({how})" for name, how in PARTS.items() if shutil.which(name) is None]
    return f"not on this machine: {', '.join(lacking)}" if lacking else ""


@dataclass
class Sound:
    """A sound server of our own; its rooms are heard by nobody else."""

    socket: Path
    recording: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PULSE_SERVER": f"unix:{self.socket}"}

    def say(self, wav: Path) -> None:
        """Into the microphone, in real time; returns when it is said."""
        subprocess.run(["paplay", "--device=mouth", str(wav)], env=self.environment, check=True, timeout=120)

    def heard(self) -> NDArray[np.float32]:
        """All that Firefox has played, mono at 48 kHz."""
        data = self.recording.read_bytes()
        return np.frombuffer(data[: len(data) // 2 * 2], np.int16).astype(np.float32) / 32768


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


def _await(what: str, there: Callable[[], Any], within: float = START_TIMEOUT) -> None:
    pause = threading.Event()
    deadline = time.monotonic() + within
    while not there():
        assert time.monotonic() < deadline, f"{what} did not come within {within:g} s"
        pause.wait(POLL)


@contextlib.contextmanager
def open_sound(folder: Path) -> Iterator[Sound]:
    """A sound server with a microphone and a recorded loudspeaker."""
    folder.mkdir()
    sound = Sound(folder / "socket", folder / "heard.s16")
    script = folder / "rooms.pa"
    script.write_text(SOUND.format(socket=sound.socket))
    own = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_RUNTIME_PATH": str(folder)}
    command = ["pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--realtime=no", "-n", "-F"]
    record = ["parec", "--device=ears.monitor", "--rate=48000", "--channels=1", "--format=s16le", "--latency-msec=20"]
    with _running([*command, str(script)], own, folder / "pulseaudio.log"):
        _await("the sound server", lambda: _answers(sound))
        with _running([*record, str(sound.recording)], sound.environment, folder / "parec.log"):
            _await("the recording", sound.recording.exists)
            yield sound


def _answers(sound: Sound) -> bool:
    asked = subprocess.run(["pactl", "get-default-source"], env=sound.environment, capture_output=True, timeout=10)
    return asked.stdout.strip() == b"microphone"


@dataclass
class Firefox:
    """One window. WebDriver's own words, over HTTP."""

    driver: httpx.Client
    session: str

    def _do(self, command: str, **body: Any) -> Any:
        answer = self.driver.post(f"/session/{self.session}/{command}", json=body).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def open(self, url: str) -> None:
        self._do("url", url=url)

    def evaluate(self, expression: str) -> Any:
        return self._do("execute/sync", script=f"return {expression}", args=[])

    def click(self, selector: str) -> None:
        found = self._do("element", using="css selector", value=selector)
        (element,) = found.values()
        self._do(f"element/{element}/click")

    def until(self, expression: str, within: float = 30.0) -> None:
        """Wait until the JavaScript holds."""
        _await(expression, lambda: self.evaluate(expression), within)

    def wait(self, condition: str, within: float = 30.0) -> None:
        """Wait until the JavaScript ``condition`` over the page's ``model`` holds."""
        self.until(f"((model) => {condition})(window.parley.model)", within)

    def replies(self) -> list[dict[str, Any]]:
        replies: list[dict[str, Any]] = self.evaluate("window.parley.model.entries.filter((e) => e.who === 'agent')")
        return replies


@contextlib.contextmanager
def open_firefox(folder: Path, sound: Sound) -> Iterator[Firefox]:
    """A new profile without a window, which hears and plays in ``sound``."""
    folder.mkdir()
    port = free_port()
    environment = {**sound.environment, "HOME": str(folder), "MOZ_HEADLESS": "1"}
    command = ["geckodriver", "--host", "127.0.0.1", "--port", str(port), "--log", "warn"]
    options = {"binary": shutil.which("firefox-esr"), "args": ["-headless"], "prefs": PREFERENCES}
    wanted = {"capabilities": {"alwaysMatch": {"moz:firefoxOptions": options}}}
    with (
        _running(command, environment, folder / "geckodriver.log"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=START_TIMEOUT, trust_env=False) as driver,
    ):
        _await("geckodriver", lambda: _ready(driver))
        answer = driver.post("/session", json=wanted).json()["value"]
        assert "sessionId" in answer, answer
        try:
            yield Firefox(driver, answer["sessionId"])
        finally:
            driver.delete(f"/session/{answer['sessionId']}")


def _ready(driver: httpx.Client) -> bool:
    try:
        return bool(driver.get("/status").json()["value"]["ready"])
    except httpx.TransportError:
        return False
