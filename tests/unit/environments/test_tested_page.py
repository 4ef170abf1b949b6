"""The page of engines that were tested in their own environments: a row each, the last run of it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from parley.environments import groups

ROOT = Path(__file__).parents[3]
_spec = importlib.util.spec_from_file_location("test_engine", ROOT / "scripts" / "test_engine.py")
assert _spec is not None
assert _spec.loader is not None
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


def row(engine: str, result: str = "1 passed") -> str:
    return f"| `{engine}` | abc1234 | 2026-11-30 | torch 2 | 2 cores | 1.0 min | {result} |"


def test_a_run_takes_the_place_of_the_last_one_of_its_engine_alone() -> None:
    page = script.with_row("", "parler", row("parler"))
    page = script.with_row(page, "csm", row("csm", "2 failed"))
    page = script.with_row(page, "csm", row("csm", "3 passed"))
    assert page == script.HEAD + row("csm", "3 passed") + "\n" + row("parler") + "\n"


@pytest.mark.parametrize("engine", script.TESTS)
def test_a_row_names_versions_of_its_own_list_and_how_the_run_ended(engine: str) -> None:
    made = script.row_of(engine, 90.0, "====== 3 passed, 1 skipped in 90.01s (0:01:30) ======")
    assert made.startswith(f"| `{engine}` |")
    assert made.endswith("| 1.5 min | 3 passed, 1 skipped |")
    assert len(re.findall(r"torch \d+\.\d+", made)) == 1
    assert all(re.search(rf"{name} \d", made) for name in script.VERSIONS[engine])


def test_every_engine_that_has_tests_has_an_environment() -> None:
    assert all(groups.find(engine, groups.GROUPS) for engine in script.TESTS)
    assert all((ROOT / path).is_file() for path in script.TESTS.values())
