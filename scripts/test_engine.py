"""Run the tests of engines that have an environment of their own, in the one that ``parley engines install`` makes.

python scripts/test_engine.py ENGINE [flags of pytest]

The environments lie in ``.venv-engines``. The usual build of torch is for CUDA, so that each takes 5 to 8 GB (3 to 4
to download). A run of the whole suite writes what it ran, with which versions, for how long and how it ended, into
docs/reference/tested-engines.md; a run with flags does not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from parley.environments import groups

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-engines"
TESTS = {
    "whisperx": "tests/integration/asr/test_whisperx.py",
    "parler": "tests/integration/worker/test_parler.py",
    "csm": "tests/integration/worker/test_csm.py",
}
PAGE = ROOT / "docs" / "reference" / "tested-engines.md"
VERSIONS = {"whisperx": ("whisperx", "torch"), "parler": ("parler-tts", "torch"), "csm": ("transformers", "torch")}
HEAD = """\
# Engines tested in their own environments

<!-- Each row is written by `just test-whisperx`, `just test-parler` or `just test-csm`. -->

Their packages are gigabytes, so CI does not run these suites with every change; each row is the last whole run of one.
The models in them are tiny and random, in the real layout, made by the real library.
What is shown is that the code runs and agrees with the library, not how a voice sounds.

| engine | commit | date | with | on | took | result |
| --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> int:
    """Make the environment, or bring it up to date, then run the tests."""
    engine, *flags = sys.argv[1:]
    parley = [sys.executable, "-m", "parley", "engines", "install", engine, "--yes"]
    subprocess.run([*parley, "--set", f"engines.folder={FOLDER}"], check=True, cwd=ROOT)
    environ = {**os.environ, f"PARLEY_TEST_{engine.upper()}": str(FOLDER)}
    began = time.perf_counter()
    tests = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-rs", *(flags or ["-v"]), TESTS[engine]],
        cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert tests.stdout is not None
    last = ""
    for line in tests.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    code = tests.wait()
    if not flags:
        row = row_of(engine, time.perf_counter() - began, last)
        PAGE.write_text(with_row(PAGE.read_text("utf-8") if PAGE.is_file() else "", engine, row), "utf-8")
        print(row)
    return code


def row_of(engine: str, seconds: float, last: str) -> str:
    """A run as a row of the page; ``last`` is the line that pytest ends with."""
    group = groups.find(engine, groups.GROUPS)
    assert group is not None
    listed = (ROOT / "src/parley/environments/lists" / f"{group.name}.txt").read_text("utf-8")
    versions = [found[0] for name in VERSIONS[engine] if (found := re.search(rf"^{name}==[^ ]+", listed, re.MULTILINE))]
    result = re.sub(r" in [\d.]+s.*", "", last.strip("= "))
    with_ = ", ".join([f"Python {group.python_name}", *versions]).replace("==", " ")
    on = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    day = datetime.now(UTC).date().isoformat()
    return f"| `{engine}` | {commit()} | {day} | {with_} | {on} | {seconds / 60:.1f} min | {result} |"


def commit() -> str:
    """The commit, and whether what ran was another tree."""
    said = [("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no")]
    name, changed = (
        subprocess.run(["git", *asked], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
        for asked in said
    )
    return f"{name}, changed" if changed else name


def with_row(page: str, engine: str, row: str) -> str:
    """The page with the engine's row as it is now; rows are sorted."""
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `([\w-]+)` \|.*$", page, re.MULTILINE)}
    return HEAD + "".join(f"{line}\n" for _, line in sorted({**rows, engine: row}.items()))


if __name__ == "__main__":
    sys.exit(main())
