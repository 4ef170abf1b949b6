"""Known weaknesses in what is locked, and suspicious places in our own code, by other people's tools: `just audit`.

Python's distributions by pip-audit, the page's packages by npm, ``src`` by bandit. Prints a table; in a workflow it
stands in the run's summary. What they find is reported and fails nothing, because a new report about a library is no
fault of the change at hand: `--strict` makes the exit code 1. What could not be asked is said, and is never clean.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PIP_AUDIT, BANDIT = "pip-audit==2.10.1", "bandit==1.9.4"


@dataclass(frozen=True, slots=True)
class Report:
    """Of one tool: what it found, a line each, or why it could not look."""

    what: str
    found: tuple[str, ...] = ()
    unasked: str = ""

    @property
    def result(self) -> str:
        if self.unasked:
            return f"not checked: {self.unasked}"
        return f"{len(self.found)} found" if self.found else "none found"


def of_pip_audit(document: dict[str, Any]) -> tuple[str, ...]:
    """A line for each weakness that pip-audit knows. Raises ValueError when it could not ask about a distribution."""
    if skipped := [each["name"] for each in document["dependencies"] if "skip_reason" in each]:
        some = ", ".join(skipped[:3]) + (" and others" if len(skipped) > 3 else "")
        raise ValueError(f"nothing is known of {len(skipped)} of {len(document['dependencies'])}: {some}")
    return tuple(
        f"{each['name']} {each['version']}: {weakness['id']}, mended in {', '.join(weakness['fix_versions']) or 'none'}"
        for each in document["dependencies"]
        for weakness in each.get("vulns", [])
    )


def of_npm(document: dict[str, Any]) -> tuple[str, ...]:
    """A line for each package that npm's audit names. Raises ValueError when it could not ask."""
    if "vulnerabilities" not in document:
        raise ValueError(document.get("message") or document.get("error", {}).get("summary") or "npm said nothing")
    return tuple(f"{name}: {each['severity']}" for name, each in document["vulnerabilities"].items())


def of_bandit(document: dict[str, Any]) -> tuple[str, ...]:
    """A line for each place in our code, those of low severity left out."""
    return tuple(
        f"{each['filename']}:{each['line_number']}: {each['test_id']} {each['issue_text']}"
        for each in document["results"]
        if each["issue_severity"] != "LOW"
    )


def asked(what: str, words: list[str], lines: Callable[[dict[str, Any]], tuple[str, ...]]) -> Report:
    """Run a tool that prints JSON, whatever its exit code, and read it."""
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
        return Report(what, lines(json.loads(done.stdout)))
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return Report(what, unasked=str(error))
    except json.JSONDecodeError as error:
        said = done.stderr.strip().splitlines()
        return Report(what, unasked=said[-1] if said else f"it printed no JSON ({error})")
    except ValueError as error:
        return Report(what, unasked=str(error))


def reports() -> list[Report]:
    """All three, one after the other."""
    tool = ["uv", "tool", "run", "--quiet", "--from"]
    locked = ["--requirement", "requirements.lock", "--no-deps", "--disable-pip", "--format", "json"]
    return [
        asked("requirements.lock, pip-audit", [*tool, PIP_AUDIT, "pip-audit", *locked], of_pip_audit),
        asked("web/package-lock.json, npm audit", ["npm", "--prefix", "web", "audit", "--json"], of_npm),
        asked("src, bandit", [*tool, BANDIT, "bandit", "-q", "-r", "src", "-x", "*/gen/*", "-f", "json"], of_bandit),
    ]


def table(found: list[Report]) -> str:
    """Markdown: a row for each tool, then what they found."""
    rows = [f"| {each.what} | {each.result} |" for each in found]
    lines = [f"- {line}" for each in found for line in each.found]
    return "\n".join(["| what | result |", "| --- | --- |", *rows, *(["", *lines] if lines else [])]) + "\n"


def main() -> int:
    """Ask, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strict", action="store_true")
    wanted = parser.parse_args()
    found = reports()
    print(table(found), end="")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as out:
            out.write(table(found))
    return 1 if wanted.strict and any(each.found or each.unasked for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
