"""The commands that errors tell people to run: they fit the way in which this Parley was started.

In a clone, uv keeps the environment (``uv sync --extra piper``, ``uv run parley up``). Anywhere else Parley's own
name may belong to somebody else on an index, so an extra is named by the packages that it stands for.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "parley-voice"
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w-]+)["']""")


@dataclass(frozen=True, slots=True)
class Start:
    """How this process came to be."""

    project: Path | None = None
    """The clone whose environment uv keeps, where Parley runs in one."""
    inside: bool = True
    """True when the current folder is in the clone."""
    on_path: bool = True
    """True when ``parley`` alone is found."""
    python: str = "python"
    has_pip: bool = True

    def install(self, extra: str) -> str:
        """The command that installs what an extra of Parley's stands for."""
        if self.project is None:
            return self.install_packages(*packages_of(extra))
        where = "" if self.inside else f" --project {shlex.quote(str(self.project))}"
        return f"uv sync --extra {extra} --inexact{where}"

    def install_packages(self, *packages: str) -> str:
        """The command that installs packages beside Parley."""
        names = " ".join(shlex.quote(package) for package in packages)
        if self.has_pip:
            return f"{shlex.quote(self.python)} -m pip install {names}"
        return f"uv pip install --python {shlex.quote(self.python)} {names}"

    def command(self, words: str) -> str:
        """How to run ``parley WORDS`` here."""
        if self.on_path or self.project is None:
            return f"parley {words}"
        where = "" if self.inside else f"--project {shlex.quote(str(self.project))} "
        return f"uv run {where}parley {words}"


def packages_of(extra: str) -> tuple[str, ...]:
    """The packages of an extra, as the installed metadata has them; its name where there is no metadata."""
    try:
        known = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        known = []
    parts = [requirement.partition(";") for requirement in known]
    return tuple(name.strip() for name, _, marker in parts if extra in _EXTRA.findall(marker)) or (extra,)


@cache
def started() -> Start:
    """How this very process was started."""
    root = Path(__file__).resolve().parents[2]
    prefix = Path(sys.prefix).resolve()
    environment = Path(root, os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")).resolve()
    project = root if _is_project(root) and prefix == environment else None
    by_uv = "UV_RUN_RECURSION_DEPTH" in os.environ
    return Start(
        project=project,
        inside=Path.cwd().is_relative_to(root),
        on_path=not by_uv and shutil.which("parley") is not None,
        python=sys.executable or "python",
        has_pip=find_spec("pip") is not None,
    )


def _is_project(root: Path) -> bool:
    try:
        return f'name = "{DISTRIBUTION}"' in (root / "pyproject.toml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def install(extra: str) -> str:
    """The command that installs what an extra of Parley's stands for."""
    return started().install(extra)


def install_packages(*packages: str) -> str:
    """The command that installs packages beside Parley."""
    return started().install_packages(*packages)


def command(words: str) -> str:
    """How to run ``parley WORDS`` here."""
    return started().command(words)
