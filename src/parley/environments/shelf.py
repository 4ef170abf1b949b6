"""The environments that were made: one folder each, visible once it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parley.environments import child_package, groups
from parley.environments.groups import Group, Label, State
from parley.errors import ConfigError, NotFound, PreconditionFailed
from parley.folders import data_folder, own_size_of
from parley.hints import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parley.environments.settings import EngineSettings

LABEL = "parley.json"
LISTS = Path(__file__).parent / "lists"
"""Of packages, one a group."""


@dataclass(frozen=True, slots=True)
class Environments:
    """``folder/<group>/``, each an environment with a label."""

    folder: Path

    def path(self, group: Group) -> Path:
        """Where its environment lies, or would."""
        return self.folder / group.name

    def staging(self, group: Group) -> Path:
        """Where it is made."""
        return self.folder / f".{group.name}.part"

    def python(self, group: Group) -> Path:
        """Its interpreter."""
        return interpreter_in(self.path(group))

    def listed(self, group: Group) -> str:
        """Its list of packages."""
        return (LISTS / f"{group.name}.txt").read_text("utf-8")

    def label(self, group: Group) -> Label | None:
        """What its environment says of itself; None where there is none."""
        try:
            return Label(**json.loads((self.path(group) / LABEL).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def state(self, group: Group) -> State:
        """How it stands."""
        return groups.state(
            self.label(group),
            listed=digest(self.listed(group)),
            child=child_package.version(),
            interpreter=self.python(group).is_file(),
        )

    def usable(self, name: str) -> bool:
        """Whether a family can run in its environment just now."""
        group = groups.find(name, groups.GROUPS)
        return group is not None and self.state(group) in groups.USABLE

    def interpreter(self, name: str) -> str:
        """The interpreter that runs a family. Raises ConfigError with the command that makes its environment."""
        group = groups.find(name, groups.GROUPS)
        assert group is not None, name
        now = self.state(group)
        if now not in groups.USABLE:
            raise ConfigError(
                f"The engine {name} runs in an environment of its own, which is {now.value}; make it with "
                f"`{command(f'engines install {name}')}`."
                if now is State.ABSENT
                else f"The environment of the engine {name} cannot be used: {now.value}; make it again with "
                f"`{command(f'engines install {name}')}`."
            )
        return str(self.python(group))

    def remove(self, group: Group) -> tuple[int, int]:
        """Delete an environment; returns the bytes that came back, and those that uv's cache still has.

        Raises NotFound when there is none.
        """
        path, staging = self.path(group), self.staging(group)
        if not path.is_dir() and not staging.is_dir():
            raise NotFound(f"The environment {group.name} is not on this machine; there is nothing to remove.")
        with alone(self.folder, group.name):
            label, freed = self.label(group), own_size_of(path) + own_size_of(staging)
            (path / LABEL).unlink(missing_ok=True)  # from here on it does not count, whatever happens
            for folder in (path, staging):
                shutil.rmtree(folder, ignore_errors=not folder.is_dir())
        return freed, max(0, label.size - freed) if label else 0


@contextlib.contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """One process at a time changes a group's environment; the system lets go of the lock when its holder dies."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with (folder / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PreconditionFailed(f"Another process is at the environment {name} just now; wait for it.") from None
        yield


def interpreter_in(environment: Path) -> Path:
    """Where an environment keeps it on this system."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def write_label(environment: Path, label: Label) -> None:
    """The last thing that is written into an environment."""
    (environment / LABEL).write_text(json.dumps(asdict(label), indent=1) + "\n", "utf-8")


def digest(listed: str) -> str:
    """Of a list of packages."""
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def open_environments(settings: EngineSettings) -> Environments:
    """Those in the folder that the settings name, or the user's own."""
    return Environments(Path(settings.folder).expanduser() if settings.folder else data_folder() / "environments")
