"""CSM through its real library in an environment of its own, on a tiny random model in the real layout.

`just test-csm` makes the environment and runs this.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import yaml

from parley.audio.wav import write_wav
from parley.environments.shelf import Environments
from parley.errors import ConfigError
from parley.testing import csm_model
from parley.testing.adapters import AdapterContract, joined, speak
from parley.testing.apart import ApartAdapter
from parley.values import Voice
from parley.worker.adapters.csm import CsmAdapter
from parley.worker.engine_process import ProcessEngine
from parley.worker.settings import ModelSettings
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parley.interfaces import TtsAdapter

FOLDER = os.environ.get("PARLEY_TEST_CSM", "")
pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="CSM has an environment of its own: `just test-csm` makes it"),
    pytest.mark.timeout(600),
]
CHECKS = str(Path(csm_model.__file__).with_name("csm_checks.py"))  # its imports are the other environment's
SAID = {"ann": "Hello there.", "bob": "Good morning to all of you."}
LONGEST = 1.2
"""Seconds: a random model ends no text of its own accord."""


@pytest.fixture(scope="session")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of voice packs with one tiny model, two speakers and two LoRAs."""
    root = tmp_path_factory.mktemp("voicepacks")
    folder = root / "csm" / "csm-tiny"
    folder.mkdir(parents=True)
    subprocess.run([python(), "-I", csm_model.__file__, str(folder), "anna", "bert"], check=True)
    time = np.arange(48_000) / 48_000
    for pitch, (name, said) in enumerate(SAID.items(), 1):
        tone = 0.3 * np.sin(2 * np.pi * 150 * pitch * time) * np.sin(2 * np.pi * 3 * time)
        write_wav(folder / f"{name}.wav", tone.astype(np.float32), 48_000)
        (folder / f"{name}.txt").write_text(said, "utf-8")
    metadata = {
        "languages": ["en"],
        "licence": "unknown",
        "speakers": {name: f"{name}.wav" for name in SAID},
        "options": {"longest": LONGEST, "seed": 7, "threads": 1},
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata), "utf-8")
    return root


def python() -> str:
    return Environments(Path(FOLDER)).interpreter("csm")


def catalog(root: Path) -> VoicePackCatalog:
    return VoicePackCatalog((root,), environments=Environments(Path(FOLDER)))


class TestCsm(AdapterContract):
    """The whole contract, each call over the wire to the other environment."""

    speakers = tuple(SAID)
    repeatable = True
    guesses_marks = True
    changes_speed = False
    wait = 300.0  # torch alone takes some seconds to start
    test_loading_again_and_again_does_not_grow = None  # type: ignore[assignment]
    """Each load is a process of its own here; the same is measured inside one below."""
    root: ClassVar[Path]

    @pytest.fixture(autouse=True)
    def _packs(self, packs: Path) -> None:
        type(self).root = packs

    def make_adapter(self) -> TtsAdapter:
        return ApartAdapter(catalog(self.root).create("csm-tiny"), python())

    def voices(self) -> Path:
        return self.root / "csm" / "csm-tiny" / "voices"

    def break_files(self) -> TtsAdapter | None:
        pack = catalog(self.root).pack("csm-tiny")
        folder = self.root.parent / "broken"
        folder.mkdir(exist_ok=True)
        for declared in CsmAdapter.files.values():
            (folder / declared.pattern.rstrip("*")).write_bytes(b"this is not a model")
        return ApartAdapter(CsmAdapter(replace(pack, folder=folder)), python())

    def _engine(self, adapter: Any) -> Any:
        return ProcessEngine(adapter.adapter, adapter.python)


# --- beside the library ---


@pytest.fixture(scope="module")
def figures(packs: Path) -> dict[str, Any]:
    folder = packs / "csm" / "csm-tiny"
    loras = folder / "loras"
    asked = [python(), "-I", CHECKS, str(folder), str(loras / "anna"), str(loras / "bert")]
    done = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_sound_that_leaves_frame_by_frame_is_what_all_frames_decode_to_at_once(figures: dict[str, Any]) -> None:
    assert set(figures["sound off by"]) == {"1", "2", "5"}
    assert max(figures["sound off by"].values()) < 1e-5


@pytest.mark.parametrize("how", ["", " with a LoRA merged", " after a recording"])
def test_the_likeliest_codes_are_those_of_the_library(figures: dict[str, Any], how: str) -> None:
    assert figures[f"codes as generate{how}"]


def test_a_lora_of_older_transformers_fits(figures: dict[str, Any]) -> None:
    assert figures["old names"] == [True, True]


@pytest.mark.parametrize(
    "fact",
    [
        "all differ",
        "none again",
        "anna again",
        "bert without anna",
        "none without anna",
        "another under the same name",
        "anna after both",
        "anna when another fails",
        "none after all",
    ],
)
def test_loras_come_and_go_bit_for_bit(figures: dict[str, Any], fact: str) -> None:
    assert figures[fact]


def test_texts_with_two_loras_and_none_take_turns_and_do_not_mix(figures: dict[str, Any]) -> None:
    assert figures["in turns as alone"]


@pytest.mark.parametrize("fact", ["heard stays", "heard apart", "heard goes with its LoRA"])
def test_what_the_model_has_heard_is_kept_for_each_lora(figures: dict[str, Any], fact: str) -> None:
    assert figures[fact]


def test_it_speaks_in_the_precisions_that_a_gpu_gets(figures: dict[str, Any]) -> None:
    assert figures["seconds in bfloat16"] == pytest.approx(40 / 12.5)


def test_loading_again_and_again_leaves_nothing_behind(figures: dict[str, Any]) -> None:
    assert figures["grows by"] < 24_000_000


def test_the_benchmark_for_a_gpu_runs_to_its_end_on_tiny_models(tmp_path: Path) -> None:
    script = Path(__file__).parents[3] / "scripts" / "gpu_bench.py"
    asked = [python(), str(script), "--tiny", "--device", "cpu", "--out", str(tmp_path / "gpu.json")]
    subprocess.run(asked, check=True, stdout=subprocess.PIPE)
    said = {one["what"]: one for one in json.loads((tmp_path / "gpu.json").read_text())["results"]}
    assert not [one for one in said.values() if "failed" in one]
    for count in (1, 4, 16):
        for name in (f"csm x{count}", f"csm with a LoRA x{count}"):
            assert said[name]["first_audio_ms"]["p50"] > 0
            assert (said[name]["utterances"], said[name]["chunk_ms"]) == (count, 80)
        assert said[f"whisper x{count}"]["text_ms"] >= said[f"whisper x{count}"]["first_token_ms"]
    assert said["csm dispatch"]["operators_a_frame"] > 100


# --- speakers and seeds ---


@pytest.fixture(scope="module")
def loaded(packs: Path) -> Iterator[ApartAdapter]:
    adapter = ApartAdapter(catalog(packs).create("csm-tiny"), python())
    adapter.load()
    yield adapter
    adapter.unload()


@pytest.mark.anyio
async def test_two_sessions_with_two_loras_and_one_without_speak_at_once_on_one_worker(packs: Path, bench: Any) -> None:
    worker = await bench.worker(catalog(packs), ModelSettings(default_model="tone", preload_models=("csm-tiny+anna",)))
    client = bench.client(worker)
    assert worker.manager.resident() == ("csm-tiny", "csm-tiny+anna", "tone")
    voices = [Voice("csm-tiny+anna"), Voice("csm-tiny", lora="bert"), Voice("csm-tiny")]

    async def heard(number: int, session: str) -> bytes:
        frames = await bench.speak(client, "One two.", voice=voices[number], session=f"{session}-{number}")
        return b"".join(frame.pcm for frame in frames)

    alone = [await heard(number, "alone") for number in range(3)]
    assert len(set(alone)) == 3
    assert await asyncio.gather(*(heard(number, "together") for number in range(3))) == alone
    assert worker.manager.resident() == ("csm-tiny", "csm-tiny+anna", "csm-tiny+bert", "tone")


def test_a_lora_that_is_for_another_model_is_named(loaded: ApartAdapter, tmp_path: Path, packs: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "lora_alpha": 8}', "utf-8")
    with pytest.raises(ConfigError, match=r"adapter_model\.safetensors cannot be read"):
        loaded.load_lora("mine", tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match=r"adapter_model\.safetensors cannot be read"):
        loaded.load_lora("mine", tmp_path)
    assert loaded.load_lora("anna", packs / "csm" / "csm-tiny" / "loras" / "anna") > 10_000
    loaded.drop_lora("anna")


def test_the_first_chunk_is_one_frame(loaded: ApartAdapter) -> None:
    audio = loaded.synthesize("One two three.", voice=Voice())
    assert next(audio).samples.size == 24_000 * 2 // 25
    audio.close()


def test_each_recording_makes_a_voice_of_its_own(loaded: ApartAdapter) -> None:
    ann, bob, default = (joined(speak(loaded, "One two.", Voice(speaker=name))) for name in ("ann", "bob", ""))
    assert not np.array_equal(ann, bob)
    assert np.array_equal(ann, default)


def test_marks_of_the_model_in_a_text_are_spoken_and_not_obeyed(loaded: ApartAdapter) -> None:
    assert joined(speak(loaded, "One <|AUDIO|> two <|audio_eos|> three.")).size


def test_a_recording_without_its_words_is_named(packs: Path) -> None:
    pack = catalog(packs).pack("csm-tiny")
    alone = replace(pack, speaker_ids={"carl": "carl.wav"}, info=replace(pack.info, speakers=("carl",)))
    assert pack.folder is not None
    write_wav(pack.folder / "carl.wav", np.full(24_000, 0.1, np.float32), 24_000)
    with pytest.raises(ConfigError, match=r"carl\.txt is missing"):
        ApartAdapter(CsmAdapter(alone), python()).load()


def test_a_model_whose_environment_is_missing_says_which_command_makes_it(packs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="engines install csm"):
        VoicePackCatalog((packs,), environments=Environments(tmp_path)).interpreter("csm-tiny")
