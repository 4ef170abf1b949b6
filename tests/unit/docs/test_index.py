"""The documentation's index names every page, and what pages tell users to set exists."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from parley.config import tree

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_that_a_page_sets_exist(page: Path) -> None:
    known = {leaf.path for leaf in tree().leaves()}
    said = re.findall(r"--set ['\"]?([a-z_]+(?:\.[a-z_]+)+)=", page.read_text("utf-8"))
    assert [name for name in said if not {name, f"session.{name}"} & known] == []  # a replay sets a session's own


def test_the_page_on_realtime_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "how-to" / "openai-realtime.md").read_text("utf-8")
    example = (ROOT / "examples" / "openai_realtime" / "browser.html").read_text("utf-8")
    script = example.partition('<script type="module">\n')[2].partition("</script>")[0]
    assert textwrap.dedent(script) in page
