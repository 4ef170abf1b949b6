"""The main path in Firefox: ``just test-firefox``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.e2e.conftest import Running, eventually, needs_page, script_wav, sessions, words_in
from tests.e2e.firefox import RATE, Firefox, Sound, missing, open_firefox, open_sound

pytestmark = [pytest.mark.firefox, needs_page, pytest.mark.skipif(bool(missing()), reason=missing())]

AUDIBLE = 0.003
PICK_TRANSPORT = """((name) => {
  const pick = document.getElementById("transport");
  pick.append(new Option(name, name));
  pick.value = name;
})"""
WATCH_FAULTS = """(() => {
  window.faults = [];
  window.addEventListener("error", (event) => window.faults.push(event.message));
  window.addEventListener("unhandledrejection", (event) => window.faults.push(String(event.reason)));
  document.addEventListener("securitypolicyviolation", (event) => window.faults.push(event.violatedDirective));
})()"""


@pytest.fixture
def sound(tmp_path: Path) -> Iterator[Sound]:
    with open_sound(tmp_path / "sound") as sound:
        yield sound


@pytest.fixture
def firefox(sound: Sound, tmp_path: Path) -> Iterator[Firefox]:
    with open_firefox(tmp_path / "firefox", sound) as firefox:
        yield firefox


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
@pytest.mark.timeout(240)
def test_a_spoken_question_is_answered_aloud_cut_in_upon_and_left(
    transport: str, parley: Running, sound: Sound, firefox: Firefox, tmp_path: Path
) -> None:
    question = script_wav(tmp_path / "question.wav", [(0.2, "what can you do")], 3)
    story = script_wav(tmp_path / "story.wav", [(0.2, "tell me a long story")], 3)
    cut = script_wav(tmp_path / "cut.wav", [(0.2, "wait stop what time is it")], 4)

    firefox.open(parley.url)
    firefox.evaluate(WATCH_FAULTS)
    if transport != "webrtc":
        firefox.evaluate(f"{PICK_TRANSPORT}({transport!r})")
    firefox.click("#connect")
    firefox.wait("model.link === 'online'")
    assert firefox.evaluate("window.parley.model.error") == ""
    assert firefox.evaluate("window.parley.settings.transport") == transport
    assert firefox.evaluate("window.parley.audio.context.sampleRate") == RATE

    before = len(sound.heard())
    sound.say(question)
    firefox.wait("model.entries.some((e) => e.who === 'agent' && e.done)", 60)
    firefox.wait("model.agent !== 'speaking'")
    asked = firefox.evaluate("window.parley.model.entries.find((e) => e.who === 'you').text")
    (answer,) = (reply["text"] for reply in firefox.replies())
    assert "what can you" in asked.lower()  # the embedded decoder is a poor ear for a last word
    heard = sound.heard()[before:]
    assert np.sqrt(np.mean(heard[np.abs(heard) > AUDIBLE] ** 2)) > 0.01
    assert len(set(words_in(heard, RATE).split()) & set(answer.lower().replace(",", "").split())) >= 8
    assert firefox.evaluate("window.parley.model.turns.at(-1).audible") is not None

    sound.say(story)
    firefox.wait("model.agent === 'speaking' && (model.entries.at(-1).place?.from ?? 0) > 20", 60)
    sound.say(cut)
    firefox.wait("model.entries.some((e) => e.who === 'agent' && e.done && e.heard)")
    told = next(reply for reply in firefox.replies() if reply["heard"])
    assert told["text"].startswith(told["heard"])
    assert 0 < len(told["heard"]) < len(told["text"])

    firefox.click("#leave")
    firefox.wait("model.link === 'offline'")
    assert firefox.evaluate("window.parley.stream") is None
    eventually(lambda: sessions(parley) == 0)
    assert firefox.evaluate("window.faults") == []
