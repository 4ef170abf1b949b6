"""Which voices exist is known from what workers say, and said in a sentence that helps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parley.registry import AnnouncedModel, Announcement
from parley.routing.voices import missing
from parley.values import Voice

ESPEAK = AnnouncedModel("espeak", "espeak", ("en-US", "de"), ("klatt", "f1"), is_default=True)
PIPER = AnnouncedModel("piper-amy", "piper", ("en-US",))
SERVER = AnnouncedModel("remote", "openai-speech", ("en",), open_speakers=True)
TONE = AnnouncedModel("tone", "tone", ("und",), tags=("test",))
LORA = AnnouncedModel("csm", "csm", ("en",), supports_lora=True)
MINE = replace(LORA, model_id="csm+mine")
FLEET = (Announcement("w", "127.0.0.1:1", models=(ESPEAK, PIPER, SERVER, TONE, LORA, MINE)),)


@pytest.mark.parametrize(
    "voice",
    [
        Voice(),
        Voice("espeak"),
        Voice("espeak", "f1", "de"),
        Voice("piper-amy"),
        Voice("remote", "whoever"),
        Voice("tone"),
        Voice(speaker="f1"),
        Voice(language="de"),
        Voice("csm", lora="mine"),
        Voice("csm+mine"),
        Voice(lora="mine"),
    ],
)
def test_a_voice_that_a_worker_has_is_not_missing(voice: Voice) -> None:
    assert missing(voice, FLEET) == ""


@pytest.mark.parametrize(
    ("voice", "says"),
    [
        (Voice("nothing"), "no model called 'nothing'; there are csm, csm+mine, espeak, piper-amy, remote."),
        (Voice("espeak", "nobody"), "espeak has no speaker called 'nobody'; there are klatt, f1."),
        (Voice("piper-amy", "bob"), "has one speaker and none called 'bob'; leave the speaker empty."),
        (Voice("tone", "bob"), "has one speaker"),
        (Voice(speaker="nobody"), "No model has a speaker called 'nobody'"),
        (Voice("piper-amy", language="de"), "does not speak the language 'de'; there are en-US."),
        (Voice(language="xx"), "No model speaks the language 'xx'"),
        (Voice(speaker="f1", language="fr"), "No model speaks the language 'fr'; there are de, en-US."),
        (Voice("espeak", lora="mine"), "takes no LoRA"),
        (Voice("csm", lora="yours"), "The model csm has no LoRA called 'yours'; there are mine."),
        (Voice("csm+yours"), "no model called 'csm+yours'"),
        (Voice(lora="yours"), "No model has a LoRA called 'yours'; there are mine."),
    ],
)
def test_a_voice_that_nobody_has_is_named_in_a_sentence(voice: Voice, says: str) -> None:
    assert says in missing(voice, FLEET)


def test_while_no_worker_is_known_nothing_is_missing() -> None:
    assert missing(Voice("anything", "anybody"), ()) == ""


def test_a_worker_that_does_not_say_what_it_has_may_have_anything() -> None:
    assert missing(Voice("anything"), (*FLEET, Announcement("old", "127.0.0.1:2"))) == ""


def test_a_worker_that_drains_has_its_voices_all_the_same() -> None:
    assert missing(Voice("espeak"), [Announcement("w", "127.0.0.1:1", models=(ESPEAK,), draining=True)]) == ""
