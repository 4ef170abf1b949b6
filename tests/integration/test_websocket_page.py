"""The protocol page tells the truth: its client works as printed, its tables name every message."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import sys
import wave
from pathlib import Path
from typing import Any, get_args

import pytest

from parley import errors, messages
from parley.testing.echo_host import EchoHost, echo_app, ramp, serving

PAGE = (Path(__file__).parents[2] / "docs/reference/websocket.md").read_text()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_the_client_of_the_page_works_as_printed(tmp_path: Path) -> None:
    source = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert source is not None
    (tmp_path / "client.py").write_text(source[1])
    async with serving(echo_app(EchoHost())) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "client.py", url, "play 0.5", "answer.wav", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert b"0.5 seconds of counting" in output
    with wave.open(str(tmp_path / "answer.wav")) as file:
        assert file.getframerate() == 48_000
        assert file.readframes(file.getnframes()) == ramp(0, 24_000)


def _rows(marker: str) -> dict[str, str]:
    """Type -> the cell of its fields, of the table that follows the marker."""
    table = PAGE.split(f"<!-- {marker}")[1].split("\n\n")[1]
    rows: dict[str, str] = {}
    for line in table.splitlines()[2:]:
        names, fields = (cell.strip() for cell in line.strip("|").split("|")[:2])
        for name in re.findall(r"`(\w+)`", names):
            rows[name] = fields
    return rows


@pytest.mark.parametrize(
    ("marker", "union"), [("client messages", messages.ClientMessage), ("server messages", messages.ServerMessage)]
)
def test_the_tables_name_every_message_and_every_field(marker: str, union: Any) -> None:
    rows = _rows(marker)
    classes = {cls.type: cls for cls in get_args(union)}
    assert set(rows) == set(classes)
    for name, cls in classes.items():
        listed = re.findall(r"`(\w+)`", rows[name])
        assert listed == [field.name for field in dataclasses.fields(cls)], name


def test_the_page_lists_every_error_code() -> None:
    codes = {cls.code for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.ParleyError)}
    listed = set(re.findall(r"`(\w+)`", PAGE.split("### Error codes")[1].split("## Limits")[0]))
    # codes that never reach a client: a family's own name, a machine's settings, a bug
    assert codes - {"bad_request", "configuration", "invalid_transition"} <= listed | {"internal"}
