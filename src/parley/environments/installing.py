"""Making an environment: in a folder beside its own, which takes its place in one step when all of it works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from parley.environments import child_package, groups, uv
from parley.environments.groups import Interpreter, Label, Work
from parley.environments.shelf import alone, digest, interpreter_in, write_label
from parley.errors import ConfigError, UnavailableError
from parley.folders import size_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.environments.groups import Group
    from parley.environments.shelf import Environments

_HEADROOM = 1.1
_PROBE_LIMIT = 600.0
"""Seconds: the first import of torch writes its bytecode."""
_OFFLINE = {"HF_HUB_OFFLINE": "1", "PYANNOTE_METRICS_ENABLED": "false"}
"""Looking whether an engine works tells nobody of it."""
_PROBE = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
import parley.asr.child
try:
    import torch
except ModuleNotFoundError:
    print(json.dumps({"torch": "", "cuda": False}))
else:
    print(json.dumps({"torch": torch.__version__, "cuda": bool(torch.version.cuda)}))
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is about to be done, so that people can be asked first."""

    group: Group
    work: Work
    python: str
    """Interpreter that the environment is made with."""
    download_mb: int
    disk_mb: int


def planned(shelf: Environments, group: Group, *, torch_index: str = "", replace: bool = False) -> Installation:
    """What an installation would do. Raises ConfigError when uv, a Python that fits, or room is missing."""
    to_do = groups.work(
        shelf.label(group),
        listed=digest(shelf.listed(group)),
        child=child_package.version(),
        interpreter=shelf.python(group).is_file(),
        replace=replace,
    )
    if to_do is not Work.ALL:
        return Installation(group, to_do, str(shelf.python(group)), 0, 0)
    plan = Installation(
        group,
        to_do,
        _interpreter(group).path,
        groups.download_mb(shelf.listed(group), torch_index=bool(torch_index)),
        groups.disk_mb(group, torch_index=bool(torch_index)),
    )
    _check_room(shelf.folder, plan)
    return plan


def install(
    shelf: Environments,
    plan: Installation,
    *,
    torch_index: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> Label:
    """Do it; ``say`` hears one line a step.

    An installation that fails or is cut off leaves what there was, and nothing of its own that counts. Raises
    UnavailableError when a package cannot be had or does not work here, PreconditionFailed while another
    process installs the same group.
    """
    program = uv.needed("Making an environment")
    shelf.folder.mkdir(parents=True, exist_ok=True)
    with alone(shelf.folder, plan.group.name):
        if plan.work is Work.CHILD:
            return _child_again(shelf, plan.group, program)
        return _all(shelf, plan, program, torch_index, say)


def _all(shelf: Environments, plan: Installation, program: str, torch_index: str, say: Callable[[str], None]) -> Label:
    group, listed = plan.group, shelf.listed(plan.group)
    place, staging = shelf.path(group), shelf.staging(group)
    shutil.rmtree(staging, ignore_errors=True)  # of an installation that was cut off
    say(f"with {plan.python}")
    making = [program, "venv", "--quiet", "--relocatable", "--no-python-downloads", "--python", plan.python]
    uv.run([*making, str(staging)], cwd=shelf.folder, what=f"An environment of {plan.python}", failing="cannot be made")
    try:
        python = interpreter_in(staging)
        _bring(program, python, groups.packages(listed, torch_index=bool(torch_index)), torch_index, group, say)
        _lay_child(program, python)
        say("looking whether it works")
        label = _probed(python, group, digest(listed))
        label = replace(label, size=size_of(staging))
        write_label(staging, label)
        _swap(staging, place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return label


def _bring(
    program: str,
    python: Path,
    wanted: groups.Packages,
    torch_index: str,
    group: Group,
    say: Callable[[str], None],
) -> None:
    """Wheels alone, nothing built but what the group names, nothing that is not in the list."""
    pip = [program, "pip", "install", "--python", str(python), "--no-deps"]
    pip += groups.not_built(wanted.pinned, group.sources)
    with tempfile.TemporaryDirectory() as elsewhere:  # no project's own constraints may get in between
        listed = Path(elsewhere, "list.txt")
        listed.write_text(wanted.pinned, "utf-8")
        say("its packages")
        uv.run([*pip, "--require-hashes", "-r", str(listed)], cwd=elsewhere, what=f"A package of {group.name}")
        if wanted.from_torch_index:
            say(f"torch from {torch_index}")
            folder = Path(torch_index).expanduser()
            where = ["--no-index", "--find-links", str(folder)] if folder.is_dir() else ["--index-url", torch_index]
            uv.run([*pip, *where, *wanted.from_torch_index], cwd=elsewhere, what=f"torch from {torch_index}")


def _lay_child(program: str, python: Path) -> None:
    with tempfile.TemporaryDirectory() as elsewhere:
        wheel = child_package.write_wheel(Path(elsewhere))
        pip = [program, "pip", "install", "--quiet", "--python", str(python), "--no-deps", "--no-index"]
        uv.run([*pip, str(wheel)], cwd=elsewhere, what=wheel.name, failing="cannot be installed")


def _child_again(shelf: Environments, group: Group, program: str) -> Label:
    """The engine's packages stay; the part of Parley in it is replaced."""
    label = shelf.label(group)
    assert label is not None
    _lay_child(program, shelf.python(group))
    label = replace(label, child=child_package.version())
    write_label(shelf.path(group), label)
    return label


def _probed(python: Path, group: Group, listed: str) -> Label:
    """The label of an environment whose engine can be imported. Raises UnavailableError with what it said else."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _PROBE, group.module],
            env={**os.environ, **_OFFLINE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROBE_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{group.name} was not imported within {_PROBE_LIMIT:.0f} s; try again.") from None
    if done.returncode:
        raise UnavailableError(f"{group.name} is installed but cannot be imported{uv.reason(done.stderr)}.")
    said = json.loads(done.stdout.splitlines()[-1])
    return Label(group.name, listed, child_package.version(), group.python_name, said["torch"], said["cuda"])


def _swap(staging: Path, place: Path) -> None:
    """The new environment in the old one's place; decoders that run in the old one go on with what they have read."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    staging.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _interpreter(group: Group) -> Interpreter:
    """One on this machine, this very process's first. Raises ConfigError with which one is missing."""
    own = Interpreter(sys.executable, sys.version_info[:3], sys.implementation.name)
    others = (
        Interpreter(each["path"], tuple(each["version_parts"].values()), each["implementation"])
        for each in uv.interpreters(uv.needed("Making an environment"))
    )
    found = groups.fitting([own], group.python) or groups.fitting(others, group.python)
    if found is None:
        raise ConfigError(
            f"{group.name} needs Python {group.python_name}, which is not on this machine; install it with "
            f"`uv python install {group.python_name}` or your system's packages."
        )
    return found


def _check_room(folder: Path, plan: Installation) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free, needed = shutil.disk_usage(existing).free, plan.disk_mb * 1_000_000 * _HEADROOM
    if needed > free:
        raise ConfigError(
            f"{plan.group.name} takes {needed / 1e6:.0f} MB and {folder} has {free / 1e6:.0f} MB free; make room "
            "first, or name another place: engines.folder."
        )
