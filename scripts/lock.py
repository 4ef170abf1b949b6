"""Pin every version: `just lock`.

Resolves the project for all its extras, platforms and Pythons, then writes

* requirements.lock: every distribution with its version and hashes, without addresses;
* the same versions as ``constraint-dependencies`` in pyproject.toml, which is how they reach ``uv run``.

python scripts/lock.py            resolve within the present pins
python scripts/lock.py --upgrade  take the newest versions that fit
python scripts/lock.py --check    exit code 1 when the two files do not say the same
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT, LOCK = ROOT / "pyproject.toml", ROOT / "requirements.lock"
BEGIN, END = "# pins: written by scripts/lock.py\n", "# end of pins\n"
EXPORT = ("--all-extras", "--all-groups", "--no-emit-project", "--no-header", "--no-annotate", "--quiet")


def main() -> int:
    """Lock or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--upgrade", action="store_true")
    wanted = parser.parse_args()
    if wanted.check:
        if pinned() == constraints(LOCK.read_text("utf-8")):
            return 0
        print("requirements.lock and the pins in pyproject.toml differ: run `just lock`.", file=sys.stderr)
        return 1
    upgrade = ["--upgrade"] if wanted.upgrade else []
    if upgrade:
        write_pins([])
    subprocess.run(["uv", "lock", "--quiet", *upgrade], cwd=ROOT, check=True)
    exported = subprocess.run(
        ["uv", "export", "--format", "requirements-txt", *EXPORT], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    LOCK.write_text(exported, encoding="utf-8")
    write_pins(constraints(exported))
    print(f"pinned {len(pinned())} distributions")
    return 0


def constraints(lock: str) -> list[str]:
    """Name, version and marker of every line of a lock, hashes left out."""
    lines = re.findall(r"^([A-Za-z0-9][^\\\n]*?)\s*\\?$", lock, re.MULTILINE)
    return [line for line in lines if "==" in line]


def pinned() -> list[str]:
    """The pins in pyproject.toml."""
    text = PROJECT.read_text("utf-8")
    block = text.partition(BEGIN)[2].partition(END)[0]
    return re.findall(r'^  "(.*)",$', block, re.MULTILINE)


def write_pins(pins: list[str]) -> None:
    """Put these pins between the two comment lines of pyproject.toml."""
    before, _, rest = PROJECT.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "".join(f'  "{pin}",\n' for pin in pins)
    PROJECT.write_text(f"{before}{BEGIN}constraint-dependencies = [\n{lines}]\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
