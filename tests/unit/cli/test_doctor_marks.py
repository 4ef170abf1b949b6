"""The doctor says where word marks are estimated although the voice could tell them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from parley.cli import checks
from parley.config import Settings
from parley.testing import tiny_models

NAME = "word marks of piper"


pytest.importorskip("piper")
pytest.importorskip("onnx")


def findings(packs: Path) -> list[checks.Finding]:
    settings = Settings()
    store = replace(settings.store, folder=str(packs / "store"))  # not the developer's own
    settings = replace(settings, worker=replace(settings.worker, voicepacks=(str(packs),)), store=store)
    return [finding for finding in checks._voices(settings) if finding.name == NAME]


def test_piper_without_onnx_is_told_with_what_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_models.piper_pack(tmp_path)
    assert findings(tmp_path) == []
    present = checks._present
    monkeypatch.setattr(checks, "_present", lambda name: name != "onnx" and present(name))
    (finding,) = findings(tmp_path)
    assert finding.state == "optional"
    assert "piper" in finding.mend


def test_who_has_no_such_voice_is_told_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_present", lambda name: name == "piper")
    assert findings(tmp_path) == []
