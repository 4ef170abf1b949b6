"""A running Parley whose loop is measured, and how an undisturbed listener hears it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.attacks.victim import Server, Undisturbed, undisturbed
from tests.integration.people import running

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.integration.people import Running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="package")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    folder = tmp_path_factory.mktemp("parley")
    measured = Path(__file__).with_name("measured.py")
    with running(folder, program=[str(measured), str(folder / "loop")]) as it:
        yield it


@pytest.fixture(scope="package")
def quiet(parley: Running) -> Undisturbed:
    """The same text while nobody attacks."""
    return undisturbed(Server(parley))
