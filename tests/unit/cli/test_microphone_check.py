"""What ``parley chat`` shows of a microphone before the first conversation with it."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from parley.cli.microphone_check import check_microphone

pytestmark = pytest.mark.anyio
LOUD = (np.sin(np.arange(480) / 5) * 8000).astype(np.int16).tobytes()
SOFT = (np.sin(np.arange(480) / 5) * 3).astype(np.int16).tobytes()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    return tmp_path


async def sound(blocks: list[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def shown(blocks: list[bytes], *, name: str = "", width: int = 80, terminal: bool = True) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=width, height=24, color_system=None)
    await check_microphone(console, sound(blocks), name)
    return out.getvalue()


async def test_who_speaks_is_heard_once_for_each_microphone() -> None:
    speaking = [SOFT] * 100 + [LOUD] * 100
    assert "I hear you." in await shown(speaking)
    assert await shown(speaking) == ""
    assert "I hear you." in await shown(speaking, name="Headset")


async def test_who_is_not_heard_is_told_what_to_do_each_time() -> None:
    for blocks, words in (([bytes(960)] * 200, "no sound at all"), ([SOFT] * 200, "nobody's voice")):
        for _ in range(2):
            said = " ".join((await shown(blocks)).split())
            assert "I can't hear you" in said
            assert words in said
            assert "--microphone" in said


async def test_a_card_that_gives_nothing_is_not_waited_for() -> None:
    assert "no sound at all" in " ".join((await shown([])).split())


async def test_nothing_is_shown_where_nobody_looks(home: Path) -> None:
    assert await shown([LOUD] * 200, terminal=False) == ""
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("width", [20, 80, 160])
async def test_the_meter_has_room_in_every_window(width: int) -> None:
    said = await shown([SOFT] * 100 + [LOUD] * 100, width=width)
    rows = [row for row in said.replace("\r", "\n").splitlines() if "Say" in row]
    assert any("█" in row for row in rows)
    assert all(len(row.rstrip()) <= width for row in re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", said))


async def test_a_file_that_is_none_of_ours_is_no_memory(home: Path) -> None:
    (home / "parley").mkdir()
    (home / "parley" / "microphones.json").write_text('{"": true')
    assert "I hear you." in await shown([SOFT] * 100 + [LOUD] * 100)
