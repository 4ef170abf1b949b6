"""Pictures of the page in each of its states, for eyes: ``python -m tests.e2e.screenshots FOLDER``.

Light, dark, phone width, from right to left; the settings in every language. The conversation in them is a real
one; only the state is set by hand, so that a picture can be taken of what lasts a tenth of a second.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import ViewportSize
from tests.e2e.browser import Tab, open_tab
from tests.e2e.conftest import start_parley

STATES = (
    "offline", "listening", "thinking", "speaking", "yielding", "interrupted", "tools", "trouble", "drawer", "plot",
)  # fmt: skip
DESK = ViewportSize(width=1200, height=800)
PHONE = ViewportSize(width=390, height=844)
Look = tuple[str, str, ViewportSize, str]
LOOKS: tuple[Look, ...] = (
    ("light", "light", DESK, "ltr"), ("dark", "dark", DESK, "ltr"), ("phone", "light", PHONE, "ltr"),
    ("rtl", "light", PHONE, "rtl"),
)  # fmt: skip
FOLLOW = """() => window.addEventListener("parley", ({ detail }) => {
  if (detail.what === "report") window.reached = detail.sample;
})"""
SET_STATE = """(name) => {
  if (name === "tools") {
    const states = ["done", "failed", "unconfirmed", "cancelled", "refused", "left", "running"];
    const names = ["weather", "book_table", "open_door", "lamp_states", "notes_search", "timer", "house_switch"];
    states.forEach((state, turn) =>
      window.parley.apply({ type: "tool", call_id: "c", turn, name: names[turn], state }));
    name = "thinking";
  }
  if (name === "trouble") {
    window.parley.apply({ type: "problem", text: "The microphone was unplugged. Now listening with the next one." });
    name = "listening";
  } else window.parley.apply({ type: "problem", text: "" });
  if (name === "drawer") {
    document.getElementById("more").click();
    name = "listening";
  }
  if (name === "plot") {
    document.getElementById("plot").scrollIntoView();
    name = "listening";
  }
  const agent = { interrupted: "barged_in", yielding: "barged_in", offline: "idle" }[name] ?? name;
  const participant = agent === "barged_in" ? "speaking" : "silent";
  window.parley.apply({ type: "state", participant, agent, event: "" });
  if (name === "interrupted") window.parley.apply({ type: "clear", utterance_id: "" });
  if (name === "speaking") {
    window.parley.apply({ type: "reply", utterance_id: "shown", turn: 98, voice: window.parley.model.voice });
    const text = "Then a ship came home, and the whole village went down to the water to see who was aboard.";
    window.parley.apply({ type: "reply_text", utterance_id: "shown", text });
    const mark = (text_start, text_end) => ({ text_start, text_end, start_sample: text_start, end_sample: text_end });
    const marks = [mark(0, 4), mark(5, 6), mark(7, 11)];
    window.parley.apply({ type: "words", utterance_id: "shown", marks });
    window.parley.apply({ type: "played", utterance_id: "shown", sample: 9 });
  }
  if (name === "listening") window.parley.apply({ type: "transcript", turn: 99, text: "and what about", final: false });
}"""


def talk(tab: Tab) -> None:
    """A conversation with a cut, so that there is something to see."""
    tab.connect()
    tab.page.fill("#text", "hello")
    tab.page.keyboard.press("Enter")
    tab.wait("model.entries.some((e) => e.who === 'agent' && e.done)")
    tab.page.fill("#text", "tell me a long story")
    tab.page.keyboard.press("Enter")
    tab.wait("model.agent === 'speaking'")
    tab.wait("model.turns.length > 1 && model.entries.at(-1).text.length > 80")
    tab.until("window.reached > 4 * 48_000")  # a part of the story is heard
    tab.page.evaluate("window.parley.interrupt()")
    tab.wait("model.entries.at(-1).done")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        parley = start_parley(Path(name))
        try:
            with open_tab(parley.url, Path(name) / "profile", None, microphone=True) as tab:
                shoot(tab, folder, "offline")
                tab.page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error()); }")
                tab.page.evaluate(FOLLOW)
                talk(tab)
                tab.page.evaluate("window.parley.apply({ type: 'problem', text: '' })")
                for state in STATES[1:]:
                    tab.page.evaluate(SET_STATE, state)
                    shoot(tab, folder, state)
                for language in ("de", "fr", "es", "zh"):
                    tab.page.select_option("#language", value=language)
                    tab.until(f"document.documentElement.lang === {language!r}")
                    shoot(tab, folder, f"drawer-{language}", looks=LOOKS[2:3])
        finally:
            parley.stop()


def shoot(tab: Tab, folder: Path, state: str, looks: Sequence[Look] = LOOKS) -> None:
    for name, scheme, size, direction in looks:
        tab.page.evaluate("(direction) => { document.documentElement.dir = direction; }", direction)
        tab.page.set_viewport_size(size)
        tab.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        tab.page.evaluate(
            "() => { const box = document.getElementById('transcript'); box.scrollTop = box.scrollHeight; }"
        )
        tab.page.screenshot(path=folder / f"{state}-{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
