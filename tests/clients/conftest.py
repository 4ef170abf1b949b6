"""One set of environments for all tests of a run."""

from __future__ import annotations

import pytest
from tests.clients.environments import Environments


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    return Environments(tmp_path_factory.mktemp("environments"))
