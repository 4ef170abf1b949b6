"""A conversation in a browser tab, as a person has it: over direct WebRTC and in a LiveKit room."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.browser import PICK_TRANSPORT, Tab, open_tab
from tests.e2e.conftest import (
    STATIC,
    Place,
    Rooms,
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
  const current = window.parley.model.voice?.speaker || "-";
  const speakers = [...document.getElementById("voice").options].map((o) => o.value.split("\\u0001"));
  return speakers.find(([model, speaker]) => speaker && speaker !== current).join("\\u0001");
}"""


FOLLOW_WORDS = """() => {
  window.lit = [];
  window.addEventListener("parley", ({ detail }) => {
    if (detail.what === "word") window.lit.push(window.parley.model.entries.findLast((e) => e.place).place);
  });
}"""
MOODS = """() => {
  window.moods = [];
  const told = new MutationObserver(() => window.moods.push(document.body.dataset.mood));
  told.observe(document.body, { attributes: true });
}"""


def answered(tab: Tab, text: str) -> None:
    """Type a turn and wait until it has been answered to the end."""
    answers = len(tab.replies())
    tab.page.fill("#text", text)
    tab.page.keyboard.press("Enter")
    tab.wait(f"model.entries.filter((e) => e.who === 'agent' && e.done).length > {answers}", timeout=60)


def test_a_spoken_question_gets_a_spoken_answer(any_place: Place, tmp_path: Path) -> None:
    wav = script_wav(tmp_path / "mic.wav", [(2.0, "what can you do")], 12)

    with open_tab(any_place.parley.url, tmp_path / "profile", wav, transport=any_place.transport) as tab:
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


def test_cutting_in_stops_the_answer_and_strikes_out_what_was_not_heard(any_place: Place, tmp_path: Path) -> None:
    wav = script_wav(tmp_path / "mic.wav", [(2.0, STORY), (8.0, "wait stop what time is it")], 20)

    with open_tab(any_place.parley.url, tmp_path / "profile", wav, transport=any_place.transport) as tab:
        tab.connect()
        tab.wait("model.entries.some((e) => e.who === 'agent' && e.heard)")
        tab.wait("model.entries.at(-1).who === 'agent' && model.entries.at(-1).done && !model.entries.at(-1).heard")

        story = next(reply for reply in tab.replies() if reply["heard"])

        assert story["text"].startswith(story["heard"])
        assert 0 < len(story["heard"]) < len(story["text"])
        assert tab.page.locator("#transcript del").count() == 1
        assert not tab.faults


def test_a_cut_in_and_the_turns_stand_in_the_drawer_as_a_plot_and_as_a_table(parley: Running, tmp_path: Path) -> None:
    wav = script_wav(tmp_path / "mic.wav", [(2.0, STORY), (8.0, "wait stop what time is it")], 20)

    with open_tab(parley.url, tmp_path / "profile", wav) as tab:
        tab.connect()
        assert not tab.page.locator("#plot").is_visible()
        tab.page.click("#more")
        tab.wait("model.entries.at(-1)?.who === 'agent' && model.entries.at(-1).done && !model.entries.at(-1).heard")
        tab.page.click("#plot summary")
        turns, cuts = tab.page.locator("#plot table").all()
        plots = tab.page.locator("#plot svg")
        drawn = plots.evaluate_all("(all) => all.map((plot) => plot.querySelectorAll('.full').length)")

        assert drawn[0] == turns.locator("tbody tr").count()
        assert 1 <= drawn[1] <= cuts.locator("tbody tr").count()
        number, softer, silent, outcome = cuts.locator("tbody tr").first.locator("td").all_inner_texts()
        assert (number, outcome) == ("1", "you had the floor")
        assert 0 < int(silent) < 3000
        assert softer == "–" or int(softer) <= int(silent)
        assert tab.axe() == []
        assert not tab.faults


@pytest.mark.parametrize("nod", ["okay", "mhm"])
def test_a_nod_lets_the_answer_go_on(any_place: Place, nod: str, tmp_path: Path) -> None:
    wav = script_wav(tmp_path / "mic.wav", [(9.0, nod)], 40)

    with open_tab(any_place.parley.url, tmp_path / "profile", wav, transport=any_place.transport) as tab:
        tab.connect()
        tab.page.evaluate(MOODS)
        tab.page.fill("#text", STORY)
        tab.page.keyboard.press("Enter")
        # It went on after the page had said which sample it had reached.
        tab.until("window.resumed.some((sample) => sample > 48_000)")
        tab.wait("model.agent === 'speaking'", timeout=3)

        assert [reply["heard"] for reply in tab.replies()] == [None]
        moods = tab.page.evaluate("window.moods")
        assert "yielding" in moods
        assert "interrupted" not in moods
        assert not tab.faults


def test_a_typed_turn_is_answered_and_nothing_on_the_page_jumps(place: Place, tmp_path: Path) -> None:
    with open_tab(place.parley.url, tmp_path / "profile", None, transport=place.transport) as tab:
        tab.connect()
        for text in ("hello", "count to five", "what can you do"):
            answered(tab, text)

        assert tab.page.evaluate("window.shifts") < 0.02
        assert "speaks with espeak" in (tab.page.text_content("#models") or "")
        assert tab.axe() == []
        assert not tab.faults


def test_a_call_of_a_tool_is_a_quiet_line_that_says_where_it_stands(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.connect()
        tab.page.fill("#text", "set a timer for two seconds")
        tab.page.keyboard.press("Enter")
        tab.wait("model.entries.some((e) => e.tool === 'left')")
        line = tab.page.locator(".entry.tool")
        assert line.inner_text().split() == ["Tool", "timer:", "at", "work,", "while", "you", "talk", "on…"]
        tab.wait("model.entries.some((e) => e.tool === 'done')", timeout=30)
        assert line.inner_text().split() == ["Tool", "timer:", "done"]
        assert "Tool: timer: done" in tab.page.inner_text("#announcer")
        assert tab.axe() == []
        assert not tab.faults


def test_words_light_up_one_after_another_while_they_are_heard(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.connect()
        tab.page.evaluate(FOLLOW_WORDS)
        answered(tab, "count to five")
        lit = tab.page.evaluate("window.lit")

        assert not tab.faults
    words = ["One,", "two,", "three,", "four,", "five."]
    text = " ".join(words)
    ends = list(dict.fromkeys(place["to"] for place in lit))
    assert ends == sorted(ends)
    # Punctuation may count as part of a word, or not.
    assert [text[:end].strip(",. ").count(" ") for end in ends] == list(range(len(words)))


def test_where_no_direct_path_can_be_had_the_sound_goes_over_a_websocket_and_that_is_told(
    parley: Running, tmp_path: Path
) -> None:
    blocked = ["--webrtc-ip-handling-policy=disable_non_proxied_udp", "--force-webrtc-ip-handling-policy"]
    with open_tab(parley.url, tmp_path / "profile", None, flags=blocked) as tab:
        tab.connect(timeout=60)
        assert "WebSocket" in tab.page.inner_text("#problem")
        answered(tab, "hello")
        tab.wait("model.turns.length > 0")


def test_sound_that_the_browser_holds_back_goes_on_with_a_tap(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.connect()
        tab.page.evaluate("window.parley.audio.context.suspend()")
        tab.page.wait_for_selector("#wake", state="visible")
        assert tab.axe() == []
        tab.page.click("#wake")
        tab.page.wait_for_selector("#wake", state="hidden")
        assert tab.page.evaluate("window.parley.audio.context.state") == "running"


def test_an_unplugged_microphone_is_replaced_and_told_until_it_is_dismissed(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.connect()
        tab.page.evaluate("window.parley.stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
        tab.wait("model.error.includes('unplugged')")
        assert tab.page.evaluate("window.parley.stream.getAudioTracks()[0].readyState") == "live"
        assert tab.axe() == []
        tab.page.click("#dismiss")
        tab.page.wait_for_selector("#problem", state="hidden")


def test_a_microphone_without_any_sound_is_told_and_no_longer_once_it_has_one(parley: Running, tmp_path: Path) -> None:
    silent = script_wav(tmp_path / "mic.wav", [(14.0, "hello")], 16, room=False)
    with open_tab(parley.url, tmp_path / "profile", silent) as tab:
        tab.connect()
        tab.wait('model.error.includes("can\'t hear you")')
        tab.wait("model.error === ''")


def test_a_refused_microphone_is_explained_and_typing_still_works(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None, microphone=False, permissions=[]) as tab:
        tab.connect()

        assert "type" in tab.page.inner_text("#problem")
        answered(tab, "hello")


def test_choosing_another_voice_takes_effect_with_the_next_answer(place: Place, tmp_path: Path) -> None:
    with open_tab(place.parley.url, tmp_path / "profile", None, transport=place.transport) as tab:
        tab.connect()
        tab.page.click("#more")
        tab.until("document.getElementById('voice').options.length > 1")
        other = tab.page.evaluate(ANOTHER_VOICE)
        tab.page.select_option("#voice", value=other)
        tab.wait(f"model.voice.speaker === {other.split(chr(1))[1]!r}")
        answered(tab, "hello")

        assert not tab.faults


LEFT_IN_ENGLISH = """() => [...document.querySelectorAll("[data-t]")]
  .filter((e) => /^(Settings|Microphone|Language|Mute|Send|Leave|Close|Tap to talk|Voice|Default|Theme|Key)$/.test(
    e.textContent)).map((e) => e.dataset.t)"""
SIDEWAYS = """() => [document.documentElement, document.getElementById("drawer"), document.getElementById("transcript")]
  .filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.id || e.tagName)"""
HEAR_SAMPLES = """() => {
  const { start } = AudioBufferSourceNode.prototype;
  AudioBufferSourceNode.prototype.start = function (...when) {
    const peak = this.buffer.getChannelData(0).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    window.sample = { seconds: this.buffer.duration, peak };
    return start.apply(this, when);
  };
}"""
PHONE = {"width": 360, "height": 740}


def test_the_page_speaks_the_browsers_language_and_any_other_that_is_chosen(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None, locale="de-CH") as tab:
        tab.until("document.documentElement.lang === 'de'")
        assert tab.page.get_attribute("#connect", "aria-label") == "Zum Sprechen tippen"
        tab.connect()
        answered(tab, "hello")
        tab.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        tab.page.click("#more")
        for language in ("fr", "es", "zh", "en", "de"):
            tab.page.select_option("#language", value=language)
            tab.until(f"document.documentElement.lang === {language!r}")
            assert language == "en" or not {"settings", "language", "close", "mute"} & set(
                tab.page.evaluate(LEFT_IN_ENGLISH)
            )
            assert tab.axe() == [], language
            assert tab.page.evaluate(SIDEWAYS) == [], language
        assert "Du" in tab.page.inner_text("#transcript")
        tab.page.reload()
        tab.until("document.documentElement.lang === 'de'")
        assert not tab.faults


def test_a_page_from_right_to_left_holds_and_each_line_runs_its_own_way(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.page.evaluate("document.documentElement.dir = 'rtl'")
        tab.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        tab.connect()
        answered(tab, "\u0645\u0631\u062d\u0628\u0627")
        box = "(name) => document.getElementById(name).getBoundingClientRect()"
        assert tab.page.evaluate(box, "mute")["left"] > tab.page.evaluate(box, "leave")["left"]
        assert tab.page.evaluate(box, "send")["right"] <= tab.page.evaluate(box, "text")["left"]
        ways = "[...document.querySelectorAll('.entry p')].map((e) => getComputedStyle(e).direction)"
        assert tab.page.evaluate(ways)[:2] == ["rtl", "ltr"]
        tab.page.click("#more")
        assert tab.page.evaluate(box, "drawer")["left"] == 0
        assert tab.page.evaluate(SIDEWAYS) == []
        assert tab.axe() == []


def test_a_voice_can_be_heard_before_it_is_taken_and_its_memory_freed(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.connect()
        tab.page.click("#more")
        tab.until("document.getElementById('voice').options.length > 1")
        assert "licence" in tab.page.inner_text("#voice-state")
        tab.page.evaluate(HEAR_SAMPLES)
        tab.page.click("#hear")
        tab.until("window.sample")
        assert tab.page.evaluate("window.sample.seconds") > 0.5
        assert tab.page.evaluate("window.sample.peak") > 0.05
        assert tab.page.is_disabled("#free")  # it is the one that speaks
        assert not tab.faults


def test_leaving_ends_the_session_on_the_server(place: Place, tmp_path: Path) -> None:
    # A tab that was killed has not said goodbye; a room waits for it a while.
    eventually(lambda: sessions(place.parley) == 0, within=60)
    with open_tab(place.parley.url, tmp_path / "profile", None, transport=place.transport) as tab:
        tab.connect()
        eventually(lambda: sessions(place.parley) == 1)
        tab.page.click("#leave")
        tab.wait("model.link === 'offline'")

        eventually(lambda: sessions(place.parley) == 0)


@pytest.mark.parametrize("transport", ["webrtc", "livekit"])
def test_the_page_comes_back_by_itself_when_parley_restarts(transport: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        flags = stack.enter_context(Rooms(tmp_path)).flags if transport == "livekit" else []
        port = free_port()
        first = start_parley(tmp_path, *flags, "--set=server.drain=1", port=port)
        stack.callback(first.stop)
        tab = stack.enter_context(open_tab(first.url, tmp_path / "profile", None, transport=transport))
        tab.connect()
        first.stop()
        tab.wait("model.link === 'reconnecting'", timeout=40)
        second = start_parley(tmp_path, *flags, port=port)
        stack.callback(second.stop)
        tab.wait("model.link === 'online'", timeout=60)
        answered(tab, "hello")


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_a_conversation_goes_on_after_the_page_was_reloaded(parley: Running, transport: str, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None, transport=transport) as tab:
        tab.connect()
        answered(tab, "count to three")
        tab.page.reload()
        tab.page.wait_for_selector("#connect")
        tab.until("document.getElementById('link').textContent === 'Tap to go on with your conversation.'")
        if transport != "webrtc":
            tab.page.evaluate(PICK_TRANSPORT, transport)
        tab.connect()
        assert tab.model()["notice"] == "Welcome back."
        answered(tab, "say that again")
        assert "three" in tab.replies()[-1]["text"].lower()  # only who remembers can
        assert not tab.faults

        tab.page.click("#leave")
        tab.wait("model.link === 'offline'")
        tab.page.reload()
        tab.page.wait_for_selector("#connect")
        assert tab.page.text_content("#link") == ""  # who left has no conversation to go on with


def test_the_page_comes_back_by_itself_when_the_livekit_server_restarts(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        rooms = stack.enter_context(Rooms(tmp_path))
        parley = start_parley(tmp_path, *rooms.flags)
        stack.callback(parley.stop)
        tab = stack.enter_context(open_tab(parley.url, tmp_path / "profile", None, transport="livekit"))
        tab.connect()
        answered(tab, "count to three")
        rooms.stop()
        tab.wait("model.link === 'reconnecting'", timeout=40)
        rooms.start()
        tab.wait("model.link === 'online'", timeout=60)

        assert tab.model()["notice"] == "Welcome back."
        answered(tab, "hello")


def test_two_tabs_talk_to_two_agents_without_mixing(place: Place, tmp_path: Path) -> None:
    with open_tab(place.parley.url, tmp_path / "one", None, transport=place.transport) as tab:
        tab.connect()
        other = tab.beside(place.parley.url, transport=place.transport)
        other.connect()
        for talker, text in ((tab, "count to three"), (other, "what can you do")):
            talker.page.bring_to_front()
            talker.page.fill("#text", text)
            talker.page.click("#send")
        for talker in (tab, other):
            talker.wait("model.entries.some((e) => e.who === 'agent' && e.done)", timeout=60)

        mine = tab.replies()[0]["text"].lower()
        theirs = other.replies()[0]["text"].lower()
        assert not tab.faults
    assert "one" in mine
    assert "three" in mine
    assert "three" not in theirs


def test_choices_are_remembered_until_they_are_forgotten(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.connect()
        tab.until("document.getElementById('voice').options.length > 1")
        tab.page.click("#more")
        wanted = tab.page.evaluate(ANOTHER_VOICE)
        first = tab.page.evaluate("document.getElementById('voice').value")
        tab.page.select_option("#voice", value=wanted)
        tab.page.select_option("#device", label="Fake Audio Input 2")
        model, speaker = wanted.split("\u0001")
        speaks = f"(model.voice.model === {model!r} && model.voice.speaker === {speaker!r})"
        tab.wait(speaks)

        tab.page.reload()
        tab.connect()
        tab.wait(speaks)
        tab.until("window.parley.stream?.getAudioTracks()[0].label === 'Fake Audio Input 2'")

        tab.page.click("#more")
        tab.page.click("#forget")
        assert tab.page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('parley.'))") == []
        tab.page.reload()
        tab.connect()
        tab.until(f"document.getElementById('voice').value === {first!r}")
        tab.until("window.parley.stream && window.parley.stream.getAudioTracks()[0].label !== 'Fake Audio Input 2'")
        assert not tab.faults


def test_a_remembered_microphone_is_known_by_its_name_and_a_missing_one_is_told_quietly(
    parley: Running, tmp_path: Path
) -> None:
    keep = "(label) => localStorage.setItem('parley.device', JSON.stringify({ id: 'of last year', label }))"
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.page.evaluate(keep, "Fake Audio Input 2")
        tab.page.reload()
        tab.connect()
        tab.until("window.parley.stream?.getAudioTracks()[0].label === 'Fake Audio Input 2'")
        assert tab.page.evaluate("document.getElementById('device-hint').hidden")

        tab.page.evaluate(keep, "Desk")
        tab.page.reload()
        tab.connect()
        tab.until("!document.getElementById('device-hint').hidden")
        tab.page.click("#more")
        assert tab.page.locator("#device-hint").inner_text() == "Desk is not there; the default one is used."
        assert tab.page.evaluate("window.parley.model.error") == ""
        assert not tab.faults


def test_the_page_is_small() -> None:
    assets = [path for path in STATIC.rglob("*") if path.is_file() and path.name != "widget.js"]  # for other pages
    room = [path for path in assets if "livekit" in path.name]

    assert gzipped([path for path in assets if path not in room]) < 60_000
    assert gzipped(assets) < 220_000


def test_the_page_is_painted_from_itself_alone(parley: Running, tmp_path: Path) -> None:
    """No file stands before the first paint, and what stands in the page is allowed, also when it is loaded again."""
    html = (STATIC / "index.html").read_text("utf-8")
    assert 'rel="stylesheet"' not in html
    assert not list(STATIC.glob("assets/*.css"))

    with open_tab(parley.url, tmp_path / "profile", None, color_scheme="dark") as tab:
        for _ in range(2):
            assert tab.page.evaluate("getComputedStyle(document.body).display") == "grid"
            assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"
            tab.page.reload()
        assert not tab.faults


def test_the_page_has_its_theme_and_its_disc_before_any_script_of_its_files(parley: Running, tmp_path: Path) -> None:
    with open_tab(parley.url, tmp_path / "profile", None) as tab:
        tab.page.click("#more")
        tab.page.select_option("#theme", value="dark")
        tab.page.route("**/*.js", lambda route: route.abort())
        tab.page.reload()
        assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert "gradient" in tab.page.evaluate("getComputedStyle(document.querySelector('.tap')).backgroundImage")
        assert tab.page.locator("#state").inner_text() == "Tap to talk"
        assert not tab.page.locator("footer").is_visible()
