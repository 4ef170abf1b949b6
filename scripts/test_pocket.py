"""Run the adapter contract for Pocket TTS in an environment of its own, ``.venv-pocket``.

Pocket TTS needs torch, which is too large for everybody's environment. The CPU build of torch is
tried first (about 200 MB from download.pytorch.org); where that index can not be reached, the usual
package index gives a build with CUDA libraries (about 3 GB), which runs on the CPU as well.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-pocket" / "bin" / "python"
PACKAGES = ("-e", ".[pocket]", "pytest", "pytest-timeout")


def main() -> int:
    """Make the environment when it is missing, then run the tests; further arguments go to pytest."""
    if not PYTHON.exists():
        subprocess.run(["uv", "venv", str(PYTHON.parent.parent)], check=True, cwd=ROOT)
    if subprocess.run([PYTHON, "-c", "import torch, pocket_tts, parley, pytest, pytest_timeout"], cwd=ROOT).returncode:
        install = ["uv", "pip", "install", "--python", str(PYTHON), *PACKAGES]
        if subprocess.run([*install, "--torch-backend", "cpu"], cwd=ROOT).returncode:
            subprocess.run(install, check=True, cwd=ROOT)
    tests = [
        "-m",
        "pytest",
        "tests/contracts/test_adapters.py",
        "-k",
        "Pocket",
        "-p",
        "no:cacheprovider",
        *sys.argv[1:],
    ]
    return subprocess.run([PYTHON, *tests], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
