"""Fixtures for every test: asyncio only, and nothing may be left behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from xdist.scheduler import LoadFileScheduling

PROGRAMS = {f"tests/clients/test_{name}.py" for name in ("floors", "pipecat", "realtime", "voices_and_ears")}
"""The files whose tests look at the same runs (``tests/clients/programs.py``)."""

# A busy machine must not fail a test: no example has a deadline of its own (the test's time-out stays). CI tries the
# same examples each time, so that it judges the change and not the dice; everybody else throws new ones.
settings.register_profile("parley", deadline=None, derandomize=bool(os.environ.get("PARLEY_CI")))
settings.load_profile("parley")


# The contracts live in the package: their failed assertions show values, too.
pytest.register_assert_rewrite("parley.testing.adapters", "parley.testing.recognizers", "parley.testing.transports")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """Where several processes run the tests: those that share what is dear to make stay in one."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        """A file's tests stay together; those of other people's programs, which are run once for all, as well."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "programs" if file in PROGRAMS else file

    return ByFile(config, log)


@pytest.fixture
def anyio_backend() -> str:
    """Parley runs on asyncio: grpc.aio and aiortc need it."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """What the developer has exported or fetched must not decide about a test, nor about a server of a whole module."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("PARLEY_")]:
            if not name.startswith(("PARLEY_TEST_", "PARLEY_CI")):
                environment.delenv(name)
        # Every test starts with an empty store, and without environments of engines.
        environment.setenv("PARLEY_STORE__FOLDER", str(tmp_path_factory.getbasetemp() / "store"))
        environment.setenv("PARLEY_ENGINES__FOLDER", str(tmp_path_factory.getbasetemp() / "environments"))
        yield


@pytest.fixture
async def no_tasks_left() -> AsyncGenerator[None, None]:
    """Fail when the test leaves a task running that was not there before it."""
    before = asyncio.all_tasks()
    yield
    for _ in range(10):  # what has been cancelled or closed just now may take its last steps
        await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if not _is_runner(task)}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    assert not left, f"left running: {', '.join(map(repr, left))}"


def _is_runner(task: asyncio.Task[object]) -> bool:
    """True for the tasks in which anyio runs tests and fixtures."""
    return "TestRunner" in getattr(task.get_coro(), "__qualname__", "")


@pytest.fixture
def no_processes_left() -> Generator[None, None, None]:
    """Fail when the test leaves a child process, or a child's child that it started."""
    before = _descendants()
    yield
    left = _descendants() - before
    assert not left, f"left running: {', '.join(map(_described, sorted(left)))}"


def _described(process: int) -> str:
    """Its number, its state and its command line; it may be gone by now."""
    folder = Path(f"/proc/{process}")
    try:
        state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        return f"{process} ({state}) {(folder / 'cmdline').read_bytes().replace(bytes(1), b' ').decode().strip()}"
    except OSError:
        return f"{process} (gone by now)"


def _descendants() -> set[int]:
    """Process ids below this one; zombies that nobody waited for count as well."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(text.rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}
