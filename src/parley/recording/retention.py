"""Recordings leave when their time is up."""

from __future__ import annotations

import shutil
from pathlib import Path

from parley.recording.format import EVENTS

SECONDS_A_DAY = 86_400.0


def remove_expired(folder: Path, *, now: float, retention_days: float) -> list[str]:
    """Delete every recording last written more than ``retention_days`` before ``now`` (seconds since 1970).

    Only folders that hold a recording are touched. Returns the names of those deleted.
    """
    removed = []
    for events in sorted(folder.glob(f"*/{EVENTS}")):
        if now - events.stat().st_mtime > retention_days * SECONDS_A_DAY:
            shutil.rmtree(events.parent)
            removed.append(events.parent.name)
    return removed
