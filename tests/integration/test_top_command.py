"""`parley top` in front of a real worker, into a terminal and into a pipe; and of a registry that is not there."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator

import pytest

from parley import cli
from parley.testing.engines import EngineCatalog
from parley.worker.server import Worker
from parley.worker.settings import ModelSettings, WorkerSettings

UP, ERASE = b"\x1b[1A", b"\x1b[2K"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    settings = WorkerSettings(port=0, name="alpha", models=ModelSettings(default_model="tone"))
    worker = Worker(settings, EngineCatalog())
    await worker.start()
    yield worker
    await worker.aclose()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "parley", "top", *arguments]


@pytest.mark.anyio
@pytest.mark.parametrize("columns", [80, 160])
async def test_in_a_terminal_the_picture_is_drawn_anew_in_its_place_until_ctrl_c(worker: Worker, columns: int) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *command("--worker", worker.address), stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    async with asyncio.timeout(60):
        while shown.count(b"alpha") < 3:
            shown += await asyncio.to_thread(os.read, ours, 65_536)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 15) == 130
    os.close(ours)
    pictures = shown.split(b"alpha")
    assert all(UP in between and ERASE in between for between in pictures[1:-1])


@pytest.mark.anyio
async def test_into_a_pipe_it_is_printed_once_without_colours_and_cursor(worker: Worker) -> None:
    process = await asyncio.create_subprocess_exec(
        *command("--worker", worker.address), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, errors) == (0, b"")
    assert b"\x1b" not in out
    assert out.count(b"alpha") == 1
    assert b"tone *" in out


@pytest.mark.parametrize("name", ["top", "workers"])
def test_without_any_worker_the_command_fails_and_says_so(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--json", "--registry", "redis://127.0.0.1:1/0"])
    captured = capsys.readouterr()
    assert end.value.code == 1
    assert json.loads(captured.out) == []
    assert "cannot be reached" in captured.err
