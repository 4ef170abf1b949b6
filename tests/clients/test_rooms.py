"""A front end made of LiveKit's own components talks to Parley unchanged, in a browser."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.clients.environments import Environments, absent
from tests.clients.recorder import Recorder, recorder
from tests.clients.sites import served
from tests.clients.talk import alike
from tests.e2e.browser import FLAGS, Tab
from tests.e2e.conftest import CHROMIUM, Rooms
from tests.integration.people import running

from parley.audio.wav import write_wav
from parley.bench import speech

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.people import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KEY = "a-key-of-the-test"
QUESTION = "What is the weather like today?"


def until_an_agent_would_come(parley: Running) -> None:
    """Parley is known to the LiveKit server a moment after it is ready."""
    asked = urllib.request.Request(
        f"{parley.url}/v1/livekit/token", b"{}", {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    )
    deadline, status = time.monotonic() + 60, 503
    while status == 503:
        assert time.monotonic() < deadline, parley.log.read_text()
        time.sleep(0.1)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
    assert status == 201


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, bundled."""
    if CHROMIUM is None or shutil.which("livekit-server") is None:
        absent("no chromium, or no livekit-server, on this machine")
    made = Environments(tmp_path_factory.mktemp("front_end")).node("rooms")
    subprocess.run(["node", "build.mjs"], cwd=made, check=True, timeout=120)
    shown = tmp_path_factory.mktemp("shown")
    for name in ("index.html", "page.js"):
        shutil.copy(made / name, shown)
    return shown


@pytest.fixture(scope="module")
def talk(front_end: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tab, Recorder]]:
    """A session that was started in the page, whose agent is there; the question is said when the microphone opens."""
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("rooms")
    silence = np.zeros(speech.RATE, np.int16)
    write_wav(folder / "question.wav", np.concatenate([silence, speech.say(QUESTION), silence]), speech.RATE)
    microphone = (
        "--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={folder / 'question.wav'}%noloop",
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        model, rooms = stack.enter_context(recorder()), stack.enter_context(Rooms(folder))
        site = stack.enter_context(served(front_end))
        options = (f"server.api_key={KEY}", f"server.allowed_origins={site}", "llm.engine=openai")
        options += (f"llm.openai.base_url={model.url}",)
        parley = stack.enter_context(running(folder, *rooms.flags, *(f"--set={option}" for option in options)))
        until_an_agent_would_come(parley)
        browser = stack.enter_context(sync_playwright()).chromium.launch_persistent_context(
            folder / "profile", executable_path=CHROMIUM, headless=True, args=[*FLAGS, *microphone]
        )
        stack.callback(browser.close)
        tab = Tab(browser.pages[0])
        tab.page.on("console", lambda message: tab.faults.append(message.text) if message.type == "error" else None)
        tab.page.on("pageerror", lambda error: tab.faults.append(str(error)))
        tab.page.goto(f"{site}/?key={KEY}&agent=parley&tokens={parley.url}/v1/livekit/token")
        tab.until("window.session !== undefined")
        tab.page.evaluate("() => { window.session.start({ tracks: { microphone: { enabled: false } } }) }")
        tab.until("window.seen.states.at(-1) === 'listening' || window.seen.failures.length", 60)
        yield tab, model


def messages(tab: Tab, kind: str) -> list[str]:
    found: list[dict[str, str]] = tab.page.evaluate("window.seen.messages")
    return [message["message"].strip() for message in found if message["type"] == kind]


def test_the_agent_is_found_and_its_sound_is_there(talk: tuple[Tab, Recorder]) -> None:
    tab, _ = talk
    assert tab.page.evaluate("window.seen.failures") == []
    assert tab.page.evaluate("window.seen.connection") == "connected"
    tab.until("window.seen.microphone")


def test_a_typed_turn_is_answered_in_the_words_of_the_transcript(talk: tuple[Tab, Recorder]) -> None:
    tab, model = talk
    tab.page.evaluate("() => { window.session.send('Good morning') }")
    tab.until("window.seen.messages.some(({ message }) => message.includes('You said: Good morning.'))", 60)
    assert [message["content"] for message in model.messages() if message["role"] == "user"] == ["Good morning"]
    tab.until("window.seen.states.at(-1) === 'listening'")
    assert "speaking" in tab.page.evaluate("window.seen.states")
    assert messages(tab, "agentTranscript") == ["You said: Good morning."]
    assert messages(tab, "userTranscript") == []  # it is shown once, as the message that it is


def test_a_spoken_turn_is_written_down_and_answered(talk: tuple[Tab, Recorder]) -> None:
    tab, model = talk
    before = len(model.asked)
    tab.page.evaluate("() => { window.session.room.localParticipant.setMicrophoneEnabled(true) }")
    tab.until("window.seen.messages.filter(({ type }) => type === 'agentTranscript').length === 2", 60)
    (heard,) = messages(tab, "userTranscript")
    assert len(model.asked) > before
    told = [message["content"] for message in model.messages() if message["role"] == "user"][-1]
    assert alike(told, heard)
    tab.until("window.seen.states.at(-1) === 'listening'")
    assert tab.faults == []
