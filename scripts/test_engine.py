"""Run the tests of engines that have an environment of their own, in the one that ``parley engines install`` makes.

python scripts/test_engine.py ENGINE [flags of pytest]

The environments lie in ``.venv-engines``. The usual build of torch is for CUDA, so that each takes 6 to 8 GB (3 to 4
to download).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-engines"
TESTS = {
    "whisperx": "tests/integration/asr/test_whisperx.py",
    "parler": "tests/integration/worker/test_parler.py",
    "csm": "tests/integration/worker/test_csm.py",
}


def main() -> int:
    """Make the environment, or bring it up to date, then run the tests."""
    group, *flags = sys.argv[1:]
    parley = [sys.executable, "-m", "parley", "engines", "install", group, "--yes"]
    subprocess.run([*parley, "--set", f"engines.folder={FOLDER}"], check=True, cwd=ROOT)
    environ = {**os.environ, f"PARLEY_TEST_{group.upper()}": str(FOLDER)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", TESTS[group], *flags], cwd=ROOT, env=environ
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
