"""Recordings leave when their time is up, and nothing else does."""

from __future__ import annotations

import os
from pathlib import Path

from parley.recording import remove_expired
from parley.recording.format import EVENTS

DAY = 86_400.0


def recorded(folder: Path, name: str, written: float) -> Path:
    events = folder / name / EVENTS
    events.parent.mkdir(parents=True)
    events.write_text("{}")
    os.utime(events, (written, written))
    return events.parent


def test_a_recording_past_its_time_is_deleted_and_a_younger_one_stays(tmp_path: Path) -> None:
    old = recorded(tmp_path, "old", written=0.0)
    young = recorded(tmp_path, "young", written=5 * DAY)

    removed = remove_expired(tmp_path, now=8 * DAY, retention_days=7)

    assert removed == ["old"]
    assert not old.exists()
    assert young.exists()


def test_a_folder_that_holds_no_recording_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()

    assert remove_expired(tmp_path, now=1000 * DAY, retention_days=0) == []
    assert (tmp_path / "photos").exists()
