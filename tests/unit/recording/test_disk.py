from __future__ import annotations

from pathlib import Path

import pytest

from parley.recording import SessionRecorder
from parley.recording.format import EVENTS

pytestmark = pytest.mark.anyio


async def test_a_disk_that_fails_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "s1" / EVENTS).mkdir(parents=True)
    recorder = SessionRecorder(tmp_path, session_id="s1", input_rate=16_000, details={})
    with recorder:
        recorder.note("left", {})
    recorder.join()
    assert not recorder.complete
