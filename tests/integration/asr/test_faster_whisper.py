"""faster-whisper's real library with a model that hears one sentence."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parley.asr import AsrSettings, create_recognizer
from parley.asr.threads import ThreadRecognizer
from parley.asr.whisper_window import decode
from parley.errors import CapacityError, ConfigError
from parley.testing.recognizers import frames, hear, live

pytest.importorskip("faster_whisper")
from parley.testing.tiny_asr import whisper_folder

pytestmark = pytest.mark.anyio
SENTENCE = "turn on the kitchen lights"
AUDIO = np.asarray(np.random.default_rng(1).normal(0, 1_000, 32_000), np.int16)


@pytest.fixture
async def recognizer(tmp_path: Path) -> AsyncIterator[ThreadRecognizer]:
    folder = whisper_folder(tmp_path, SENTENCE)
    opened = create_recognizer(AsrSettings(engine="faster-whisper", model=str(folder), decoders=1, max_waiting=1))
    assert isinstance(opened, ThreadRecognizer)
    yield opened
    await opened.aclose()


async def test_the_chosen_sentence_is_heard(recognizer: ThreadRecognizer) -> None:
    final = (await hear(recognizer, frames(AUDIO)))[-1]
    assert final.text == SENTENCE
    assert final.language == "en"


async def test_hot_words_of_a_session_follow_those_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, told = whisper_folder(tmp_path, SENTENCE), []

    def heard(model: Any, audio: Any, **asked: Any) -> Any:
        told.append(asked["hot_words"])
        return decode(model, audio, **asked)

    monkeypatch.setattr("parley.asr.faster_whisper.decode", heard)
    ears = create_recognizer(AsrSettings(engine="faster-whisper", model=str(folder), hot_words=("Parley",)))
    for mine in (("Piper", "kitchen"), ()):
        await hear(ears.for_session(mine), frames(AUDIO))
    await ears.aclose()
    assert set(told) == {("Parley", "Piper", "kitchen"), ("Parley",)}


async def test_words_become_stable_while_somebody_speaks(recognizer: ThreadRecognizer) -> None:
    transcripts = await hear(recognizer, live(AUDIO, 2))
    assert any(not transcript.final and transcript.stable == len(SENTENCE) for transcript in transcripts)


async def test_more_turns_than_can_wait_are_refused(recognizer: ThreadRecognizer) -> None:
    results = await asyncio.gather(*(hear(recognizer, live(AUDIO, 4)) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results].count(CapacityError) == 1
    assert sum(isinstance(result, list) for result in results) == 2


async def test_a_folder_that_is_no_model_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"nothing")
    (tmp_path / "config.json").write_text("{}")
    recognizer = create_recognizer(AsrSettings(engine="faster-whisper", model=str(tmp_path)))
    for _ in range(2):
        with pytest.raises(ConfigError, match="cannot be loaded"):
            await hear(recognizer, frames(AUDIO))
    await recognizer.aclose()
