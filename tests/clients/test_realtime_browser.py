"""OpenAI's Agents SDK in a real browser, over WebRTC, and somebody in front of it who speaks recordings."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import sync_playwright
from tests.clients.environments import ROOT
from tests.clients.recorder import Recorder, recorder, said
from tests.clients.sites import served
from tests.e2e.browser import FLAGS
from tests.e2e.conftest import CHROMIUM, needs_browser, script_wav
from tests.integration.people import running

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page
    from tests.clients.programs import Programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_browser]
KEY = "a-key-of-the-test"
SAID = {"nod": "uh huh", "interruption": "Wait, please stop, I have another question for you."}


def until(page: Page, expression: str, seconds: float = 60) -> None:
    """Wait until it holds in the page."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        seen = page.evaluate("talk.events.map((event) => event.type).slice(-12).concat(talk.errors)")
        assert time.monotonic() < deadline, f"not true within {seconds:g} s: {expression}; last came {seen}"
        page.wait_for_timeout(50)


def told(model: Recorder) -> list[tuple[str, str]]:
    return [(message["role"], said(message).strip()) for message in model.messages() if message["role"] != "system"]


def test_the_agents_sdk_calls_from_a_browser(programs: Programs, tmp_path: Path) -> None:
    folder = programs.environments.node("node")
    shutil.copy(ROOT / "examples" / "openai_realtime" / "browser.html", folder)
    for name, text in SAID.items():
        script_wav(folder / f"{name}.wav", [(0, text)], 3)
    with served(folder) as site, recorder() as model:
        options = (
            f"server.api_key={KEY}", f'server.allowed_origins=["{site}"]', "webrtc.loopback=true",
            "llm.engine=openai", f"llm.openai.base_url={model.url}",
        )  # fmt: skip
        with running(tmp_path, *(part for option in options for part in ("--set", option))) as parley:
            secrets = f"{parley.url}/v1/realtime/client_secrets"
            made = httpx.post(secrets, json={}, headers={"Authorization": f"Bearer {KEY}"}).json()
            given = urlencode({"url": parley.url, "key": made["value"]})
            asked = urlencode({"url": f"{parley.url}/v1/realtime/calls", "key": made["value"]})
            flags = (*FLAGS, "--use-fake-ui-for-media-stream")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=[*flags])
                try:
                    page = browser.new_page()
                    page.goto(f"{site}/webrtc.html?{asked}")
                    _talk(page, model)
                    _read_the_example(page, f"{site}/browser.html?{given}")
                finally:
                    browser.close()


def _talk(page: Page, model: Recorder) -> None:
    until(page, "window.talk && (talk.ready || talk.errors.length)")
    assert page.evaluate("talk.errors") == []
    assert page.evaluate("talk.callId").startswith("rtc_")
    # A story that is nodded at, and then interrupted.
    page.evaluate("talk.session.sendMessage('Tell me a story')")
    _hear_more(page)
    page.evaluate("talk.say('nod')")
    _hear_more(page)
    assert not page.evaluate("talk.of('input_audio_buffer.speech_started').length")
    page.evaluate("talk.say('interruption')")
    until(page, "talk.of('response.done').length")
    assert page.evaluate("talk.of('response.done')[0].response.status_details.reason") == "turn_detected"
    assert page.evaluate("talk.of('input_audio_buffer.speech_started').length") == 1
    until(page, "talk.of('conversation.item.truncated').length")
    until(page, "talk.of('response.done').length > 1")
    (_, (role, heard), *_) = told(model)
    assert (role, heard.startswith("This is sentence number 1")) == ("assistant", True)
    assert heard.count("sentence number") < 9
    # What the SDK believes was heard is what the model was told.
    assert page.evaluate("talk.history()")[1] == ["assistant", heard]
    # A tool of the page.
    page.evaluate("talk.session.sendMessage('Use the tool, please')")
    until(page, "talk.of('response.done').length > 3")
    assert told(model)[-1][0] == "tool"
    assert "sunny in Rome" in told(model)[-1][1]
    # And the page's own interruption.
    page.evaluate("talk.session.sendMessage('Tell me another story')")
    until(page, "talk.of('output_audio_buffer.started').length > 3")
    page.evaluate("talk.session.interrupt()")
    until(page, "talk.of('output_audio_buffer.cleared').length > 1")
    assert page.evaluate("talk.errors") == []
    assert not page.evaluate("talk.of('response.output_audio.delta').length")


def _hear_more(page: Page) -> None:
    """Wait until more of the agent's voice has come: it speaks, or goes on."""
    page.evaluate("talk.energy().then((energy) => (talk.before = energy))")
    until(page, "talk.energy().then((energy) => energy > talk.before + 0.001)")


def _read_the_example(page: Page, address: str) -> None:
    page.goto(address)
    deadline = time.monotonic() + 60
    while not (words := page.inner_text("#words")):
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
    assert words
