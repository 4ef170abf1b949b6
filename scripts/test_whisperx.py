"""Run WhisperX's real library in the environment that ``parley engines install whisperx`` makes, ``.venv-engines``.

The usual build of torch is for CUDA, so the environment takes 7 GB (4 GB to download); flags go to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-engines"
TESTS = "tests/integration/asr/test_whisperx.py"


def main() -> int:
    """Make the environment, or bring it up to date, then run the tests."""
    parley = [sys.executable, "-m", "parley", "engines", "install", "whisperx", "--yes"]
    subprocess.run([*parley, "--set", f"engines.folder={FOLDER}"], check=True, cwd=ROOT)
    environ = {**os.environ, "PARLEY_TEST_WHISPERX": str(FOLDER)}
    tests = [sys.executable, "-m", "pytest", "-rs", TESTS, *sys.argv[1:]]
    return subprocess.run(tests, cwd=ROOT, env=environ).returncode


if __name__ == "__main__":
    sys.exit(main())
