"""The adapter keeps Parley's contract: every test of the suite runs against it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from parley_chimes import RATE, ChimesAdapter

from parley.interfaces import TtsAdapter
from parley.testing.adapters import AdapterContract
from parley.values import ModelInfo
from parley.worker.pack import VoicePack

INFO = ModelInfo("bell", "chimes", sample_rate=RATE)


class TestChimes(AdapterContract):
    repeatable = True

    def make_adapter(self) -> TtsAdapter:
        return ChimesAdapter(VoicePack(INFO))

    def break_files(self) -> TtsAdapter:
        folder = Path(tempfile.mkdtemp())
        (folder / "tuning.txt").write_text("rather high", "utf-8")
        return ChimesAdapter(VoicePack(INFO, folder))
