"""The programs inside other people's environments, two at a time: most of the time somebody speaks, and they wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.clients.environments import Environments, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

AT_ONCE = 2
Program = Callable[[Environments, Path], Outcome]
"""Makes its environment and runs in a folder of its own."""


class Programs:
    """All that are wanted, from now on; ``programs[name]`` waits for one."""

    def __init__(self, wanted: Mapping[str, Program], folder: Path) -> None:
        self.environments = environments = Environments(_made(folder / "environments"))
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._outcomes = {
            name: self._pool.submit(program, environments, _made(folder / name)) for name, program in wanted.items()
        }

    def __getitem__(self, name: str) -> Outcome:
        return self._outcomes[name].result()

    def close(self) -> None:
        """Begin no more of them, and wait for those that run."""
        self._pool.shutdown(cancel_futures=True)


def wanted(items: list[pytest.Item]) -> dict[str, Program]:
    """The programs of these tests, in their order: those in ``PROGRAMS`` of a test's module that it names, or all.

    Other tests of the same run have modules of their own, with what names they like.
    """
    return {name: program for item in items for name, program in _of(item)}


def _of(item: pytest.Item) -> Iterator[tuple[str, Program]]:
    if "programs" not in getattr(item, "fixturenames", ()):
        return
    programs: dict[str, Program] = getattr(getattr(item, "module", None), "PROGRAMS", {})
    named = getattr(item, "callspec", None)
    client = named.params.get("client") if named is not None else None
    for name, program in programs.items():
        if client in (None, name):
            yield name, program


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
