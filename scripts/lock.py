"""Pin every version that Parley may install.

Writes ``requirements.lock`` (every extra and the development tools, for every platform and Python, with
hashes and without addresses) and puts the same pins into ``[tool.uv] constraint-dependencies`` of
``pyproject.toml``, where ``uv run`` and ``uv sync`` obey them.

python scripts/lock.py              keeps versions that still fit
python scripts/lock.py --upgrade    takes the newest ones
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
_BEGIN = "# --- pins: written by `just lock`, do not edit ---\n"
_END = "# --- end of pins ---\n"


def compile_lock(*options: str) -> None:
    """Let uv resolve."""
    command = [
        "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-emit-index-url",
        "--no-emit-find-links", "--no-annotate", "--no-header", "--python-version", "3.11",
        "--all-extras", "--group", "dev", "--output-file", str(LOCK.relative_to(ROOT)), *options, "pyproject.toml",
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)


def pins(lock: str) -> list[str]:
    """``name==version ; marker`` of every entry."""
    lines = re.findall(r"^([A-Za-z0-9][^\s\\]*==[^\\\n]+?)\s*\\?$", lock, re.MULTILINE)
    return [line.strip() for line in lines]


def with_pins(project: str, entries: list[str]) -> str:
    """The text of ``pyproject.toml`` with these pins between the two marks."""
    block = _BEGIN + "constraint-dependencies = [\n"
    block += "".join(f"  {entry!r},\n" if '"' in entry else f'  "{entry}",\n' for entry in entries) + "]\n" + _END
    if _BEGIN in project:
        start, rest = project.split(_BEGIN)
        return start + block + rest.split(_END)[1]
    return project.rstrip("\n") + "\n\n[tool.uv]\n" + block


def without_pins(project: str) -> str:
    """The same text with no pins, so that an upgrade is free to move."""
    return with_pins(project, [])


def main() -> int:
    """Resolve and write."""
    project = PROJECT.read_text("utf-8")
    PROJECT.write_text(without_pins(project), "utf-8")
    try:
        compile_lock(*sys.argv[1:])
    except subprocess.CalledProcessError as error:
        PROJECT.write_text(project, "utf-8")
        print("uv could not find versions that fit together; what it said stands above.", file=sys.stderr)
        return error.returncode
    text = LOCK.read_text("utf-8")
    if addresses := re.findall(r"https?://\S+", text):
        print(f"The lock names an address, which it must not: {addresses[0]}", file=sys.stderr)
        return 1
    PROJECT.write_text(with_pins(project, pins(text)), "utf-8")
    print(f"pinned {len(pins(text))} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
