"""What the workflows run is there, each job ends, and only what signs or publishes may do more than read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.deploy.scripts import ROOT

FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[str, Any]] = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in FILES}
JOBS = [(name, job, body) for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()]
RECIPES = set(re.findall(r"^([\w-]+)(?: [^\n:]*)?:(?!=)", (ROOT / "justfile").read_text("utf-8"), re.MULTILINE))
PACKAGE_TOOLS = {"uv", "python", "npm", "sudo", "gh", "cp"}
MAY_WRITE = {("release", "build"), ("release", "publish")}


def steps(body: dict[str, Any]) -> list[str]:
    """The commands of a job, a line each."""
    return [line for step in body["steps"] for line in step.get("run", "").splitlines() if line]


def verbs(line: str, body: dict[str, Any]) -> list[str]:
    """The recipes that a line asks just for, with each of the matrix' values put in; arguments are left out."""
    found = re.match(r"uv run (?:--python \S+ \$?\S* ?\S* ?)?just (.*)", line)
    if not found:
        return []
    (values,) = body.get("strategy", {}).get("matrix", {"": [""]}).values()
    words = {re.sub(r"\$\{\{[^}]*\}\}", str(value), found[1]) for value in values}
    return [word for each in words for word in each.split() if re.fullmatch(r"[a-z][a-z-]+", word)]


def test_there_are_three_tiers_and_the_release() -> None:
    assert set(WORKFLOWS) == {"quick", "full", "main", "release"}


@pytest.mark.parametrize(("name", "job", "body"), JOBS, ids=[f"{name}-{job}" for name, job, _ in JOBS])
def test_a_job_runs_what_there_is_and_ends(name: str, job: str, body: dict[str, Any]) -> None:
    assert 5 <= body["timeout-minutes"] <= 240
    lines = steps(body)
    for line in lines:
        first = line.split()[0]
        assert first in PACKAGE_TOOLS or (ROOT / first).is_file(), line
        assert set(verbs(line, body)) <= RECIPES, line
        assert all((ROOT / path).is_file() for path in re.findall(r"scripts/\w+\.py", line)), line
    assert [line for line in lines if verbs(line, body) or "scripts/" in line or ".ci/" in line or name == "release"]
    used = [step["uses"] for step in body["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", each) for each in used)


@pytest.mark.parametrize(("name", "job", "body"), JOBS, ids=[f"{name}-{job}" for name, job, _ in JOBS])
def test_a_job_may_only_read_unless_it_signs_or_publishes(name: str, job: str, body: dict[str, Any]) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assert bool(body.get("permissions")) == ((name, job) in MAY_WRITE)


def test_no_workflow_keeps_a_password() -> None:
    assert not [path.name for path in FILES if "secrets." in path.read_text("utf-8")]


def test_nothing_is_published_that_was_not_tried() -> None:
    build, publish = WORKFLOWS["release"]["jobs"].values()
    assert publish["needs"] == "build"
    order = [line for line in steps(build) if re.search(r"release\.py|uv build|try-wheel|sbom\.py", line)]
    assert [re.search(r"release|build|try-wheel|sbom", line)[0] for line in order] == [  # type: ignore[index]
        "release",
        "build",
        "try-wheel",
        "sbom",
    ]


@pytest.mark.parametrize(
    ("line", "body", "expected"),
    [
        ("uv run just quick origin/main", {}, ["quick"]),
        ("uv run --python ${{ matrix.python }} just typecheck test", {}, ["typecheck", "test"]),
        ("uv run just test-${{ matrix.engine }}", {"strategy": {"matrix": {"engine": ["csm"]}}}, ["test-csm"]),
        ("python -m pip install uv", {}, []),
    ],
)
def test_what_these_tests_take_for_a_verb(line: str, body: dict[str, Any], expected: list[str]) -> None:
    assert verbs(line, body) == expected


def test_the_root_is_this_repository() -> None:
    assert Path(ROOT, ".github/workflows/full.yml").is_file()
