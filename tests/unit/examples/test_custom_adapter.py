"""The example adapter, found through a real entry point, keeps the contract and is listed as a family."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parley.testing.adapters import AdapterContract
from parley.worker import adapters
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parley.interfaces import TtsAdapter

EXAMPLE = Path(__file__).parents[3] / "examples" / "custom_adapter"


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put the example on the path with the metadata that installing it would write."""
    site = tmp_path_factory.mktemp("site")
    info = site / "parley_chimes-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parley-chimes\nVersion: 1.0.0\n")
    declared = (EXAMPLE / "pyproject.toml").read_text().partition('[project.entry-points."parley.tts_adapters"]')[2]
    entry = declared.strip().splitlines()[0].replace('"', "")
    (info / "entry_points.txt").write_text(f"[{adapters.ENTRY_POINT_GROUP}]\n{entry}\n")
    sys.path[:0] = [str(site), str(EXAMPLE)]
    adapters.forget_outside_families()
    yield
    sys.path[:2] = []
    adapters.forget_outside_families()


class TestExampleAdapter(AdapterContract):
    repeatable = True

    def make_adapter(self) -> TtsAdapter:
        return VoicePackCatalog((EXAMPLE / "voicepacks",)).create("bell")


def test_the_family_is_known_by_its_entry_point() -> None:
    assert "chimes" in adapters.family_names()


def test_the_readme_s_pack_is_read_without_a_problem() -> None:
    catalog = VoicePackCatalog((EXAMPLE / "voicepacks",))
    assert not catalog.problems()
    assert catalog.pack("bell").info.family == "chimes"
