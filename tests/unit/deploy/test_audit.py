"""What the tools for known weaknesses print is read, and a tool that could not look is never clean."""

from __future__ import annotations

import sys

import pytest
from tests.unit.deploy.scripts import script

audit = script("audit")


def test_each_weakness_of_a_distribution_is_a_line() -> None:
    clean = {"name": "a", "version": "1", "vulns": []}
    weak = {
        "name": "b",
        "version": "2",
        "vulns": [{"id": "X-1", "fix_versions": ["2.1"]}, {"id": "X-2", "fix_versions": []}],
    }
    found = audit.of_pip_audit({"dependencies": [clean, weak]})
    assert found == ("b 2: X-1, mended in 2.1", "b 2: X-2, mended in none")


def test_a_distribution_that_could_not_be_asked_about_is_not_clean() -> None:
    with pytest.raises(ValueError, match="nothing is known of 1 of 1: c"):
        audit.of_pip_audit({"dependencies": [{"name": "c", "skip_reason": "no such distribution"}]})


def test_npm_that_could_not_ask_is_no_clean_page() -> None:
    assert audit.of_npm({"vulnerabilities": {"d": {"severity": "high"}}}) == ("d: high",)
    with pytest.raises(ValueError, match="no audit endpoint"):
        audit.of_npm({"message": "no audit endpoint"})


def test_places_of_low_severity_are_left_out() -> None:
    place = {"filename": "x.py", "line_number": 3, "test_id": "B1", "issue_text": "why"}
    found = audit.of_bandit({"results": [place | {"issue_severity": level} for level in ("LOW", "MEDIUM")]})
    assert found == ("x.py:3: B1 why",)


@pytest.mark.parametrize(
    ("program", "result"),
    [
        ("print('{\"results\": []}')", "none found"),
        ("raise SystemExit('the index does not answer')", "not checked: the index does not answer"),
    ],
)
def test_a_tool_that_fails_is_said_not_to_have_looked(program: str, result: str) -> None:
    report = audit.asked("it", [sys.executable, "-c", program], audit.of_bandit)
    assert report.result == result
    assert f"| it | {result} |" in audit.table([report])


def test_a_program_that_is_not_here_is_said_not_to_have_looked() -> None:
    assert audit.asked("it", ["/nowhere/tool"], audit.of_bandit).result.startswith("not checked: ")
