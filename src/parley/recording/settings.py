"""Settings of recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """Whether sessions are kept on disk, where, and for how long."""

    enabled: Annotated[
        bool, Setting("Keep what is said, by both sides, on disk. Switch on only with the participants' consent.")
    ] = False
    folder: Annotated[str, Setting("Where recordings are written, one folder for each session.")] = "recordings"
    retention_days: Annotated[
        float, Setting("Recordings older than this are deleted, at start and every hour.", unit="d", ge=0, le=3650)
    ] = 7.0
