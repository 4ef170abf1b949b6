"""Pin the packages of the environments in which other people's clients are tested: `just lock-clients`.

Each folder of tests/clients with a requirements.in gets a requirements.txt beside it: every distribution with its
version, without addresses, for every Python that Parley runs on. Where Parley itself is asked for (`parley-voice`),
what it needs is pinned too; the package comes from the tree.

python scripts/lock_clients.py [NAME ...]   resolve anew
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / "tests" / "clients"
COMPILE = ("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--no-header", "--no-annotate")
OURSELVES = "parley-voice"


def main(names: list[str]) -> int:
    """Lock those of these names, or all."""
    for name in names or sorted(path.parent.name for path in CLIENTS.glob("*/requirements.in")):
        asked = (CLIENTS / name / "requirements.in").read_text("utf-8").splitlines()
        others = [line for line in asked if line.partition("[")[0] != OURSELVES]
        project = [str(ROOT / "pyproject.toml")] if len(others) < len(asked) else []
        # Elsewhere, so that the pins of the project do not hold.
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "requirements.in").write_text("\n".join(others), "utf-8")
            command = [*COMPILE, "requirements.in", *project]
            pins = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
        (CLIENTS / name / "requirements.txt").write_text(pins, "utf-8")
        print(f"{name}: {len(pins.splitlines())} distributions")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
