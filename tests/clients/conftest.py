"""One set of environments, and one run of each program in them, for all tests of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.clients.programs import Programs, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    it = Programs(wanted(request.session.items), tmp_path_factory.mktemp("clients"))
    yield it
    it.close()
