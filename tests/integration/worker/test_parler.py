"""Parler-TTS through its real library in an environment of its own, on a tiny random model.

`just test-parler` makes the environment and runs this; what predicts the codec's codes is tiny, the codec is not.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import yaml

from parley.environments.shelf import Environments
from parley.errors import ConfigError
from parley.testing import parler_model, tiny_models
from parley.testing.adapters import AdapterContract, joined, speak
from parley.testing.apart import ApartAdapter
from parley.values import Voice
from parley.worker.adapters.parler import ParlerAdapter
from parley.worker.engine_process import ProcessEngine
from parley.worker.settings import ModelSettings
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from parley.interfaces import TtsAdapter

FOLDER = os.environ.get("PARLEY_TEST_PARLER", "")
pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="Parler-TTS has an environment of its own: `just test-parler` makes it"),
    pytest.mark.timeout(600),
]
SPEAKERS = {"ann": "A woman speaks slowly.", "bob": "A man speaks fast, in a large room."}
LONGEST = 1.5
"""Seconds: a random model ends no text of its own accord."""


@pytest.fixture(scope="session")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of voice packs with one tiny model."""
    root = tmp_path_factory.mktemp("voicepacks")
    folder = root / "parler" / "parler-tiny"
    folder.mkdir(parents=True)
    subprocess.run([python(), "-I", parler_model.__file__, str(folder)], check=True)
    metadata = {
        "languages": ["en"],
        "licence": "unknown",
        "sample_rate": 44_100,
        "speakers": SPEAKERS,
        "options": {"longest": LONGEST, "seed": 7},
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata), "utf-8")
    return root


def python() -> str:
    return Environments(Path(FOLDER)).interpreter("parler")


def catalog(root: Path) -> VoicePackCatalog:
    return VoicePackCatalog((root,), environments=Environments(Path(FOLDER)))


class TestParler(AdapterContract):
    """The whole contract, each call over the wire to the other environment."""

    speakers = tuple(SPEAKERS)
    repeatable = True
    guesses_marks = True
    changes_speed = False
    wait = 300.0  # torch alone takes ten seconds to start
    root: ClassVar[Path]

    @pytest.fixture(autouse=True)
    def _packs(self, packs: Path) -> None:
        type(self).root = packs

    def make_adapter(self) -> TtsAdapter:
        return ApartAdapter(catalog(self.root).create("parler-tiny"), python())

    def break_files(self) -> TtsAdapter | None:
        pack = catalog(self.root).pack("parler-tiny")
        folder = self.root.parent / "broken"
        folder.mkdir(exist_ok=True)
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            (folder / name).write_bytes(b"this is not a model")
        return ApartAdapter(ParlerAdapter(replace(pack, folder=folder)), python())

    def _engine(self, adapter: Any) -> Any:
        return ProcessEngine(adapter.adapter, adapter.python)


def test_chunks_are_what_the_whole_text_decodes_to_at_once(packs: Path) -> None:
    pack = catalog(packs).pack("parler-tiny")
    sounds = []
    for seconds in (0.2, 5.0):
        options = {**pack.options, "chunk_seconds": seconds}
        adapter = ApartAdapter(ParlerAdapter(replace(pack, options=options)), python())
        adapter.load()
        try:
            sounds.append(joined(speak(adapter, "One two three.", Voice())))
        finally:
            adapter.unload()
    assert sounds[0].size == sounds[1].size
    assert float(np.abs(sounds[0] - sounds[1]).max()) < 1e-5


def test_a_model_whose_environment_is_missing_says_which_command_makes_it(packs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="engines install parler"):
        VoicePackCatalog((packs,), environments=Environments(tmp_path)).interpreter("parler-tiny")


@pytest.mark.anyio
async def test_piper_and_parler_speak_side_by_side_in_one_worker(packs: Path, bench: Any) -> None:
    tiny_models.piper_pack(packs, "piper-tiny")
    models = ModelSettings(default_model="tone", preload_models=("piper-tiny", "parler-tiny"))
    client = bench.client(await bench.worker(catalog(packs), models))
    spoken = await asyncio.gather(
        *(bench.speak(client, "One two three.", model=model, utterance=model) for model in models.preload_models)
    )
    for frames in spoken:
        assert frames[-1].final
        assert frames[-1].end_sample > 48_000 // 5
