"""Every recogniser keeps the same contract, each through its real engine."""

import venv
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from tests.integration.weights import fetched

from parley.asr import AsrSettings, create_recognizer
from parley.audio.resample import resample
from parley.bench.speech import say
from parley.environments import GROUPS, Environments, child_package
from parley.environments.groups import Label
from parley.environments.shelf import digest, write_label
from parley.interfaces import Recognizer
from parley.store import StoreSettings, open_store, read_catalog
from parley.testing.recognizers import RATE, BurstsContract, RecognizerContract
from parley.testing.tiny_asr import whisper_folder
from parley.testing.tiny_moonshine import moonshine_folder
from parley.testing.tiny_nemo import nemo_offline_folder
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
        # A decoder for each turn: one who is left for another has a word cut, which costs it now and then.
        async for recognizer in opened(AsrSettings(phrases=("tell me a story",), decoders=3)):
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


class TestOnnxAsr(BurstsContract):
    @pytest.fixture
    async def recognizer(self, tmp_path: Path) -> AsyncIterator[Recognizer]:
        pytest.importorskip("onnx_asr")
        folder = nemo_offline_folder(tmp_path, self.sentence)
        async for recognizer in opened(AsrSettings(engine="onnx-asr", model=str(folder))):
            yield recognizer


STAND_IN = {
    "torch/__init__.py": """
class cuda:
    is_available = staticmethod(lambda: False)
set_num_threads = int
""",
    "torch/hub.py": "download_url_to_file = print",
    "faster_whisper/__init__.py": "",
    "faster_whisper/vad.py": """
VadOptions = dict
def get_speech_timestamps(audio, options):
    return [{"start": 0, "end": len(audio)}]
""",
    "whisperx/alignment.py": """
def load_align_model(language, device, *, model_cache_only):
    assert model_cache_only
    return "model", {"language": language}
""",
    "whisperx/diarize.py": """
class Segment:
    def __init__(self, start, end, speaker):
        self.start, self.end = start, end
""",
    "whisperx/vads.py": """
class Vad:
    def __init__(self, onset): pass
""",
    "whisperx/__init__.py": """
from dataclasses import dataclass

@dataclass
class Options:
    hotwords: object
    beam_size: int

class Model:
    def __init__(self, vad, options): self.vad, self.options = vad, options
    def transcribe(self, audio, batch_size, language):
        assert audio.dtype == "float32"
        (speech,) = self.vad({"waveform": audio, "sample_rate": 16000})
        segment = {"text": " turn on the lights", "start": speech.start, "end": speech.end, "avg_logprob": -0.2}
        return {"segments": [segment], "language": language or "en"}

def load_model(name, device, *, compute_type, asr_options, vad_model, threads, local_files_only):
    assert local_files_only
    return Model(vad_model, Options(**asr_options))

def align(segments, model, metadata, audio, device):
    words = [{"word": w, "start": n * 0.3, "end": n * 0.3 + 0.3, "score": 0.9}
             for n, w in enumerate(segments[0]["text"].split())]
    return {"segments": [{**segments[0], "words": words}]}
""",
}
"""The functions of the library that are used, with their signatures and results."""


class TestWhisperx(RecognizerContract):
    """Its adapter, in an environment of its own, with a stand-in for the library (7 GB: `just test-whisperx`)."""

    @pytest.fixture
    async def recognizer(self, tmp_path: Path) -> AsyncIterator[Recognizer]:
        shelf, group = Environments(tmp_path), GROUPS["whisperx"]
        venv.create(shelf.path(group), with_pip=False)
        site = next(shelf.path(group).glob("lib/python*/site-packages"))
        (site / "numpys.pth").write_text(str(Path(np.__file__).parents[1]))
        with zipfile.ZipFile(child_package.write_wheel(tmp_path)) as wheel:
            wheel.extractall(site)
        for place, text in STAND_IN.items():
            (site / place).parent.mkdir(exist_ok=True)
            (site / place).write_text(text)
        write_label(shelf.path(group), Label(group.name, digest(shelf.listed(group)), child_package.version(), "3.11"))
        (tmp_path / "model.bin").touch()
        recognizer = create_recognizer(AsrSettings(engine="whisperx", model=str(tmp_path)), environments=shelf)
        yield recognizer
        await recognizer.aclose()
