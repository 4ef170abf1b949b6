"""What goes wrong around a page, and what a person is told to do about it: in a real browser."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.browser import open_tab
from tests.e2e.conftest import Running, free_port, needs_browser, needs_page, start_parley

pytestmark = [needs_browser, needs_page]

TELEPHONE = """() => {
  const called = (value) => ({ configurable: true, get: () => value });
  Object.defineProperty(MediaStreamTrack.prototype, "label", called("Headset (Hands-Free AG Audio) (Bluetooth)"));
}"""
NOTICED = """() => {
  window.parley.on("change", (model) => {
    if (model.link === "reconnecting") window.noticed ??= Date.now();
  });
}"""


def test_without_any_microphone_one_is_asked_for_and_typing_works(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None, devices=False) as tab:
        tab.connect()
        assert tab.model()["trouble"] == "microphone_missing"
        assert "Plug one in" in tab.page.inner_text("#problem")
        tab.page.fill("#text", "hello")
        tab.page.keyboard.press("Enter")
        tab.wait("model.entries.some((e) => e.who === 'agent' && e.done)", timeout=60)


def test_a_microphone_that_the_system_mutes_is_told_until_it_is_not(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.connect()
        tab.page.evaluate("window.parley.stream.getAudioTracks()[0].dispatchEvent(new Event('mute'))")
        tab.wait("model.trouble === 'microphone_muted'")
        assert "Unmute it" in tab.page.inner_text("#problem")
        tab.page.evaluate("window.parley.stream.getAudioTracks()[0].dispatchEvent(new Event('unmute'))")
        tab.wait("model.error === ''")


def test_a_bluetooth_headset_in_its_telephone_mode_is_told(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.page.evaluate(TELEPHONE)
        tab.connect()
        tab.wait("model.trouble === 'microphone_narrow'")
        assert "another microphone" in tab.page.inner_text("#problem")


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A `parley up` that asks for a key and answers to a name, too. The last test of this file kills it."""
    port = free_port()
    names = f"--set=server.allowed_origins=http://parley.test:{port}"
    running = start_parley(tmp_path_factory.mktemp("locked"), "--set=server.api_key=open-sesame", names, port=port)
    yield running
    running.stop()


def test_a_page_over_plain_http_from_elsewhere_says_that_it_needs_https(locked: Running, tmp_path: Path) -> None:
    elsewhere = locked.url.replace("127.0.0.1", "parley.test")
    mapped = ["--host-resolver-rules=MAP parley.test 127.0.0.1"]
    with open_tab(elsewhere, tmp_path / "profile", None, flags=mapped) as tab:
        assert not tab.page.evaluate("window.isSecureContext")
        tab.page.click("#connect")
        tab.wait("model.trouble === 'insecure_page'")
        assert "--https" in tab.page.inner_text("#problem")


def test_a_wrong_key_is_told_where_it_is_entered_and_the_right_one_opens(locked: Running, tmp_path: Path) -> None:
    with open_tab(locked.url, tmp_path / "profile", None) as tab:
        tab.page.evaluate("document.getElementById('key').value = 'closed'")
        tab.page.click("#connect")
        tab.wait("model.trouble === 'unauthorized'")
        assert "key" in tab.page.inner_text("#problem")
        assert tab.page.evaluate("document.activeElement.id") == "key"
        assert tab.axe() == []
        tab.page.fill("#key", "open-sesame")
        tab.page.click("#close")
        tab.connect()


def test_a_server_that_is_killed_is_noticed_and_told(locked: Running, tmp_path: Path) -> None:
    with open_tab(locked.url, tmp_path / "profile", None) as tab:
        tab.page.evaluate("document.getElementById('key').value = 'open-sesame'")
        tab.connect()
        tab.page.evaluate(NOTICED)
        # Killed, it says no goodbye: its sound just stops.
        os.kill(locked.process.pid, signal.SIGKILL)
        killed = time.time()
        tab.until("window.noticed", timeout=30)
        print(f"noticed {tab.page.evaluate('window.noticed') / 1000 - killed:.2f} s after it was killed")
        assert "Trying again" in tab.page.inner_text("#link")
