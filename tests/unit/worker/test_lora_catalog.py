"""LoRAs in the catalog: models of their own, found in voice packs and in folders that the settings name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from parley.errors import ConfigError, NotFound
from parley.worker.voicepacks import VoicePackCatalog, lora_folders


def pack(root: Path, family: str = "csm", model_id: str = "csm-1b") -> Path:
    folder = root / family / model_id
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"languages": ["en"], "licence": "unknown", "tags": ["expressive"], "memory_mb": 3700}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata), "utf-8")
    return folder


def lora(folder: Path, weights: bytes = b"1234") -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}", "utf-8")
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def ids(catalog: VoicePackCatalog) -> list[str]:
    return [info.model_id for info in catalog.models() if info.family in ("csm", "piper")]


def test_those_in_a_pack_are_listed_with_their_model(tmp_path: Path) -> None:
    folder = lora(pack(tmp_path) / "loras" / "anna")
    (tmp_path / "csm" / "csm-1b" / "loras" / "notes").mkdir()
    catalog = VoicePackCatalog((tmp_path,))
    assert ids(catalog) == ["csm-1b", "csm-1b+anna"]
    info = catalog.models()[ids(catalog).index("csm-1b+anna")]
    assert (info.tags, info.memory_bytes, info.supports_lora) == (("expressive", "lora"), 6, True)
    assert catalog.lora("csm-1b+anna") == folder.resolve()
    assert catalog.resolve("csm-1b+anna") == "csm-1b+anna"


def test_those_of_a_folder_are_for_every_model_that_takes_them(tmp_path: Path) -> None:
    for family, model_id in (("csm", "csm-1b"), ("csm", "csm-other"), ("piper", "amy")):
        pack(tmp_path / "packs", family, model_id)
    lora(tmp_path / "loras" / "anna")
    lora(tmp_path / "bert")
    catalog = VoicePackCatalog((tmp_path / "packs",), loras=(tmp_path / "loras", tmp_path / "bert", tmp_path / "gone"))
    both = [f"{model}{name}" for model in ("csm-1b", "csm-other") for name in ("", "+anna", "+bert")]
    assert sorted(ids(catalog)) == sorted(["amy", *both])


def test_one_in_the_pack_counts_before_another_of_its_name(tmp_path: Path) -> None:
    own = lora(pack(tmp_path / "packs") / "loras" / "anna")
    lora(tmp_path / "loras" / "anna")
    catalog = VoicePackCatalog((tmp_path / "packs",), loras=(tmp_path / "loras",))
    assert catalog.lora("csm-1b+anna") == own.resolve()


def test_links_name_those_that_training_called_alike(tmp_path: Path) -> None:
    loras = pack(tmp_path / "packs") / "loras"
    loras.mkdir()
    runs = {name: lora(tmp_path / f"run-{name}" / "checkpoint-500") for name in ("anna", "ben")}
    for name, folder in runs.items():
        (loras / name).symlink_to(folder)
    catalog = VoicePackCatalog((tmp_path / "packs",))
    assert ids(catalog) == ["csm-1b", "csm-1b+anna", "csm-1b+ben"]
    assert [catalog.lora(f"csm-1b+{name}") for name in runs] == [folder.resolve() for folder in runs.values()]


@pytest.mark.parametrize("written", [".", "inside/.."])
def test_one_that_is_written_without_a_name_has_that_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    folder = lora(tmp_path / "anna")
    (folder / "inside").mkdir()
    monkeypatch.chdir(folder)
    assert lora_folders([Path(written)]) == {"anna": folder.resolve()}


def test_one_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    lora(pack(tmp_path) / "loras" / "anna")
    catalog = VoicePackCatalog((tmp_path,))
    with pytest.raises(NotFound, match=r"The model csm-1b has no LoRA 'bert'; it has anna\."):
        catalog.resolve("csm-1b+bert")
    with pytest.raises(NotFound, match="no model called"):
        catalog.resolve("nobody+anna")


def test_one_of_a_model_that_takes_none_is_refused(tmp_path: Path) -> None:
    lora(pack(tmp_path, "piper", "amy") / "loras" / "anna")
    catalog = VoicePackCatalog((tmp_path,))
    with pytest.raises(NotFound, match="has no LoRA 'anna'; it has none"):
        catalog.resolve("amy+anna")


def test_an_alias_of_the_model_may_be_named_with_a_lora(tmp_path: Path) -> None:
    lora(pack(tmp_path) / "loras" / "anna")
    (tmp_path / "model_catalog.yaml").write_text("aliases: {sesame: csm-1b}\n", "utf-8")
    assert VoicePackCatalog((tmp_path,)).resolve("sesame+anna") == "csm-1b+anna"


def test_one_that_comes_or_changes_leaves_its_model_as_it_was(tmp_path: Path) -> None:
    folder = pack(tmp_path)
    catalog = VoicePackCatalog((tmp_path,))
    anna = lora(folder / "loras" / "anna")
    came = catalog.refresh()
    assert (came.added, came.changed) == ({"csm-1b+anna"}, frozenset())
    (anna / "adapter_model.safetensors").write_bytes(b"12345")
    assert catalog.refresh().changed == {"csm-1b+anna"}
    (folder / "config.json").write_text("{}", "utf-8")
    assert catalog.refresh().changed == {"csm-1b"}


def test_a_model_whose_pack_has_a_mistake_has_no_loras(tmp_path: Path) -> None:
    folder = pack(tmp_path)
    lora(folder / "loras" / "anna")
    (folder / "metadata.yaml").write_text("{}", "utf-8")
    catalog = VoicePackCatalog((tmp_path,))
    assert ids(catalog) == []
    with pytest.raises(ConfigError):
        catalog.pack("csm-1b")
