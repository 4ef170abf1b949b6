"""One tab that talks: opens the page, watches it for faults, hears what it plays."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright
from tests.e2e.conftest import CHROMIUM

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
    "--allow-loopback-in-peer-connection",
)
# Collects what goes to the loudspeaker, block by block, on the audio thread.
TAP = """
class Tap extends AudioWorkletProcessor {
  process(inputs) {
    const block = inputs[0][0];
    this.port.postMessage(block ? block.slice() : new Float32Array(128));
    return true;
  }
}
registerProcessor("tap", Tap);
"""
RECORD = """async (source) => {
  const { audio } = window.parley;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  await audio.context.audioWorklet.addModule(url);
  const mono = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
  const tap = new AudioWorkletNode(audio.context, "tap", mono);
  window.heard = [];
  tap.port.onmessage = (event) => window.heard.push(event.data);
  audio.output.connect(tap);
  return audio.context.sampleRate;
}"""
# Sixteen bits in base64: numbers as JSON would take a minute.
FETCH = """() => {
  const blocks = window.heard;
  const pcm = new Int16Array(blocks.length * 128);
  blocks.forEach((block, index) => block.forEach((value, at) => {
    pcm[index * 128 + at] = Math.max(-1, Math.min(1, value)) * 32767;
  }));
  let text = "";
  const bytes = new Uint8Array(pcm.buffer);
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}"""
WATCH = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
window.resumed = [];                        // the samples that the page had told before each resume
let told = null;
window.addEventListener("parley", ({ detail }) => {
  if (detail.what === "report" && detail.stopped) told = detail.sample;
  if (detail.what === "reply") told = null;
  if (detail.what === "resume") window.resumed.push(told);
});
"""


# The picker is filled from what the server offers when the session starts; this chooses beforehand.
PICK_TRANSPORT = """(name) => {
  const pick = document.getElementById("transport");
  pick.append(new Option(name, name));
  pick.value = name;
}"""


@dataclass
class Tab:
    """A page with a session in it."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def connect(self, timeout: float = 20) -> None:
        self.page.click("#connect")
        self.until("window.parley.model.link === 'online'", timeout)

    def until(self, expression: str, timeout: float = 30) -> None:
        """Wait until it holds. Playwright's own way to wait evaluates text in the page, which its policy forbids."""
        deadline = time.monotonic() + timeout
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"not true within {timeout:g} s: {expression}"
            self.page.wait_for_timeout(50)

    def beside(self, url: str, *, transport: str) -> Tab:
        """Another tab of the same browser: Playwright's synchronous driver is one per thread."""
        page = self.page.context.new_page()
        page.goto(url)
        page.wait_for_selector("#connect")
        if transport != "webrtc":
            page.evaluate(PICK_TRANSPORT, transport)
        return Tab(page)

    def record(self) -> None:
        """From now on, keep what the listener hears."""
        assert self.page.evaluate(RECORD, TAP) == 48_000

    def heard(self) -> NDArray[np.float32]:
        """All that was heard since :meth:`record`, mono at 48 kHz."""
        import base64

        pcm = np.frombuffer(base64.b64decode(self.page.evaluate(FETCH)), np.int16)
        return pcm.astype(np.float32) / 32768

    def model(self) -> dict[str, Any]:
        model: dict[str, Any] = self.page.evaluate("window.parley.model")
        return model

    def wait(self, condition: str, timeout: float = 30) -> None:
        """Wait until the JavaScript ``condition`` over the page's ``model`` holds."""
        self.until(f"(() => {{ const model = window.parley.model; return {condition}; }})()", timeout)

    def replies(self) -> list[dict[str, Any]]:
        return [entry for entry in self.model()["entries"] if entry["who"] == "agent"]

    def axe(self) -> list[str]:
        source = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
        self.page.evaluate(source.read_text())
        found: list[str] = self.page.evaluate(
            "async () => (await axe.run()).violations.map((v) => v.id + ' ' + v.nodes[0].html)"
        )
        return found


@contextlib.contextmanager
def open_tab(
    url: str,
    folder: Path,
    wav: Path | None,
    *,
    transport: str = "webrtc",
    microphone: bool = True,
    devices: bool = True,
    flags: Sequence[str] = (),
    **context: Any,
) -> Iterator[Tab]:
    """A new browser with a profile of its own; the WAV plays once from the moment the microphone opens.

    ``microphone``: it may be used; ``devices``: there is one.
    """
    flags = [*(flag for flag in FLAGS if devices or "fake-device" not in flag), *flags]
    if microphone:
        flags.append("--use-fake-ui-for-media-stream")
    if wav is not None:
        flags.append(f"--use-file-for-fake-audio-capture={wav}%noloop")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            folder, executable_path=CHROMIUM, headless=True, args=flags, **context
        )
        page = browser.pages[0]
        tab = Tab(page)
        page.on("console", lambda message: tab.faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: tab.faults.append(str(error)))
        page.add_init_script(WATCH)
        page.goto(url)
        page.wait_for_selector("#connect")
        if transport != "webrtc":
            page.evaluate(PICK_TRANSPORT, transport)
        try:
            yield tab
        finally:
            browser.close()
