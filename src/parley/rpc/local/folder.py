"""Where the sockets of this machine's workers lie: one folder of this user's, which nobody else may enter.

A worker tells the name of its socket, never a path, so that whoever speaks in a worker's name can lead an orchestrator
to no other socket than one in this folder. Names are random: a name that is found here is that very worker.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import stat
import tempfile
from pathlib import Path

SUPPORTED = hasattr(socket, "AF_UNIX") and hasattr(os, "getuid")
_NAME = re.compile(r"[0-9]{1,10}-[0-9a-f]{32}")
_MOST = 4096
"""Sockets of workers that were killed, looked at when another one starts."""


def folder_here() -> Path:
    """The folder, whether it exists or not."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"parley-{os.getuid()}"


def new_name() -> str:
    """A name that no other socket has."""
    return f"{os.getpid()}-{secrets.token_hex(16)}"


def bind(name: str) -> tuple[socket.socket, Path]:
    """A socket that listens under this name, and where it lies. Raises OSError when that cannot be."""
    if not SUPPORTED:
        raise OSError("this system has no Unix sockets")
    folder = folder_here()
    folder.mkdir(mode=0o700, exist_ok=True)
    if not _is_private(folder):
        raise PermissionError(f"{folder} belongs to another user, or others may write to it")
    _sweep(folder)
    path = folder / name
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
    except BaseException:  # our own code: no socket stays behind at which nobody listens
        listener.close()
        path.unlink(missing_ok=True)
        raise
    return listener, path


def find(name: str) -> Path | None:
    """Where the socket of that name lies; None when it is not on this machine, or not ours to trust."""
    if not SUPPORTED or not _NAME.fullmatch(name):
        return None
    folder = folder_here()
    path = folder / name
    try:
        found = path.lstat()
        trusted = stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid() and _is_private(folder)
    except OSError:
        return None
    return path if trusted else None


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _sweep(folder: Path) -> None:
    """Remove what workers that were killed have left: sockets at which nobody listens."""
    for path in list(folder.iterdir())[:_MOST]:
        if not _NAME.fullmatch(path.name):
            continue
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
