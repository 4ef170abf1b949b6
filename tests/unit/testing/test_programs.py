"""Programs among the test tools and scripts ask for help like all others, and write nothing for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "program",
    [
        ("-m", "parley.testing.tiny_models"),
        ("-m", "parley.testing.tiny_asr"),
        (str(ROOT / "scripts" / "docs.py"),),
        (str(ROOT / "scripts" / "lock.py"),),
        (str(ROOT / "scripts" / "voice_pack_docs.py"),),
    ],
    ids=lambda program: Path(program[-1]).name,
)
def test_help_is_help(program: tuple[str, ...], tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, *program, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("usage:")
    assert list(tmp_path.iterdir()) == []


def test_a_pack_that_does_not_exist_is_named(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "parley.testing.tiny_models", str(tmp_path), "huge"]
    shown = subprocess.run(program, capture_output=True, text=True, timeout=100)
    assert shown.returncode == 2
    assert "there is no pack huge; choose of piper-tiny" in shown.stderr
