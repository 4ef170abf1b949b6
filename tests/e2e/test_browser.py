"""A conversation in a browser tab, as a person has it: over direct WebRTC and in a LiveKit room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.e2e.browser import open_tab
from tests.e2e.conftest import (
    STATIC,
    Place,
    Running,
    eventually,
    free_port,
    gzipped,
    needs_browser,
    needs_page,
    script_wav,
    sessions,
    start_parley,
    words_in,
)

pytestmark = [needs_browser, needs_page]

STORY = "tell me a long story"
AUDIBLE = 0.003
ANOTHER_VOICE = """() => {
  const current = window.parley.model.voice?.model || "-";
  return [...document.getElementById("voice").options].map((o) => o.value).find((v) => !v.startsWith(current));
}"""


def test_a_spoken_question_gets_a_spoken_answer(place: Place, tmp_path: Path) -> None:
    wav = script_wav(tmp_path / "mic.wav", [(2.0, "what can you do")], 12)

    with open_tab(place.parley.url, tmp_path / "profile", wav, transport=place.transport) as tab:
        tab.connect()
        tab.record()
        tab.wait("model.entries.some((e) => e.who === 'agent' && e.done)")
        tab.wait("model.agent !== 'speaking'")

        heard = tab.heard()
        model = tab.model()

        assert not tab.faults
    assert "what can you do" in next(entry["text"] for entry in model["entries"] if entry["who"] == "you").lower()
    # The decoder is a poor ear for a formant voice, but this many words of the answer are no accident.
    answer = next(entry["text"] for entry in model["entries"] if entry["who"] == "agent")
    assert len(set(words_in(heard, 48_000).split()) & set(answer.lower().replace(",", "").split())) >= 8
    assert np.sqrt(np.mean(heard[np.abs(heard) > AUDIBLE] ** 2)) > 0.01
    assert model["turns"][-1]["audible"] is not None


def test_cutting_in_stops_the_answer_and_strikes_out_what_was_not_heard(place: Place, tmp_path: Path) -> None:
    wav = script_wav(tmp_path / "mic.wav", [(2.0, STORY), (8.0, "wait stop what time is it")], 20)

    with open_tab(place.parley.url, tmp_path / "profile", wav, transport=place.transport) as tab:
        tab.connect()
        tab.wait("model.entries.some((e) => e.who === 'agent' && e.heard)")
        tab.wait("model.entries.at(-1).who === 'agent' && model.entries.at(-1).done && !model.entries.at(-1).heard")

        story = next(reply for reply in tab.replies() if reply["heard"])

        assert story["text"].startswith(story["heard"])
        assert 0 < len(story["heard"]) < len(story["text"])
        assert tab.page.locator("#transcript del").count() == 1
        assert not tab.faults


def test_a_nod_lets_the_answer_go_on(place: Place, tmp_path: Path) -> None:
    wav = script_wav(tmp_path / "mic.wav", [(2.0, STORY), (8.0, "okay")], 40)

    with open_tab(place.parley.url, tmp_path / "profile", wav, transport=place.transport) as tab:
        tab.connect()
        tab.wait("model.agent === 'speaking'")
        tab.page.wait_for_function("window.states.includes('decision')", timeout=30_000)
        tab.wait("model.agent === 'speaking'", timeout=3)

        # A pause inside the question may have cost a reply that nobody heard; the story itself goes on.
        assert [reply["heard"] for reply in tab.replies() if reply["heard"] != ""] == [None]
        assert not tab.faults


def test_a_typed_turn_is_answered_and_nothing_on_the_page_jumps(place: Place, tmp_path: Path) -> None:
    with open_tab(place.parley.url, tmp_path / "profile", None, transport=place.transport) as tab:
        tab.connect()
        for text in ("hello", "count to five", "what can you do"):
            answers = len(tab.replies())
            tab.page.fill("#text", text)
            tab.page.keyboard.press("Enter")
            tab.wait(f"model.entries.filter((e) => e.who === 'agent' && e.done).length > {answers}", timeout=60)

        assert tab.page.evaluate("window.shifts") < 0.02
        assert tab.axe() == []
        assert not tab.faults


def test_a_refused_microphone_is_explained_and_typing_still_works(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None, microphone=False, permissions=[]) as tab:
        tab.connect()

        assert "type" in tab.page.inner_text("#problem")
        tab.page.fill("#text", "hello")
        tab.page.keyboard.press("Enter")
        tab.wait("model.entries.some((e) => e.who === 'agent' && e.done)")


def test_choosing_another_voice_takes_effect_with_the_next_answer(place: Place, tmp_path: Path) -> None:
    with open_tab(place.parley.url, tmp_path / "profile", None, transport=place.transport) as tab:
        tab.connect()
        tab.page.click(".settings summary")
        tab.page.wait_for_function("document.getElementById('voice').options.length > 1")
        other = tab.page.evaluate(ANOTHER_VOICE)
        tab.page.select_option("#voice", value=other)
        tab.wait(f"model.voice.model === {other.split(chr(1))[0]!r}")
        tab.page.fill("#text", "hello")
        tab.page.keyboard.press("Enter")
        tab.wait("model.entries.some((e) => e.who === 'agent' && e.done)")

        assert not tab.faults


def test_leaving_ends_the_session_on_the_server(place: Place, tmp_path: Path) -> None:
    with open_tab(place.parley.url, tmp_path / "profile", None, transport=place.transport) as tab:
        tab.connect()
        eventually(lambda: sessions(place.parley) == 1)
        tab.page.click("#connect")
        tab.wait("model.link === 'offline'")

        eventually(lambda: sessions(place.parley) == 0)


def test_the_page_comes_back_by_itself_when_the_server_restarts(tmp_path: Path) -> None:
    port = free_port()
    first = start_parley(tmp_path, port=port)
    second: Running | None = None
    try:
        with open_tab(first.url, tmp_path / "profile", None) as tab:
            tab.connect()
            first.stop()
            tab.wait("model.link === 'reconnecting'", timeout=40)
            second = start_parley(tmp_path, port=port)
            tab.wait("model.link === 'online'", timeout=60)
            tab.page.fill("#text", "hello")
            tab.page.keyboard.press("Enter")
            tab.wait("model.entries.some((e) => e.who === 'agent' && e.done)")
    finally:
        first.stop()
        if second:
            second.stop()


def test_two_tabs_talk_to_two_agents_without_mixing(parley: Running, tmp_path: Path) -> None:
    first = tmp_path / "one"
    second = tmp_path / "two"
    with open_tab(parley.url, first, None) as tab:
        tab.connect()
        tab.page.fill("#text", "count to three")
        # Playwright's synchronous driver is one per thread: the other tab is a second page of this browser.
        other = tab.page.context.new_page()
        other.goto(parley.url)
        other.click("#connect")
        other.wait_for_function("window.parley.model.link === 'online'", timeout=20_000)
        other.fill("#text", "what can you do")
        other.keyboard.press("Enter")
        tab.page.bring_to_front()
        tab.page.click("#send")
        done = "() => window.parley.model.entries.some((e) => e.who === 'agent' && e.done)"
        tab.page.wait_for_function(done, timeout=60_000)
        other.wait_for_function(done, timeout=60_000)

        mine = tab.replies()[0]["text"].lower()
        theirs = other.evaluate("window.parley.model.entries.find((e) => e.who === 'agent').text").lower()
    assert "one" in mine
    assert "three" in mine
    assert "three" not in theirs
    assert not second.exists()


def test_the_page_is_small() -> None:
    assets = [path for path in STATIC.rglob("*") if path.is_file()]
    room = [path for path in assets if "livekit" in path.name]

    assert gzipped([path for path in assets if path not in room]) < 60_000
    assert gzipped(assets) < 220_000
