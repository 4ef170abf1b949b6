"""Certificates that are renewed while a process runs: noticed by their files, and taken once they are whole."""

from __future__ import annotations

import os
from collections.abc import Sequence

Stamp = tuple[tuple[int, int, int], ...]


class RenewedFiles:
    """Files of which somebody may put newer ones in place."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)
        self._taken = self._stamp()

    def newer(self) -> Stamp | None:
        """What tells them from those that were taken; None while they are the same, and while one is missing."""
        stamp = self._stamp()
        return stamp if stamp and stamp != self._taken else None

    def take(self, stamp: Stamp) -> None:
        """Those are in use now."""
        self._taken = stamp

    def _stamp(self) -> Stamp:
        try:
            found = [os.stat(path) for path in self._paths]
        except OSError:
            return ()
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)
