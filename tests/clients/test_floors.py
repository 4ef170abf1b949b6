"""The contract between orchestrator and worker, with the lowest versions of protobuf and gRPC that are allowed.

The newest ones are those of every other test.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.clients.environments import ROOT, Environments, Outcome, names, outcome

if TYPE_CHECKING:
    from tests.clients.programs import Programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
WORKER = ROOT / "tests" / "integration" / "worker"
FILES = [WORKER / f"test_{what}.py" for what in ("speaking", "refusals")]
TESTS = names(*FILES)


def floors(environments: Environments, folder: Path) -> Outcome:
    return outcome(environments.python("floors"), folder, *map(str, FILES))


PROGRAMS = {"floors": floors}


@pytest.mark.parametrize("name", TESTS)
def test_a_worker_keeps_its_contract(programs: Programs, name: str) -> None:
    programs["floors"].judge(name)


def test_the_lowest_versions_are_the_ones_that_are_allowed() -> None:
    asked = Path(ROOT, "pyproject.toml").read_text("utf-8")
    pins = dict(
        line.split("==")
        for line in Path(ROOT, "tests/clients/floors/requirements.in").read_text("utf-8").splitlines()
        if "==" in line
    )
    for package, version in pins.items():
        assert f'"{package}>={version.removesuffix(".0")}' in asked
