"""The contract between orchestrator and worker, with the lowest versions of protobuf and gRPC that are allowed.

The newest ones are those of every other test.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.clients.environments import ROOT, Environments, Outcome, names, outcome

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
WORKER = ROOT / "tests" / "integration" / "worker"
FILES = [WORKER / f"test_{what}.py" for what in ("speaking", "refusals")]
TESTS = names(*FILES)


@pytest.fixture(scope="module")
def inside(environments: Environments, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return outcome(environments.python("floors"), tmp_path_factory.mktemp("floors"), *map(str, FILES))


@pytest.mark.parametrize("name", TESTS)
def test_a_worker_keeps_its_contract(inside: Outcome, name: str) -> None:
    inside.judge(name)


def test_the_lowest_versions_are_the_ones_that_are_allowed() -> None:
    asked = Path(ROOT, "pyproject.toml").read_text("utf-8")
    pins = dict(
        line.split("==")
        for line in Path(ROOT, "tests/clients/floors/requirements.in").read_text("utf-8").splitlines()
        if "==" in line
    )
    for package, version in pins.items():
        assert f'"{package}>={version.removesuffix(".0")}' in asked
