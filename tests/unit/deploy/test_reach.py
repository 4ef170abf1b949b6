"""A change reaches the tests that import it, however far away, and those that read it; nothing else."""

from __future__ import annotations

import pytest
from tests.unit.deploy.scripts import ROOT, script

reach = script("reach")
FILES = {
    "src/parley/__init__.py": "",
    "src/parley/low.py": "",
    "src/parley/unused.py": "",
    "src/parley/pack/__init__.py": "from . import near\n",
    "src/parley/pack/near.py": "from parley.low import x\n",
    "src/parley/pack/table.py": 'ENGINES = {"a": "parley.pack.engine:Engine"}\n',
    "src/parley/pack/engine.py": "",
    "src/parley/pack/late.py": "def f():\n    from ..unused import y\n",
    "tests/conftest.py": 'import pytest\npytest.register_assert_rewrite("parley.low")\n',
    "tests/unit/test_low.py": "import parley.low\n",
    "tests/unit/test_far.py": "from parley.pack.near import x\n",
    "tests/unit/test_engine.py": "from parley.pack import table\n",
    "tests/unit/test_late.py": "from parley.pack.late import f\n",
    "tests/unit/deploy/scripts.py": "",
    "tests/unit/deploy/test_rules.py": "from tests.unit.deploy.scripts import script\nrules = script('rules')\n",
    "tests/unit/web/conftest.py": "",
    "tests/unit/web/test_page.py": 'PAGE = ROOT / "web" / "page.html"\n',
    "tests/session/test_apart.py": "import os\n",
    "tests/unit/docs/test_links.py": 'PAGES = sorted(ROOT.rglob("*.md"))\n',
    "scripts/rules.py": "import shapes\n",
    "scripts/shapes.py": "",
}
SOURCES = {path: reach.read(path, text) for path, text in FILES.items()}
NEAR = {"test_far.py", "test_engine.py", "test_late.py"}
"""Whatever is in the package runs its ``__init__``, which imports ``near``."""


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ("src/parley/low.py", {"test_low.py"} | NEAR),
        ("src/parley/pack/near.py", NEAR),
        ("src/parley/pack/engine.py", {"test_engine.py"}),
        ("src/parley/pack/table.py", {"test_engine.py"}),
        ("src/parley/unused.py", {"test_late.py"}),
        ("src/parley/pack/data.txt", NEAR),
        ("src/parley/gone.py", set()),
        ("scripts/shapes.py", {"test_rules.py"}),
        ("scripts/rules.py", {"test_rules.py"}),
        ("tests/unit/web/conftest.py", {"test_page.py"}),
        ("tests/unit/test_low.py", {"test_low.py"}),
        ("web/page.html", {"test_page.py"}),
        ("web/src/other.ts", {"test_page.py"}),
        ("docs/page.md", {"test_links.py"}),
        ("docs/page.png", set()),
    ],
)
def test_a_change_reaches_who_imports_or_reads_it(changed: str, names: set[str]) -> None:
    found = reach.selected([changed], SOURCES, ("tests/unit", "tests/session"))
    assert {path.rpartition("/")[2] for path in found} == names


@pytest.mark.parametrize("changed", ["pyproject.toml", ".ci/run", "requirements.lock", "tests/conftest.py"])
def test_what_says_how_tests_run_reaches_all_of_them(changed: str) -> None:
    everything = reach.tests(SOURCES, ("tests",))
    assert len(everything) == 8
    assert reach.selected([changed], SOURCES, ("tests",)) == everything


def test_a_module_that_was_removed_still_reaches_who_imports_it() -> None:
    left = {path: source for path, source in SOURCES.items() if path != "src/parley/low.py"}
    assert "tests/unit/test_low.py" in reach.selected(["src/parley/low.py"], left, ("tests",))


def test_in_this_repository_a_leaf_reaches_its_tests_and_not_all() -> None:
    sources = reach.sources_of(ROOT)
    every = reach.tests(sources, reach.WITHIN)
    found = reach.selected(["src/parley/worker/residency.py"], sources, reach.WITHIN)
    assert "tests/unit/worker/test_residency.py" in found
    assert len(found) < len(every) / 2
    assert reach.selected(["pyproject.toml"], sources, reach.WITHIN) == every
    assert "tests/unit/deploy/test_containers.py" in reach.selected(
        ["deploy/compose/compose.yaml"], sources, ("tests",)
    )
    assert "tests/unit/docs/test_links.py" in reach.selected(["docs/performance.md"], sources, ("tests",))
