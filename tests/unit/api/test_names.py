"""What clients' names of models and voices mean."""

from __future__ import annotations

import pytest

from parley.api.names import is_their_hearing_model, voice_of, voices_in
from parley.errors import NotFound
from parley.values import Voice

SPEAKERS = {"espeak": ("klatt", "nova"), "joe": (), "kokoro": ("af_heart",), "folk/song": ("ann",)}
NAMES = {"alloy": "kokoro/af_heart", "my-tts": "joe"}


@pytest.mark.parametrize(
    ("model", "voice", "meant"),
    [
        ("", "", Voice()),
        ("tts-1", "coral", Voice()),
        ("gpt-4o-mini-tts-2025-12-15", "verse", Voice()),
        ("tts-1", "alloy", Voice("kokoro", "af_heart")),
        ("my-tts", "coral", Voice("joe")),
        ("espeak", "nova", Voice("espeak", "nova")),
        ("espeak", "echo", Voice("espeak")),
        ("tts-1-hd", "joe", Voice("joe")),
        ("tts-1", "espeak/klatt", Voice("espeak", "klatt")),
        ("espeak", "klatt", Voice("espeak", "klatt")),
        ("espeak", "espeak/klatt", Voice("espeak", "klatt")),
        ("folk/song", "ann", Voice("folk/song", "ann")),
        ("tts-1", "folk/song/ann", Voice("folk/song", "ann")),
        ("tts-1", "somebody", Voice("", "somebody")),
    ],
)
def test_a_name_stands_for(model: str, voice: str, meant: Voice) -> None:
    assert voice_of(model, voice, SPEAKERS, NAMES) == meant


@pytest.mark.parametrize(("model", "voice"), [("nope", "alloy"), ("joe", "espeak"), ("joe", "espeak/klatt")])
def test_a_model_that_is_not_here_and_a_voice_of_another_one_are_refused(model: str, voice: str) -> None:
    with pytest.raises(NotFound, match=model):
        voice_of(model, voice, SPEAKERS, {})


def test_every_voice_that_is_listed_can_be_asked_for() -> None:
    listed = voices_in(SPEAKERS)
    assert listed == ["espeak/klatt", "espeak/nova", "joe", "kokoro/af_heart", "folk/song/ann"]
    for name in listed:
        voice = voice_of("tts-1", name, SPEAKERS, {})
        assert "/".join(filter(None, (voice.model, voice.speaker))) == name


def test_their_names_of_recognisers_are_known() -> None:
    for name in ("", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15"):
        assert is_their_hearing_model(name)
    assert not is_their_hearing_model("whisper-tiny.en")
