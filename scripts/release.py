"""What a release's tag must agree with, and what its page says.

python scripts/release.py v0.1.0              exit code 1 when version, package and changelog do not say the same
python scripts/release.py v0.1.0 --notes FILE  writes that version's part of the changelog there
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def notes(changelog: str, version: str) -> str:
    """What the changelog says of one version, without its heading; "" where it has no such part."""
    parts = re.split(r"^## \[([^\]]+)\].*$", changelog, flags=re.MULTILINE)
    return dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True)).get(version, "")


def complaints(tag: str, project: str, package: str, changelog: str) -> list[str]:
    """Why this tag is no release; empty when it is one. ``project`` and ``package`` are their versions."""
    version = tag.removeprefix("v")
    found = []
    if not re.fullmatch(r"v\d+\.\d+\.\d+((a|b|rc)\d+)?", tag):
        found.append(f"The tag {tag} is not v and a version: write it as v{project}.")
    if project != version:
        found.append(f"pyproject.toml has version {project}, the tag says {version}: change one of them.")
    if package != version:
        found.append(f"parley.__version__ is {package}, the tag says {version}: change one of them.")
    if not notes(changelog, version):
        found.append(f"CHANGELOG.md says nothing under [{version}]: give what is under [Unreleased] that heading.")
    return found


def main() -> int:
    """Check, write the notes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tag")
    parser.add_argument("--notes", type=Path)
    wanted = parser.parse_args()
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    package = re.search(r'^__version__ = "(.+)"$', (ROOT / "src/parley/__init__.py").read_text("utf-8"), re.MULTILINE)
    found = complaints(wanted.tag, project, package[1] if package else "missing", changelog)
    for each in found:
        print(each, file=sys.stderr)
    if not found and wanted.notes:
        wanted.notes.write_text(notes(changelog, wanted.tag.removeprefix("v")) + "\n", encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
