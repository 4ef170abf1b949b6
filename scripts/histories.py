"""Live through many random histories of a session, and say which cells of its three tables they reached.

Up to a thousand of them are lived through with tools.

``python scripts/histories.py 10000`` spreads them over the machine's cores; other histories with another ``--seed``.
Fails when one of them does, or when too few cells were reached.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parley.session.decide.call_life import CALL_TABLE
from parley.session.decide.floor_table import TABLE
from parley.session.decide.reply_life import REPLY_TABLE

TESTS = ("tests/session/test_random_histories.py", "tests/session/test_random_tools.py")
WITH_TOOLS = 1_000
"""At most so many, as the test of them has it."""
ENOUGH = 0.95
CELLS = {
    name: {" ".join(part.value for part in key) for key in table}
    for name, table in (("floor", TABLE), ("reply", REPLY_TABLE), ("call", CALL_TABLE))
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("histories", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wanted = {"HISTORIES": arguments.histories, "SEED": arguments.seed, "CELLS": folder}
        environment = os.environ | {f"PARLEY_TEST_{name}": str(value) for name, value in wanted.items()}
        command = [sys.executable, "-m", "pytest", "-q", "-n", arguments.workers, *TESTS]
        began = time.perf_counter()
        failed = subprocess.run(command, env=environment, check=False).returncode
        took, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime
        lived = arguments.histories + min(arguments.histories, WITH_TOOLS)
        print(
            f"{arguments.histories} histories in {took:.0f} s on {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f}; "
            f"{1000 * cpu / lived:.1f} ms of CPU for each of {lived}, those with tools and the start included"
        )
        reached = _merged(Path(folder))
    enough = [_print(name, cells, reached[name]) for name, cells in CELLS.items()]
    return failed or (0 if all(enough) else 1)


def _merged(folder: Path) -> dict[str, set[str]]:
    """What all shards reached together."""
    reached: dict[str, set[str]] = {name: set() for name in CELLS}
    for path in folder.glob("*.json"):
        for name, cells in json.loads(path.read_text(encoding="utf-8")).items():
            reached[name].update(cells)
    return reached


def _print(name: str, cells: set[str], reached: set[str]) -> bool:
    share = len(reached & cells) / len(cells)
    print(f"{name}: {len(reached & cells)} of {len(cells)} cells reached ({share:.0%})")
    for cell in sorted(cells):
        print(f"  {'x' if cell in reached else '-'} {cell}")
    return share >= ENOUGH


if __name__ == "__main__":
    sys.exit(main())
