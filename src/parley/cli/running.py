"""Where the `parley up` of this machine can be found by other commands: a small file in the user's own folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer


@dataclass(frozen=True, slots=True)
class RunningServer:
    """One `parley up` that lives."""

    pid: int
    url: str
    workers: tuple[str, ...]
    """host:port of each of its workers."""


def folder() -> Path:
    """Where such files lie: the session's runtime folder, else the user's own folder of Parley."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(runtime, "parley") if runtime else Path(typer.get_app_dir("parley"), "run")


@contextlib.contextmanager
def noted(url: str, workers: Sequence[str]) -> Iterator[None]:
    """Let other commands of this user find the server while the block lasts. No key is written down.

    Where nothing can be written they have to be given the addresses; the server runs all the same.
    """
    path = folder() / f"up-{os.getpid()}.json"
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"pid": os.getpid(), "url": url, "workers": list(workers)}, file)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def found() -> list[RunningServer]:
    """Every `parley up` of this user that lives; files that a killed one left behind are removed."""
    servers = []
    with contextlib.suppress(OSError):
        for path in sorted(folder().glob("up-*.json")):
            server = _read(path)
            if server is not None and _lives(server.pid):
                servers.append(server)
            else:
                path.unlink(missing_ok=True)
    return servers


def workers_here() -> tuple[str, ...]:
    """Addresses of all their workers."""
    return tuple(address for server in found() for address in server.workers)


def _read(path: Path) -> RunningServer | None:
    try:
        data = json.loads(path.read_text("utf-8"))
        return RunningServer(int(data["pid"]), str(data["url"]), tuple(str(each) for each in data["workers"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is somebody else's, but it is there
    return True
