"""``parley bench browser``: barge-in as the listener hears it, measured inside a real Chromium.

The page's microphone is a WAV file of sentences. t0 is the acoustic onset in the microphone's own track,
the end is the first quiet 128-sample block on its way to the loudspeaker; both on this machine's one clock.
The agent speaks a steady tone, so that its level tells at once when it is softened and when it is silent.
The loudspeaker's own delay (tens of milliseconds, the same for every system) comes on top.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row
from parley.bench.speech import RATE, mix, noise, say, speakers
from parley.bench.stack import Process, free_port, wait_for_health
from parley.errors import ConfigError, InvalidRequest, TimedOut
from parley.hints import install

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.sync_api import Page

TRIALS = 30
SPACING = 6.0
"""Seconds between two sentences of the microphone: an interruption, its answer, and a new story fit in."""
SPARE = 4
"""Sentences beyond the trials: one that falls into silence interrupts nobody."""
FIRST = 6.0
_PATIENCE = 60.0
"""Seconds beyond those that the trials take."""
_LOOK_MS = 100
"""Between two looks at the page."""
NOISE_DB = -65.0
PHRASES = ("Wait, stop there please.", "No, that is not it.", "Hold on a moment.", "Stop, I have a question.")

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
)

# Levels of the loudspeaker, block by block: tells when it becomes loud, soft against its usual level, silent.
TAP = """
class Tap extends AudioWorkletProcessor {
  constructor() { super(); this.usual = 0; this.state = "silent"; this.quiet = 0; }
  process(inputs) {
    const block = inputs[0][0];
    let level = 0;
    if (block) for (const value of block) level = Math.max(level, Math.abs(value));
    let state = this.state;
    if (level < 0.001) { this.quiet += 1; if (this.quiet >= 2) state = "silent"; }
    else {
      this.quiet = 0;
      if (this.state === "silent") { this.usual = level; state = "loud"; }
      else if (level < 0.4 * this.usual) state = "soft";
      else { this.usual += 0.02 * (level - this.usual); state = "loud"; }
    }
    if (state !== this.state) { this.state = state; this.port.postMessage({ state, at: Date.now() }); }
    return true;
  }
}
registerProcessor("tap", Tap);
"""
WATCH = """async (tap) => {
  const session = window.parley;
  const { audio } = session;
  window.sounds = []; window.onsets = []; window.ends = [];
  await audio.context.audioWorklet.addModule(URL.createObjectURL(new Blob([tap], { type: "text/javascript" })));
  const node = new AudioWorkletNode(audio.context, "tap", { numberOfOutputs: 0 });
  node.port.onmessage = (event) => window.sounds.push([event.data.state, event.data.at]);
  audio.output.connect(node);
  const track = session.stream.getAudioTracks()[0].clone();
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const loud = 0.00316;                       // -50 dBFS
  let quiet = 1, last = 0;                    // seconds of silence so far; when the last loud sample was
  (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const now = performance.timeOrigin + performance.now();
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      const step = 1000 / value.sampleRate;
      const first = samples.findIndex((sample) => Math.abs(sample) > loud);
      if (first >= 0) {
        if (quiet > 1) window.onsets.push(now - (samples.length - first) * step);
        quiet = 0;
        last = now - (samples.length - samples.findLastIndex((sample) => Math.abs(sample) > loud)) * step;
      } else {
        const before = quiet;
        quiet += samples.length * step / 1000;
        if (before <= 1 && quiet > 1) window.ends.push(last);
      }
      value.close();
    }
  })();
}"""

# How many onsets so far fell into sound and were followed by silence: the trials that count.
COUNTED = """(trials) => window.onsets.filter((onset) => {
  const before = window.sounds.filter(([, at]) => at <= onset).at(-1);
  const silent = window.sounds.some(([state, at]) => at > onset && state === "silent");
  return before && before[0] !== "silent" && silent;
}).length >= trials"""
KEEP_TALKING = """() => setInterval(() => {
  const { model } = window.parley;
  if (model.agent === "idle" && model.participant === "silent") window.parley.typed("tell me a long story");
}, 300)"""


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to hear an interruption."""

    name: str
    transport: str = "webrtc"
    duck: bool = False
    loss: float = 0.0
    goal: Goal | None = None


SETUPS = (
    Setup("direct, ducked in the page", duck=True, goal=Goal(40, 60)),
    Setup("direct, decided", goal=Goal(80, 110)),
    Setup("direct, 0.5 % loss, decided", loss=0.005, goal=Goal(80, 110)),
    Setup("LiveKit, ducked in the page", transport="livekit", duck=True),
    Setup("LiveKit, decided", transport="livekit", goal=Goal(p95=200)),
)


def run(options: BenchOptions) -> list[Row]:
    """Rows for every set-up that this machine can do; ``--set only=direct`` picks those whose name begins so."""
    trials = options.trials or TRIALS
    wanted = options.text("only")
    rows: list[Row] = []
    chosen = [setup for setup in SETUPS if setup.name.startswith(wanted)]
    if not chosen:
        names = "; ".join(setup.name for setup in SETUPS)
        raise InvalidRequest(f"No set-up begins with {wanted!r}; there are {names}.")
    for setup in chosen:
        if setup.transport == "livekit" and shutil.which("livekit-server") is None:
            print(f"{setup.name}: left out, livekit-server is not on the PATH.", file=sys.stderr)
            continue
        rows += _measure(setup, trials)
    return rows


def _measure(setup: Setup, trials: int) -> list[Row]:
    meter = LoadMeter()
    with tempfile.TemporaryDirectory(prefix="parley-browser-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        url = stack.enter_context(_served(setup, folder))
        page = stack.enter_context(tab(url, folder, _microphone(folder / "mic.wav", trials + SPARE)))
        marks = _converse(page, setup, trials)
    load, params = meter.read(), {"set-up": setup.name}
    silent = _delays(marks["onsets"], marks["sounds"], "silent")
    rows = [
        row(
            "microphone onset -> silent",
            "ms",
            silent,
            goal=None if setup.duck else setup.goal,
            params=params,
            load=load,
        )
    ]
    if setup.duck:
        soft = _delays(marks["onsets"], marks["sounds"], "soft")
        rows.insert(0, row("microphone onset -> softened", "ms", soft, goal=setup.goal, params=params, load=load))
    answers = _answers(marks["ends"], marks["sounds"])
    return [*rows, row("speech end -> first audible sample", "ms", answers, params=params, load=load)]


def _delays(onsets: Sequence[float], sounds: Sequence[tuple[str, float]], state: str) -> list[float]:
    """From each onset that fell into sound to the first change to ``state`` (or beyond it)."""
    reached = ("soft", "silent") if state == "soft" else ("silent",)
    found = []
    for onset in onsets:
        before = [kind for kind, at in sounds if at <= onset]
        if not before or before[-1] == "silent":
            continue
        after = next((at for kind, at in sounds if at > onset and kind in reached), None)
        if after is not None:
            found.append(after - onset)
    return found


def _answers(ends: Sequence[float], sounds: Sequence[tuple[str, float]]) -> list[float]:
    """From each end of speech to the next first sound."""
    found = []
    for end in ends:
        before = [kind for kind, at in sounds if at <= end]
        after = next((at for kind, at in sounds if at > end and kind == "loud"), None)
        if after is not None and before and before[-1] == "silent" and after - end < SPACING * 1000 / 2:
            found.append(after - end)
    return found


def _microphone(path: Path, trials: int) -> Path:
    """A sentence every few seconds, by different speakers, over a quiet room."""
    voices = speakers()
    track = np.zeros(int((FIRST + SPACING * trials + 2) * RATE), np.int16)
    for trial in range(trials):
        speech = say(PHRASES[trial % len(PHRASES)], voices[trial % len(voices)])
        # Off the 20 ms grid, so that no trial falls on the same place of a packet as the one before.
        start = int((FIRST + SPACING * trial) * RATE) + 137 * trial
        track[start : start + len(speech)] = speech
    return wav(path, mix(track, noise(len(track), NOISE_DB, 3)))


def wav(path: Path, samples: NDArray[np.int16]) -> Path:
    """Write samples at 48 kHz as the file that a browser takes for a microphone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


@contextlib.contextmanager
def _served(setup: Setup, folder: Path) -> Iterator[str]:
    """`parley up` with the tone voice (through LiveKit: beside a server of its own)."""
    module = ["parley.bench.lossy", str(setup.loss)] if setup.loss else ["parley"]
    settings: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        if setup.transport == "livekit":
            from parley.testing.livekit_server import LiveKitServer

            # Playwright wants no running loop; this one runs only while the server starts and ends.
            runner = stack.enter_context(asyncio.Runner())
            livekit = runner.run(LiveKitServer(folder).__aenter__())
            stack.callback(lambda: runner.run(livekit.stop()))
            settings |= {
                "livekit.url": livekit.url,
                "livekit.api_key": livekit.api_key,
                "livekit.api_secret": livekit.api_secret,
            }
        yield stack.enter_context(served(folder, "tone", settings, module))


@contextlib.contextmanager
def served(
    folder: Path, voice: str, settings: Mapping[str, str] | None = None, module: Sequence[str] = ("parley",)
) -> Iterator[str]:
    """The address of a `parley up` that runs meanwhile, with this default voice."""
    port = free_port()
    command = [sys.executable, "-m", *module, "up", "--no-browser", "--port", str(port)]
    for name, value in {"worker.models.default_model": voice, **(settings or {})}.items():
        command += ["--set", f"{name}={value}"]
    with _started(command, folder / "parley.log", port) as url:
        yield url


@contextlib.contextmanager
def _started(command: Sequence[str], log: Path, port: int) -> Iterator[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    with log.open("wb") as output:
        child = Process(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=log.parent)
        child.log = log
        try:
            wait_for_health(f"http://127.0.0.1:{port}/health", child)
            yield f"http://127.0.0.1:{port}/"
        finally:
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def tab(url: str, folder: Path, microphone: Path) -> Iterator[Page]:
    """The page in a browser of its own, whose microphone is a file."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        raise ConfigError(
            f"This benchmark drives Chromium with Playwright; install it with: {install('bench')}."
        ) from None
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise ConfigError("There is no Chromium on the PATH: apt install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=chromium,
            headless=True,
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={microphone}%noloop"],
        )
        try:
            page = browser.pages[0]
            page.goto(url)
            page.wait_for_selector("#connect")
            yield page
        finally:
            browser.close()


def until(page: Page, condition: str, seconds: float) -> None:
    """Wait until it holds: ask the page again and again.

    Its own rules forbid what Playwright would have it evaluate by itself.
    """
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            raise TimedOut(f"The page did not come so far within {seconds:g} seconds.")
        page.wait_for_timeout(_LOOK_MS)


def _converse(page: Page, setup: Setup, trials: int) -> Mapping[str, Any]:
    """Keep the agent telling stories while the microphone interrupts it; returns what the page noticed."""
    page.evaluate(
        "([duck, transport]) => { const box = document.getElementById('duck'); if (box.checked !== duck) box.click();"
        " const pick = document.getElementById('transport'); pick.append(new Option(transport, transport));"
        " pick.value = transport; }",
        [setup.duck, setup.transport],
    )
    page.click("#connect")
    until(page, "window.parley.model.link === 'online'", 30)
    page.evaluate(WATCH, TAP)
    # Ask for the next story as soon as nobody speaks; the interruptions come by themselves.
    page.evaluate(KEEP_TALKING)
    seconds = FIRST + SPACING * (trials + SPARE)
    until(page, f"({COUNTED})({trials}) || performance.now() > {1000 * seconds}", seconds + _PATIENCE)
    marks: Mapping[str, Any] = page.evaluate("({ onsets: window.onsets, ends: window.ends, sounds: window.sounds })")
    return marks
