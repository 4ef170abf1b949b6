"""WhisperX's real library in its own environment hears a person's voice: `just test-whisperx`."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.integration.weights import fetched

from parley.asr import AsrSettings, create_recognizer
from parley.audio.resample import resample
from parley.bench.piper_speech import PiperSpeaker
from parley.bench.speech import say
from parley.environments import Environments
from parley.testing.recognizers import RATE, RecognizerContract, frames, hear

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from parley.interfaces import Recognizer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]
FOLDER = os.environ.get("PARLEY_TEST_WHISPERX", "")
if not FOLDER:
    pytest.skip("asked for by name: `just test-whisperx`", allow_module_level=True)
SENTENCE = "Please turn on the lights in the kitchen, and tell me a story about the sea."


@pytest.fixture
def models() -> Path:
    return fetched("whisper-tiny.en", "en_US-joe-medium")


@pytest.fixture
async def recognizer(models: Path) -> AsyncIterator[Recognizer]:
    model = str(models / "ears" / "whisper-tiny.en")
    settings = AsrSettings(engine="whisperx", model=model, decoders=1, stuck_after=120)
    opened = create_recognizer(settings, environments=Environments(Path(FOLDER)))
    yield opened
    await opened.aclose()


class TestWhisperx(RecognizerContract):
    patience = 300.0

    @pytest.fixture
    def speech(self) -> NDArray[np.int16]:
        return np.concatenate([resample(say("tell me a story about the sea"), 48_000, RATE), np.zeros(1_600, np.int16)])


async def test_a_sentence_is_understood_and_each_of_its_words_has_a_time(
    recognizer: Recognizer, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No model that aligns is on a machine of tests, and none may be fetched: the times are whisper's own."""
    spoken = PiperSpeaker(models / "voice" / "piper" / "en_US-joe-medium").say(SENTENCE)
    speech = np.concatenate(
        [np.zeros(RATE // 2, np.int16), resample(spoken, 48_000, RATE), np.zeros(RATE // 4, np.int16)]
    )
    final = (await hear(recognizer, frames(speech), language="en"))[-1]
    assert words_of(final.text) == words_of(SENTENCE)
    assert [word.text for word in final.words] == final.text.split()
    assert final.confidence > 0.5
    places = [word.start for word in final.words]
    assert all(before < after for before, after in pairwise(places))
    assert 0.25 < places[0] < 0.9
    assert speech.size / RATE - 1.0 < final.words[-1].end <= speech.size / RATE
    assert "word times are whisper's own" in capfd.readouterr().err


async def test_silence_says_nothing(recognizer: Recognizer) -> None:
    final = (await hear(recognizer, frames(np.zeros(2 * RATE, np.int16)), language="en"))[-1]
    assert final.text == ""


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())
