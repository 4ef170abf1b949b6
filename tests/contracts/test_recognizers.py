"""Every recogniser keeps the same contract, each through its real engine."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from tests.integration.weights import fetched

from parley.asr import AsrSettings, create_recognizer
from parley.audio.resample import resample
from parley.bench.speech import say
from parley.interfaces import Recognizer
from parley.store import StoreSettings, open_store, read_catalog
from parley.testing.recognizers import RATE, BurstsContract, RecognizerContract
from parley.testing.tiny_asr import whisper_folder
from parley.testing.tiny_moonshine import moonshine_folder
from parley.testing.tiny_transducer import nemo_folder, transducer_folder

SENTENCE = "turn on the kitchen lights"


async def opened(settings: AsrSettings) -> AsyncIterator[Recognizer]:
    recognizer = create_recognizer(settings)
    yield recognizer
    await recognizer.aclose()


class TestInstant(RecognizerContract):
    settles = False

    @pytest.fixture
    async def recognizer(self) -> AsyncIterator[Recognizer]:
        async for recognizer in opened(AsrSettings(engine="instant")):
            yield recognizer


class TestPocketsphinx(RecognizerContract):
    @pytest.fixture
    def speech(self) -> np.ndarray:
        return np.concatenate([resample(say("tell me a story"), 48_000, RATE), np.zeros(4_800, np.int16)])

    @pytest.fixture
    async def recognizer(self) -> AsyncIterator[Recognizer]:
        async for recognizer in opened(AsrSettings(phrases=("tell me a story",))):
            yield recognizer


class TestFasterWhisper(RecognizerContract):
    @pytest.fixture
    async def recognizer(self, tmp_path: Path) -> AsyncIterator[Recognizer]:
        pytest.importorskip("faster_whisper")
        folder = whisper_folder(tmp_path, SENTENCE)
        async for recognizer in opened(AsrSettings(engine="faster-whisper", model=str(folder))):
            yield recognizer


class TestWhisperTiny(RecognizerContract):
    """A real model, fetched by name."""

    @pytest.fixture
    def speech(self) -> np.ndarray:
        return np.concatenate([resample(say("tell me a story about the sea"), 48_000, RATE), np.zeros(1_600, np.int16)])

    @pytest.fixture
    async def recognizer(self) -> AsyncIterator[Recognizer]:
        pytest.importorskip("faster_whisper")
        store = open_store(StoreSettings(folder=str(fetched("whisper-tiny.en"))))
        model = store.path(read_catalog().find("whisper-tiny.en"))
        async for recognizer in opened(AsrSettings(engine="faster-whisper", model=str(model))):
            yield recognizer


class TestSherpa(BurstsContract):
    @pytest.fixture
    async def recognizer(self, tmp_path: Path) -> AsyncIterator[Recognizer]:
        pytest.importorskip("sherpa_onnx")
        folder = transducer_folder(tmp_path, self.sentence, window=45, step=32)
        async for recognizer in opened(AsrSettings(engine="sherpa", model=str(folder))):
            yield recognizer


class TestSherpaNemo(BurstsContract):
    """A cache-aware transducer of NeMo that goes on by 1.12 s, as Nemotron-streaming at its most patient."""

    @pytest.fixture
    async def recognizer(self, tmp_path: Path) -> AsyncIterator[Recognizer]:
        pytest.importorskip("sherpa_onnx")
        folder = nemo_folder(tmp_path, self.sentence, chunk=112)
        async for recognizer in opened(AsrSettings(engine="sherpa", model=str(folder))):
            yield recognizer


class TestMoonshine(BurstsContract):
    @pytest.fixture
    async def recognizer(self, tmp_path: Path) -> AsyncIterator[Recognizer]:
        pytest.importorskip("moonshine_voice")
        folder = moonshine_folder(tmp_path, self.sentence)
        async for recognizer in opened(AsrSettings(engine="moonshine", model=str(folder), partials_cpu=1.0)):
            yield recognizer


WHISPERX = '''
"""Stands in for the library: the functions that are used, with their signatures and results."""
import types

class Model:
    def transcribe(self, audio, batch_size, language):
        assert audio.dtype == "float32"
        return {"segments": [{"text": " turn on the lights", "start": 0.0, "end": 1.5}], "language": language or "en"}

def load_model(name, device, *, compute_type, asr_options, vad_method, threads, local_files_only):
    return Model()

def load_align_model(language, device):
    return "model", {"language": language}

def align(segments, model, metadata, audio, device):
    words = [{"word": w, "start": n * 0.3, "end": n * 0.3 + 0.3, "score": 0.9}
             for n, w in enumerate(segments[0]["text"].split())]
    return {"segments": [{**segments[0], "words": words}]}
'''


class TestWhisperx(RecognizerContract):
    """Its adapter, in a process of another interpreter, with a stand-in for the library (which excludes our others)."""

    @pytest.fixture
    async def recognizer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Recognizer]:
        (tmp_path / "whisperx.py").write_text(WHISPERX)
        (tmp_path / "torch.py").write_text("class cuda:\n    is_available = staticmethod(lambda: False)\n")
        python = tmp_path / "python"
        path = f"{tmp_path}:$PYTHONPATH"
        python.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        async for recognizer in opened(AsrSettings(engine="whisperx", python=str(python))):
            yield recognizer
