"""Every family keeps the adapter contract, through its real library, on tiny random models.

With ``PARLEY_TEST_VOICEPACKS`` naming a folder of voice packs, each of them is tested as well.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import yaml

from parley.testing import tiny_models
from parley.testing.adapters import AdapterContract
from parley.testing.omni_server import Dialect, OmniServer
from parley.testing.speech_server import VOICES, SpeechServer
from parley.worker import adapters
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parley.interfaces import TtsAdapter

BALLAST_MB = 60


@pytest.fixture(scope="module", autouse=True)
def _clean_up() -> Iterator[None]:
    yield
    shutil.rmtree(_folder(), ignore_errors=True)
    _folder.cache_clear()
    _built.cache_clear()


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="parley-packs-"))


@cache
def _built(build: Any, model_id: str, keys: tuple[tuple[str, Any], ...] = ()) -> Path:
    folder: Path = build(_folder(), model_id, **dict(keys))
    return folder


def create(folder: Path) -> TtsAdapter:
    return VoicePackCatalog((folder.parent.parent,), builtins=()).create(folder.name)


class FilesContract(AdapterContract):
    """A family whose packs have files."""

    build: ClassVar[Any]
    heavy: ClassVar[bool] = True
    broken_file: ClassVar[str] = "model.onnx"
    family: ClassVar[str]

    def make_adapter(self) -> TtsAdapter:
        return create(_built(type(self).__dict__["build"].__func__, f"{self.family}-tiny"))

    def make_heavy_adapter(self) -> tuple[TtsAdapter, int] | None:
        if not self.heavy:
            return None
        keys = (("ballast_mb", BALLAST_MB),)
        folder = _built(type(self).__dict__["build"].__func__, f"{self.family}-heavy", keys)
        return create(folder), BALLAST_MB * 1_000_000

    def break_files(self) -> TtsAdapter | None:
        folder = _built(type(self).__dict__["build"].__func__, f"{self.family}-broken")
        (folder / self.broken_file).write_bytes(b"this is not a model")
        return create(folder)


class BuiltinContract(AdapterContract):
    """A model without files."""

    model_id: ClassVar[str]

    def make_adapter(self) -> TtsAdapter:
        return VoicePackCatalog().create(self.model_id)


class TestTone(BuiltinContract):
    model_id = "tone"
    repeatable = True


class TestEspeak(BuiltinContract):
    model_id = "espeak"
    isolated = True
    repeatable = True
    speakers = ("klatt3", "f2")


class TestPiper(FilesContract):
    isolated = True
    family = "piper"
    build = staticmethod(tiny_models.piper_pack)


class TestPiperWithSpeakers(FilesContract):
    family = "piper"
    speakers = ("ann", "bob")

    @staticmethod
    def build(root: Path, model_id: str, **keys: Any) -> Path:
        return tiny_models.piper_pack(root, f"{model_id}-speakers", speakers=("ann", "bob"), alignments=False, **keys)


class TestKokoro(FilesContract):
    family = "kokoro"
    speakers = ("af_one", "am_two")
    build = staticmethod(tiny_models.kokoro_pack)


class TestSherpa(FilesContract):
    family = "sherpa"
    isolated = True
    build = staticmethod(tiny_models.sherpa_pack)


class TestSherpaMelo(FilesContract):
    """A lexicon decides which words exist, so the text is made of those."""

    family = "sherpa"
    heavy = False
    broken_file = "tokens.txt"
    text = "Hello there, ready. There hello ready ready! Hello, hello there."
    other_text = "Ready, ready there. Hello!"

    @staticmethod
    def build(root: Path, model_id: str, **keys: Any) -> Path:
        return tiny_models.melo_pack(root, f"{model_id}-melo", **keys)


class TestSherpaMatcha(FilesContract):
    family = "sherpa"
    heavy = False
    broken_file = "vocoder.onnx"

    @staticmethod
    def build(root: Path, model_id: str, **keys: Any) -> Path:
        return tiny_models.matcha_pack(root, f"{model_id}-matcha", **keys)


class TestSherpaKokoro(FilesContract):
    family = "sherpa"
    heavy = False
    speakers = ("one", "two")

    @staticmethod
    def build(root: Path, model_id: str, **keys: Any) -> Path:
        return tiny_models.sherpa_styled_pack(root, f"{model_id}-kokoro", **keys)


class TestSherpaKitten(FilesContract):
    family = "sherpa"
    heavy = False
    speakers = ("one", "two")

    @staticmethod
    def build(root: Path, model_id: str, **keys: Any) -> Path:
        return tiny_models.sherpa_styled_pack(root, f"{model_id}-kitten", kind="kitten", **keys)


@pytest.mark.skipif(
    find_spec("pocket_tts") is None or find_spec("torch") is None,
    reason="pocket-tts and torch are not installed here; 'just test-pocket' makes an environment that has them",
)
class TestPocket(FilesContract):
    family = "pocket"
    heavy = False
    guesses_marks = True
    changes_speed = False
    tolerance = 1.0
    broken_file = "model.safetensors"
    build = staticmethod(tiny_models.pocket_pack)

    def voices(self) -> Path:
        return _built(tiny_models.pocket_pack, "pocket-tiny") / "voices"


class TestOpenAISpeech(AdapterContract):
    """Against a real HTTP server that streams PCM."""

    repeatable = True
    guesses_marks = True
    speakers = VOICES
    server: ClassVar[SpeechServer]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        with SpeechServer() as server:
            cls.server = server
            yield

    def make_adapter(self) -> TtsAdapter:
        return create(_speech_pack("speech", base_url=self.server.url))

    def break_files(self) -> TtsAdapter | None:
        return create(_speech_pack("no-address", base_url="gpu-box:8000"))


class TestVllmOmni(AdapterContract):
    """Against a real WebSocket server that says what vLLM-Omni says."""

    repeatable = True
    guesses_marks = True
    speakers = VOICES
    dialect: ClassVar[Dialect] = "vllm"
    server: ClassVar[OmniServer]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _server(cls) -> Iterator[None]:
        with OmniServer(cls.dialect) as server:
            cls.server = server
            yield

    def make_adapter(self) -> TtsAdapter:
        return create(_speech_pack(self.dialect, "omni-speech", base_url=self.server.url))

    def break_files(self) -> TtsAdapter | None:
        return create(_speech_pack("no-address", "omni-speech", base_url="gpu-box:8000"))


class TestSglangOmni(TestVllmOmni):
    """What SGLang-Omni says: it confirms, and hangs up behind each text."""

    dialect = "sglang"


def _speech_pack(model_id: str, family: str = "openai-speech", **options: Any) -> Path:
    folder = _folder() / family / model_id
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        "languages": ["en"],
        "licence": "unknown",
        "sample_rate": 24_000,
        "speakers": list(VOICES),
        "options": options,
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump(data), "utf-8")
    return folder


def test_every_built_in_family_is_tested_here_or_in_an_environment_of_its_own() -> None:
    tested = {cls.family for cls in FilesContract.__subclasses__()} | {
        cls.model_id for cls in BuiltinContract.__subclasses__() if hasattr(cls, "model_id")
    }
    apart = {name for name, family in adapters.FAMILIES.items() if family.environment}
    assert tested | {"openai-speech", "omni-speech"} | apart == set(adapters.FAMILIES)
    for name in apart:
        contract = Path(__file__).parents[1] / "integration" / "worker" / f"test_{name}.py"
        assert "(AdapterContract)" in contract.read_text("utf-8")


def _real_packs() -> Iterator[tuple[str, Path]]:
    root = os.environ.get("PARLEY_TEST_VOICEPACKS", "")
    for folder in sorted(Path(root).glob("*/*/")) if root else ():
        if (folder / "metadata.yaml").exists():
            yield folder.name, folder


def _real_contract(folder: Path) -> type[AdapterContract]:
    class RealVoicePack(AdapterContract):
        tolerance = 0.3
        isolated = adapters.family(folder.parent.name).isolated
        changes_speed = folder.parent.name != "pocket"

        def make_adapter(self) -> TtsAdapter:
            return create(folder)

    return RealVoicePack


for _name, _path in _real_packs():
    globals()["TestVoicePack_" + "".join(c if c.isalnum() else "_" for c in _name)] = _real_contract(_path)
