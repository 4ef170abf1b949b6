"""Which voice speaks where nobody names one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parley.worker.voicepacks import AUTO, VoicePackCatalog

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("piper")


def fetched(root: Path, model_id: str, languages: str, family: str = "piper") -> None:
    folder = root / family / model_id
    folder.mkdir(parents=True)
    (folder / "metadata.yaml").write_text(f"languages: [{languages}]\nlicence: MIT\n", "utf-8")


def test_without_anything_fetched_the_embedded_voice_speaks(tmp_path: Path) -> None:
    catalog = VoicePackCatalog((tmp_path,))
    assert (catalog.best("en"), catalog.resolve(AUTO)) == ("espeak", "espeak")


def test_a_fetched_voice_speaks_its_own_language_and_the_embedded_one_the_others(tmp_path: Path) -> None:
    fetched(tmp_path, "en_US-joe-medium", "en-US")
    catalog = VoicePackCatalog((tmp_path,))
    assert (catalog.best("en-GB"), catalog.best(""), catalog.best("de")) == (
        "en_US-joe-medium",
        "en_US-joe-medium",
        "espeak",
    )


def test_a_pack_that_the_catalog_does_not_know_speaks_only_when_it_is_named(tmp_path: Path) -> None:
    fetched(tmp_path, "my-own", "en-US")
    assert VoicePackCatalog((tmp_path,)).best("en") == "espeak"


def test_a_voice_whose_engine_is_missing_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched(tmp_path, "en_US-joe-medium", "en-US")
    monkeypatch.setattr("parley.worker.adapters.find_spec", lambda module: None)
    assert VoicePackCatalog((tmp_path,)).best("en") == "espeak"
