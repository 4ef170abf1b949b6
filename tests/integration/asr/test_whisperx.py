"""WhisperX's real library in its own environment hears a person's voice: `just test-whisperx`."""

from __future__ import annotations

import os
import re
import subprocess
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


ALIGNER = """
import json, os, sys
import torch
import transformers
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, Wav2Vec2Processor
from whisperx.alignment import DEFAULT_ALIGN_MODELS_HF
repository = os.path.join(sys.argv[1], "models--" + DEFAULT_ALIGN_MODELS_HF["nl"].replace("/", "--"))
folder = os.path.join(repository, "snapshots", "0" * 40)
os.makedirs(os.path.join(repository, "refs"))
os.makedirs(folder)
open(os.path.join(repository, "refs", "main"), "w").write("0" * 40)
vocabulary = os.path.join(folder, "vocab.json")
letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
json.dump({letter: n for n, letter in enumerate(letters)}, open(vocabulary, "w"))
torch.manual_seed(1)
model = Wav2Vec2ForCTC(Wav2Vec2Config(
    vocab_size=len(letters), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    conv_dim=(32,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2))
model.save_pretrained(folder)
tokenizer = transformers.Wav2Vec2CTCTokenizer(vocabulary)
Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
"""
"""A model for Dutch of random numbers, where the library looks for the one that it would fetch."""


async def test_a_model_that_aligns_and_is_here_gives_the_words_their_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    models, shelf = fetched("whisper-base", "en_US-joe-medium"), Environments(Path(FOLDER))
    subprocess.run([shelf.interpreter("whisperx"), "-I", "-c", ALIGNER, str(tmp_path)], check=True, timeout=300)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    model = str(models / "ears" / "whisper-base")
    settings = AsrSettings(engine="whisperx", model=model, language="nl", decoders=1, stuck_after=120)
    recognizer = create_recognizer(settings, environments=shelf)
    spoken = PiperSpeaker(models / "voice" / "piper" / "en_US-joe-medium").say("In Amsterdam is water.")
    final = (await hear(recognizer, frames(resample(spoken, 48_000, RATE)), language="nl"))[-1]
    await recognizer.aclose()
    assert "whisper's own" not in capfd.readouterr().err
    assert [word.text for word in final.words] == final.text.split()
    assert len(final.words) > 2
    assert all(before.end <= after.start for before, after in pairwise(final.words))


async def test_silence_says_nothing(recognizer: Recognizer) -> None:
    final = (await hear(recognizer, frames(np.zeros(2 * RATE, np.int16)), language="en"))[-1]
    assert final.text == ""


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())
