"""The page's library as other people get it: packed, installed elsewhere, in pages from another origin."""

from __future__ import annotations

import contextlib
import gzip
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.clients.environments import ROOT, Environments, absent
from tests.clients.recorder import Recorder, recorder
from tests.clients.sites import served
from tests.clients.talk import alike
from tests.e2e.browser import FLAGS, Tab
from tests.e2e.conftest import CHROMIUM, eventually, needs_page, script_wav
from tests.integration.people import running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KEY = "a-key-of-the-test"
GUIDE = ROOT / "docs" / "how-to" / "build-a-page.md"
MOST = 20_000
"""Bytes of the library, compressed, LiveKit left out."""
QUESTION = "what can you do"
HEAR_EVENTS = """() => {
  window.seen = [];
  document.addEventListener("parley-message", (event) => window.seen.push(event.detail));
}"""
# The word in brackets is the one that sounds.
FOLLOW_WORDS = """() => {
  window.words = [];
  new MutationObserver(() => {
    const said = document.querySelector("#said").lastElementChild;
    const now = said.className === "agent" ? /\\[(.+)\\]/.exec(said.textContent)?.[1] : undefined;
    if (now && now !== window.words.at(-1)) window.words.push(now);
  }).observe(document.getElementById("said"), { childList: true });
}"""


def shown(language: str, containing: str = "") -> str:
    """The guide's piece of code in this language that contains this."""
    pieces = re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return next(piece for piece in pieces if containing in piece)


def bundle(folder: Path, url: str) -> None:
    """What the guide shows, for the server at this URL, as pages."""
    pages = {
        "page.ts": shown("ts", "new Session"),
        "page.html": shown("html", 'id="talk"'),
        "voice.tsx": shown("tsx"),
        "widget.html": f"<!doctype html><title>A page</title><p>Words of the page</p>{shown('html', 'widget.js')}",
    }
    pages["widget-websocket.html"] = pages["widget.html"].replace("async", 'data-transport="websocket" async')
    for name, code in pages.items():
        said = code.replace("http://127.0.0.1:8080", url).replace('"a-key"', f'"{KEY}"')
        assert name == "page.html" or (url in said and KEY in said)
        (folder / name).write_text(said, "utf-8")
    subprocess.run(["node", "build.mjs"], cwd=folder, check=True, timeout=120)


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    return Environments(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def installed(environments: Environments) -> Path:
    """A folder that has the packed packages, and React."""
    folder = environments.node("library")
    tarballs = [str(environments.packed(name)) for name in ("client", "react")]
    quiet = ("--prefer-offline", "--no-audit", "--no-fund", "--no-package-lock")
    environments.run("npm", "install", *quiet, *tarballs, at=folder)
    return folder


@dataclass
class Site:
    """Pages on an origin of their own, and the Parley that they talk to."""

    url: str
    folder: Path
    parley: str
    model: Recorder

    @contextlib.contextmanager
    def open(self, page: str, *flags: str) -> Iterator[Tab]:
        """One of them in a browser whose person lets pages use the microphone."""
        from playwright.sync_api import sync_playwright

        every = [*FLAGS, "--use-fake-ui-for-media-stream", *flags]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=every)
            try:
                tab = Tab(browser.new_page())
                tab.page.on("pageerror", lambda error: tab.faults.append(str(error)))
                tab.page.goto(f"{self.url}/{page}")
                yield tab
            finally:
                browser.close()

    def told(self) -> str:
        """What the model was asked last."""
        return str(self.model.messages()[-1]["content"])

    def nobody_is_left(self) -> bool:
        headers = {"Authorization": f"Bearer {KEY}"}
        health: dict[str, Any] = httpx.get(f"{self.parley}/health", headers=headers, timeout=5).json()
        return int(health["sessions"]) == 0


@pytest.fixture(scope="module")
def site(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if CHROMIUM is None:
        absent("no chromium on this machine")
    with recorder() as model, served(installed) as url:
        options = (
            f"server.api_key={KEY}", f"server.allowed_origins={url}", "webrtc.loopback=true",
            "llm.engine=openai", f"llm.openai.base_url={model.url}",
        )  # fmt: skip
        with running(tmp_path_factory.mktemp("parley"), *(f"--set={option}" for option in options)) as parley:
            bundle(installed, parley.url)
            yield Site(url, installed, parley.url, model)


def test_what_is_packed_is_small_and_has_types(installed: Path) -> None:
    package = installed / "node_modules" / "@parley" / "client"
    scripts = [*(package / "dist").glob("*.js")]
    left_out = {"widget.js", "livekit.js"}
    assert left_out < {script.name for script in scripts}
    assert sum(len(gzip.compress(script.read_bytes(), 9)) for script in scripts if script.name not in left_out) < MOST
    assert len(gzip.compress((package / "dist" / "widget.js").read_bytes(), 9)) < MOST
    assert (package / "dist" / "types" / "index.d.ts").exists()
    assert not (package / "src").exists()
    # Only who asks for rooms needs LiveKit's own library.
    assert [script.name for script in scripts if "livekit-client" in script.read_text("utf-8")] == ["livekit.js"]


def test_the_guide_s_pages_agree_with_the_types(site: Site) -> None:
    compiler = ROOT / "web" / "node_modules" / ".bin" / "tsc"
    done = subprocess.run(
        [compiler, "--project", site.folder], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout
    page = site.folder / "page.ts"
    page.with_name("wrong.ts").write_text(page.read_text("utf-8").replace("model.error", "model.eror"), "utf-8")
    (site.folder / "wrong.json").write_text('{"extends": "./tsconfig.json", "include": ["wrong.ts"]}', "utf-8")
    command = [compiler, "--project", site.folder / "wrong.json"]
    assert "eror" in subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout


def test_a_page_of_twenty_lines_holds_a_conversation(site: Site, tmp_path: Path) -> None:
    wav = script_wav(tmp_path / "question.wav", [(2.0, QUESTION)], 8)
    with site.open("page.html", f"--use-file-for-fake-audio-capture={wav}%noloop") as tab:
        tab.page.click("#talk")
        tab.until("document.querySelectorAll('.agent').length === 1 && state.textContent === 'Listening'", 60)
        assert alike(site.told(), QUESTION)

        tab.page.evaluate(FOLLOW_WORDS)
        tab.page.fill("#text", "Good morning to you")
        tab.page.keyboard.press("Enter")
        answer = "You said: Good morning to you."
        tab.until(
            f"document.querySelector('#said').lastElementChild.textContent.replace(' []', '[]') === '{answer}[]'", 60
        )
        tab.until("state.textContent === 'Listening'")
        assert site.told() == "Good morning to you"
        # They lit up one by one, in the order of the text.
        words = tab.page.evaluate("window.words")
        assert len(words) > 2
        assert re.search(".*".join(map(re.escape, words)), answer)
        tab.page.click("#talk")
        tab.until("state.textContent === 'Tap to talk'")
        eventually(site.nobody_is_left)
        assert tab.faults == []


def test_a_component_of_react_holds_a_conversation(site: Site) -> None:
    with site.open("react.html") as tab:
        tab.page.click("text=Tap to talk")
        tab.page.wait_for_selector("button:has-text('Listening')")
        tab.page.click("text=Greet")
        tab.page.wait_for_selector(".agent:has-text('You said: Good morning.')", timeout=60_000)
        tab.page.wait_for_selector("button:has-text('Listening')")
        assert tab.page.inner_text("[role=alert]") == ""
        assert site.told() == "Good morning"
        assert tab.faults == []


@needs_page
@pytest.mark.parametrize("page", ["widget.html", "widget-websocket.html"])
def test_one_script_tag_holds_a_conversation(site: Site, page: str) -> None:
    eventually(site.nobody_is_left, within=60)
    with site.open(page) as tab:
        tab.until("document.querySelector('parley-widget') !== null")
        tab.page.evaluate(HEAR_EVENTS)
        # Closed: a person reaches it, by hand or by keyboard, and the page does not.
        assert tab.page.evaluate("document.querySelector('parley-widget').shadowRoot") is None
        assert tab.page.evaluate("[document.styleSheets.length, document.adoptedStyleSheets.length]") == [0, 0]
        assert tab.page.evaluate("Object.keys(window).filter((name) => /parley/i.test(name))") == []
        tab.page.keyboard.press("Tab")
        tab.page.keyboard.press("Enter")
        tab.until("window.seen.some(({ type }) => type === 'started')")
        tab.page.keyboard.press("Shift+Tab")
        tab.page.keyboard.type("Good morning")
        tab.page.keyboard.press("Enter")
        tab.until("window.seen.some(({ type }) => type === 'reply_end')", 60)
        (end,) = tab.page.evaluate("window.seen.filter(({ type }) => type === 'reply_end')")
        assert (end["outcome"], end["text"].strip()) == ("finished", "You said: Good morning.")
        assert end["heard_sample"] > 0
        assert site.told() == "Good morning"
        tab.page.keyboard.press("Tab")
        tab.page.keyboard.press("Enter")
        eventually(site.nobody_is_left)
        assert tab.faults == []
