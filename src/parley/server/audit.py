"""Who did what, as lines of JSON in a file: never a word that was said, a key or a token.

The file is opened for each batch of lines, so that whoever rotates it need not tell us. Written by a thread of its
own: a slow disk keeps nobody waiting, and one that fails loses lines, which the next line that is written says.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

log = structlog.get_logger(__name__)

_MOST = 10_000
"""Lines that wait for the disk."""
_AT_ONCE, _A_SECOND = 100, 2
"""Refusals that are noted one by one: whoever tries keys must not fill the disk."""


class AuditLog:
    """Appends to the file at ``path``. Close it: what was noted is written then."""

    def __init__(self, path: str, *, wall_clock: Callable[[], float]) -> None:
        self._path, self._wall_clock = path, wall_clock
        self._lines: queue.Queue[str | None] = queue.Queue(_MOST)
        self.lost = 0
        self._failing = False
        self._left_out, self._room, self._roomed = 0, float(_AT_ONCE), wall_clock()
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    def refused(self, **about: str | float) -> None:
        """One line for who was turned away: of many a second only some, the next says how many it stands for."""
        now = self._wall_clock()
        self._room = min(_AT_ONCE, self._room + (now - self._roomed) * _A_SECOND)
        self._roomed = now
        if self._room < 1:
            self._left_out += 1
            return
        self._room -= 1
        about["left_out_before"], self._left_out = self._left_out, 0
        self.note("refused", **about)

    def note(self, event: str, **about: str | float) -> None:
        """One line; empty fields are left out."""
        if self.lost:
            about["lost_before"] = self.lost
        at = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"at": at, "event": event} | {name: value for name, value in about.items() if value})
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.lost += 1
        else:
            self.lost = 0

    def close(self) -> None:
        """Write what waits, for five seconds at most."""
        try:
            self._lines.put(None, timeout=5)
        except queue.Full:
            log.error("the audit log could not be written to its end", path=self._path)
        self._thread.join(5)

    def _write_all(self) -> None:
        going_on = True
        while going_on:
            lines = [self._lines.get()]
            while True:
                try:
                    lines.append(self._lines.get_nowait())
                except queue.Empty:
                    break
            going_on = None not in lines
            if written := [line for line in lines if line is not None]:
                self._write(written)

    def _write(self, lines: list[str]) -> None:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            self.lost += len(lines)
            if not self._failing:
                log.error("the audit log cannot be written", path=self._path, reason=error.strerror)
            self._failing = True
        else:
            self._failing = False
