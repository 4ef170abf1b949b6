"""The catalog of models: what it says, and the sentence for each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parley.errors import ConfigError, NotFound
from parley.store import read_catalog
from parley.store.catalog import KINDS
from parley.store.engines import ENGINES

if TYPE_CHECKING:
    from pathlib import Path


def test_every_model_says_what_it_is_for_and_under_which_licence() -> None:
    for entry in read_catalog().models.values():
        assert entry.kind in KINDS
        assert entry.licence
        assert entry.sources or entry.forbidden
        assert not entry.extra or entry.extra in ENGINES


def test_a_model_from_a_wheel_has_the_wheels_checksum_and_that_of_its_own_files() -> None:
    for entry in read_catalog().models.values():
        for source in entry.sources:
            if source.scheme == "pip":
                assert len(source.sha256.split(",")) == len(source.place.split(","))
                assert set(entry.checksums) == set(entry.files) or entry.kind == "llm"


def test_the_authors_own_source_stands_first() -> None:
    for entry in read_catalog().models.values():
        schemes = [source.scheme for source in entry.sources]
        assert schemes == sorted(schemes)  # hf before pip


def test_what_is_recommended_is_known() -> None:
    catalog = read_catalog()
    assert {catalog.find(name).kind for name in catalog.recommended} == {"ears", "voice", "turn"}


def test_an_unknown_model_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(NotFound, match=r"No model called 'amy' is known; known are .*whisper-tiny.en"):
        read_catalog().find("amy")


def _refused(folder: Path, text: str, match: str) -> None:
    (folder / "model_catalog.yaml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=match):
        read_catalog((folder,))


def test_a_source_names_exactly_one_place(tmp_path: Path) -> None:
    entry = "models: {a: {kind: ears, engine: x, licence: MIT, sources: [{hf: a/b, url: 'http://c', files: {m: m}}]}}"
    _refused(tmp_path, entry, r"'models.a.sources.0' must name exactly one of hf, pip, url, file")


def test_sources_bring_the_same_files(tmp_path: Path) -> None:
    sources = "[{hf: a/b, files: {m: m}}, {url: 'http://c', files: {n: n}}]"
    _refused(tmp_path, f"models: {{a: {{kind: ears, engine: x, licence: MIT, sources: {sources}}}}}", "different files")


def test_a_kind_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path) -> None:
    entry = "models: {a: {kind: nose, engine: x, licence: MIT, sources: []}}"
    _refused(tmp_path, entry, r"key 'models.a.kind' is 'nose'; it must be one of voice, ears, turn, interruption, llm")
