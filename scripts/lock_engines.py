"""Pin every package of the environments of engines: `just lock-engines`.

Writes src/parley/environments/lists/NAME.txt for each group: every distribution with its version and checksums,
without addresses, and what the wheels for this machine come to. The Python is the group's own.

python scripts/lock_engines.py [NAME ...]    resolve anew
python scripts/lock_engines.py --check       exit code 1 when a list was not made for what its group asks for
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from parley.environments import groups
from parley.environments.shelf import LISTS

EXPORT = ("--no-emit-project", "--no-header", "--no-annotate", "--quiet")


def main() -> int:
    """Lock or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(groups.GROUPS))
    parser.add_argument("--check", action="store_true")
    wanted = parser.parse_args()
    for name in wanted.names:
        group, path = groups.GROUPS[name], LISTS / f"{name}.txt"
        if not wanted.check:
            path.write_text(resolved(group), "utf-8")
            print(f"wrote {path.name}: {groups.header(path.read_text('utf-8'))['download']} MB to download")
        elif not path.is_file() or not groups.agrees(group, path.read_text("utf-8")):
            print(f"The list of {name} is not of what it asks for: run `just lock-engines {name}`.", file=sys.stderr)
            return 1
    return 0


def resolved(group: groups.Group) -> str:
    """The list of a group."""
    with tempfile.TemporaryDirectory() as folder:
        needs = "".join(f'  "{need}",\n' for need in group.needs)
        Path(folder, "pyproject.toml").write_text(
            f'[project]\nname = "engines"\nversion = "0"\nrequires-python = "=={group.python_name}.*"\n'
            f"dependencies = [\n{needs}]\n",
            "utf-8",
        )
        subprocess.run(["uv", "lock", "--quiet"], cwd=folder, check=True)
        export = ["uv", "export", "--format", "requirements-txt", *EXPORT]
        listed = subprocess.run(export, cwd=folder, check=True, capture_output=True, text=True).stdout
        sizes = wheel_sizes(tomllib.loads(Path(folder, "uv.lock").read_text("utf-8")), group)
    here = [name for name, marker in re.findall(r"^([\w.-]+)==[^\s;]+(?: ; (.*?))? \\$", listed, re.MULTILINE)
            if not marker or Marker(marker).evaluate()]  # fmt: skip
    total = sum(sizes[name] for name in here)
    cuda = sum(sizes[name] for name in here if groups.for_cuda(name))
    return (
        "# Written by scripts/lock_engines.py; sizes in MB, on linux x86_64.\n"
        f"# needs: {', '.join(group.needs)}\n# python: {group.python_name}\n"
        f"# download: {total / 1e6:.0f}\n# without cuda: {(total - cuda) / 1e6:.0f}\n{listed}"
    )


def wheel_sizes(lock: dict[str, Any], group: groups.Group) -> dict[str, int]:
    """Bytes of each package's best wheel for this machine, or of its source where it has none."""
    ranks = {tag: rank for rank, tag in enumerate(sys_tags())}
    sizes = {}
    for package in lock["package"]:
        fits = []
        for wheel in package.get("wheels", ()):
            tags = parse_wheel_filename(wheel["url"].rpartition("/")[2])[3]
            rank = min((ranks[tag] for tag in tags if tag in ranks), default=None)
            if rank is not None:
                fits.append((rank, wheel["size"]))
        if fits:
            sizes[package["name"]] = min(fits)[1]
        elif "sdist" in package:
            sizes[package["name"]] = package["sdist"]["size"]
    return sizes


if __name__ == "__main__":
    sys.exit(main())
