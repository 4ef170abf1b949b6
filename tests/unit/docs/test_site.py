"""The site holds whatever its pages lead to, and their links lead there."""

from __future__ import annotations

import pytest
import yaml
from tests.unit.deploy.scripts import ROOT, script

site = script("docs_site")


@pytest.mark.parametrize(
    ("uri", "text", "expected"),
    [
        ("how-to/a.md", "[x](b.md)", "[x](b.md)"),
        ("how-to/a.md", "[x](../reference/c.md#part)", "[x](../reference/c.md#part)"),
        ("how-to/a.md", "[x](#part) [y](https://example.org/z)", "[x](#part) [y](https://example.org/z)"),
        ("how-to/a.md", "[x](../../examples/e/main.py)", "[x](../repository/examples/e/main.py)"),
        ("README.md", "[x](../CHANGELOG.md)", "[x](repository/CHANGELOG.md)"),
        ("repository/examples/e/README.md", "[x](../../docs/how-to/a.md)", "[x](../../../how-to/a.md)"),
        ("repository/examples/e/README.md", "[x](main.py)", "[x](main.py)"),
        ("how-to/a.md", "`[x](../../y.py)`", "`[x](../../y.py)`"),
        (
            "how-to/a.md",
            "```\n[x](../../y.py)\n```\n[z](../../y.py)",
            "```\n[x](../../y.py)\n```\n[z](../repository/y.py)",
        ),
    ],
)
def test_a_link_leads_to_where_its_target_lies_in_the_site(uri: str, text: str, expected: str) -> None:
    assert site.rewritten(text, uri) == expected


def test_each_file_outside_that_a_page_leads_to_is_in_the_site() -> None:
    held = site.linked(ROOT)
    assert "examples/tools/README.md" in held
    assert all((ROOT / path).is_file() for path in held)
    for page in (ROOT / "docs").rglob("*.md"):
        for target in site.targets(page.read_text("utf-8"), page.relative_to(ROOT).as_posix()):
            assert target.startswith("docs/") or target in held, f"{page.name} leads to {target}"


def test_the_site_asks_nobody_elsewhere_and_holds_every_link() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert settings["theme"]["font"] is False
    assert settings["hooks"] == ["scripts/docs_site.py"]
    kinds = ("absolute_links", "unrecognized_links", "anchors")
    assert {settings["validation"][kind] for kind in kinds} == {"warn"}
