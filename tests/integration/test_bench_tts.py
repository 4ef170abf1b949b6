"""The benchmark of voices measures what it says, on a voice that costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parley.bench import tts
from parley.bench.report import BenchOptions
from parley.testing import tiny_models

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _nothing_left(no_processes_left: None) -> None:
    """Workers and library processes end with the benchmark."""


def test_a_family_is_measured_at_each_number_of_sessions() -> None:
    rows = tts.run(BenchOptions(trials=2, sessions=(1, 2), params={"adapter": "tone"}))
    assert [(row.name, row.n, row.params["sessions"]) for row in rows] == [
        ("first frame", 2, 1),
        ("real-time factor", 2, 1),
        ("cpu", 2, 1),
        ("first frame", 4, 2),
        ("real-time factor", 4, 2),
        ("cpu", 2, 2),
    ]
    assert all(row.p50 is not None and row.load for row in rows)


def test_piper_packs_are_compared_with_the_library(tmp_path: Path) -> None:
    tiny_models.piper_pack(tmp_path)
    options = BenchOptions(trials=1, sessions=(1,), params={"adapter": "piper", "voicepacks": str(tmp_path)})
    rows = {row.name: row for row in tts.run(options)}
    assert rows["cpu through Parley"].p50 > rows["cpu of the library"].p50 > 0
    assert rows["first frame after the library's"].n == len(tts.TEXTS)


def test_a_pack_that_can_not_be_loaded_is_said_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_models.kokoro_pack(tmp_path)
    (folder / "model.onnx").write_bytes(b"broken")
    assert tts.run(BenchOptions(trials=1, params={"adapter": "kokoro", "voicepacks": str(tmp_path)})) == []
    assert "model.onnx (6 bytes) is not an ONNX model" in capsys.readouterr().err
