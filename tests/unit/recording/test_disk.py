"""A disk that is full, read-only, gone or slow costs the recording, never the conversation."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest
import structlog

from parley.messages import SessionStarted
from parley.recording import SessionRecorder, recorder
from parley.recording.format import EVENTS
from parley.transports.memory import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

BROKE_OFF = "recording broke off, the conversation goes on"


@pytest.fixture
def complaints() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


def recording(folder: Path) -> SessionRecorder:
    return SessionRecorder(folder, session_id="s1", input_rate=16_000, details={})


async def test_a_disk_that_fails_ends_the_recording_and_nothing_else(
    tmp_path: Path, complaints: list[structlog.typing.EventDict]
) -> None:
    (tmp_path / "s1" / EVENTS).mkdir(parents=True)
    with recording(tmp_path) as kept:
        kept.note("left", {})
    kept.join()
    assert not kept.complete
    assert [said["event"] for said in complaints] == [BROKE_OFF]


async def test_a_folder_that_cannot_be_made_ends_the_recording_and_nothing_else(
    tmp_path: Path, complaints: list[structlog.typing.EventDict]
) -> None:
    (tmp_path / "in-the-way").write_text("")
    with recording(tmp_path / "in-the-way") as kept:
        kept.note("left", {})
    kept.join()
    assert not kept.complete
    assert [(said["event"], said["reason"]) for said in complaints] == [(BROKE_OFF, "Not a directory")]


async def test_a_participant_is_not_told_of_a_recording_that_there_is_not(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("")
    inner = MemoryTransport()
    with recording(tmp_path / "in-the-way") as kept:
        kept.join()
        await kept.transport(inner).send_message(SessionStarted("s1"))
    assert [message.recorded for message in inner.participant.messages if isinstance(message, SessionStarted)] == [
        False
    ]


async def test_a_disk_that_cannot_keep_up_ends_the_recording_by_bytes_not_by_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaints: list[structlog.typing.EventDict]
) -> None:
    monkeypatch.setattr(recorder, "BACKLOG", 10_000)
    os.mkfifo(tmp_path / "stuck")
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / EVENTS).symlink_to(tmp_path / "stuck")  # a disk that takes nothing until somebody reads
    with recording(tmp_path) as kept:
        for _ in range(9):
            kept.note("mic", {}, bytes(600))
        assert kept.complete
        kept.note("mic", {}, bytes(3_000))
        assert not kept.complete
        with (tmp_path / "stuck").open() as reader:
            kept.__exit__()
            lines = reader.read().splitlines()
    kept.join()
    assert [json.loads(line)[1] for line in lines[1:]] == ["mic"] * 9 + ["incomplete"]
    assert [said["reason"] for said in complaints] == ["the disk cannot keep up"]


async def test_what_is_written_frees_its_place_for_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "BACKLOG", 2_000)
    with recording(tmp_path) as kept:
        async with asyncio.timeout(10):
            for _ in range(50):
                kept.note("mic", {}, bytes(600))
                while kept.backlog:
                    await asyncio.sleep(0.001)
    kept.join()
    assert kept.complete


async def test_half_a_surrogate_pair_does_not_end_the_recording(tmp_path: Path) -> None:
    with recording(tmp_path) as kept:
        kept.note("delta", {"call": 0, "text": "\ud83d"})
    kept.join()
    lines = (tmp_path / "s1" / EVENTS).read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[1])[2]["text"] == "\ud83d"
