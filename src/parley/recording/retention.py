"""Recordings leave when their time is up."""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog

from parley.recording.format import EVENTS

log = structlog.get_logger(__name__)

SECONDS_A_DAY = 86_400.0


def remove_expired(folder: Path, *, now: float, retention_days: float) -> list[str]:
    """Delete every recording last written more than ``retention_days`` before ``now`` (seconds since 1970).

    Only folders that hold a recording are touched; one that cannot be deleted is complained about and keeps no
    other from going. Returns the names of those deleted.
    """
    removed = []
    for events in sorted(folder.glob(f"*/{EVENTS}")):
        try:
            if now - events.stat().st_mtime > retention_days * SECONDS_A_DAY:
                shutil.rmtree(events.parent)
                removed.append(events.parent.name)
        except FileNotFoundError:
            continue  # another process that shares the folder was faster
        except OSError as error:
            log.error("recording cannot be deleted", folder=str(events.parent), reason=error.strerror or str(error))
    return removed
