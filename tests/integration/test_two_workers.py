"""`parley up` keeps the embedded voice twice, and the other commands find its workers without being told where."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.people import Running, contiguous, running, talking

from parley.cli.running import found
from parley.messages import ReplyEnded, ReplyStarted, SayDelta, SayEnd
from parley.rpc.client import WorkerClient

pytestmark = pytest.mark.anyio
STORY = (
    "Once upon a time there was a lighthouse on a rock far out at sea. The keeper lit the lamp at dusk, every day of "
    "the year. One night the lamp went out, and the ships were lost in the dark."
)


@pytest.fixture
def parley(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Running, None, None]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with running(tmp_path) as it:
        yield it


@asynccontextmanager
async def clients() -> AsyncIterator[list[WorkerClient]]:
    """The workers that were noted, once all of them serve."""
    (server,) = found()
    workers = [WorkerClient(address) for address in server.workers]
    try:
        async with asyncio.timeout(60):
            while not all([await worker.healthy() for worker in workers]):
                await asyncio.sleep(0.05)
        yield workers
    finally:
        for worker in workers:
            await worker.aclose()


def process_at(address: str) -> int:
    """The worker that listens there."""
    port = address.rpartition(":")[2].encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"worker" in words and port in words:
            return int(path.parent.name)
    raise AssertionError(f"no worker listens at {address}")


async def command(*words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "parley", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def test_a_story_goes_on_when_the_worker_that_speaks_is_killed(parley: Running) -> None:
    async with clients() as workers, talking(parley) as participant:
        assert len(workers) == 2
        await participant.client.send(SayDelta(STORY))
        await participant.client.send(SayEnd())
        story = await participant.next(ReplyStarted)
        await participant.hear(1.0)
        leases = [sum(model.leases for model in await worker.models()) for worker in workers]
        os.kill(process_at(workers[leases.index(max(leases))].address), signal.SIGKILL)
        ended = await participant.next(ReplyEnded, 60, utterance_id=story.utterance_id)
        assert (ended.outcome, ended.heard_text) == ("finished", ended.text)
        assert contiguous(participant.heard(story.utterance_id))
    assert "failed in mid-utterance" in parley.log.read_text()


async def test_the_models_commands_find_the_workers_of_parley_up(parley: Running) -> None:
    async with clients():
        code, out, errors = await command("models", "load", "espeak")
        assert (code, errors, out.count("espeak is resident")) == (0, "", 2)
        code, out, _ = await command("models", "list", "--json")
        listed = json.loads(out)
        assert (code, len(listed["workers"]), listed["used_by"]) == (0, 2, parley.url)
        assert {model["model_id"] for model in listed["models"] if model["in_use"]} >= {"pocketsphinx", "espeak"}
        code, out, _ = await command("workers", "--json")
        assert (code, len(json.loads(out))) == (0, 2)


async def test_a_worker_that_fails_makes_the_exit_status_tell(parley: Running) -> None:
    async with clients() as workers:
        code, out, errors = await command("models", "load", "espeak", "-w", workers[0].address, "-w", "127.0.0.1:9")
    assert (code, "espeak is resident" in out, "127.0.0.1:9" in errors) == (1, True, True)


async def test_where_the_server_is_stands_in_a_file_for_its_user_alone_and_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with running(tmp_path, "--workers", "1") as parley:
        (path,) = Path(tmp_path, "parley").iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        (server,) = found()
        assert (server.pid, server.url, len(server.workers)) == (parley.process.pid, parley.url, 1)
    assert list(Path(tmp_path, "parley").iterdir()) == []
