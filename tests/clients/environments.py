"""Environments of their own for other people's clients, made anew for each run from pinned lists.

What they install comes from the caches of uv and npm where it is there, else from the package index. A machine that
reaches no index skips the tests that need it, unless ``PARLEY_CI`` is set.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMIT = 500
"""Seconds that an installation, or the tests inside, may take on a busy machine."""
STALLED = 90
"""Seconds after which npm, which takes a tenth of that, waits for an index that has forgotten it."""
_UNREACHABLE = (
    "error sending request",
    "dns error",
    "client error (Connect)",
    "Network connectivity is disabled",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ETIMEDOUT",
)
"""What uv and npm say of an index that does not answer."""


@dataclass(frozen=True)
class Environments:
    """Makes each environment once, below ``folder``; whoever else wants it meanwhile waits."""

    folder: Path
    _making: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def python(self, name: str) -> Path:
        """The interpreter among the packages of tests/clients/NAME/requirements.txt."""
        program = self.folder / name / "bin" / "python"
        with self._making[name]:
            if not program.exists():
                asked = (HERE / name / "requirements.in").read_text("utf-8").splitlines()
                ours = [str(self.wheel())] if any(line.partition("[")[0] == "parley-voice" for line in asked) else []
                self.run("uv", "venv", "--quiet", "--python", sys.executable, name)
                pins = ("--requirements", str(HERE / name / "requirements.txt"))
                self.run("uv", "pip", "install", "--quiet", "--python", str(program), *pins, *ours)
        return program

    def node(self, name: str) -> Path:
        """A folder with the packages of tests/clients/NAME/package.json, and the scripts that stand beside it."""
        folder = self.folder / name
        with self._making[name]:
            if not folder.exists():
                shutil.copytree(HERE / name, folder)
                quiet = ("--prefer-offline", "--no-audit", "--no-fund", "--no-package-lock")
                self.run("npm", "install", *quiet, at=folder, limit=STALLED, tries=3)
        return folder

    def packed(self, name: str) -> Path:
        """The package of web/packages/NAME as people install it: built from this tree."""
        package = ROOT / "web" / "packages" / name
        into = self.folder / f"packed-{name}"
        with self._making[into.name]:
            if not into.exists():
                if not (ROOT / "web" / "node_modules").exists():
                    absent("the page's tools are not installed (npm --prefix web ci)")
                into.mkdir()
                self.run("npm", "pack", "--silent", "--pack-destination", str(into), at=package)
        return next(into.glob("*.tgz"))

    def wheel(self) -> Path:
        """Parley as it is installed by people: built from this tree."""
        with self._making["wheel"]:
            if not (built := [*self.folder.glob("*.whl")]):
                self.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(self.folder), at=ROOT)
                built = [*self.folder.glob("*.whl")]
        return built[0]

    def run(self, *command: str, at: Path | None = None, limit: float = LIMIT, tries: int = 1) -> None:
        """A step of an installation. Skips the test where it cannot be made here, fails it where it goes wrong.

        What has not ended after ``limit`` seconds is begun again, ``tries`` times in all.
        """
        if shutil.which(command[0]) is None:
            absent(f"{command[0]} is not on this machine")
        # In a folder of ours: the pins of the project are not those of other people's packages.
        for left in reversed(range(tries)):
            try:
                done = subprocess.run(
                    command, cwd=at or self.folder, capture_output=True, text=True, timeout=limit, check=False
                )
                break
            except subprocess.TimeoutExpired:
                if not left:
                    raise
        if done.returncode:
            said = done.stdout + done.stderr
            if any(sign in said for sign in _UNREACHABLE):
                absent(f"no package index can be reached: {said.strip().splitlines()[-1]}")
            pytest.fail(f"{' '.join(command[:3])} failed: {said}")


def absent(what: str) -> None:
    """Skip for want of this; CI has to have it."""
    if os.environ.get("PARLEY_CI"):
        pytest.fail(what)
    pytest.skip(what)


# --- tests that run inside -------------------------------------------------------------


def names(*files: Path) -> list[str]:
    """The tests in these files."""
    found: list[str] = []
    for file in files:
        tree = ast.parse(file.read_text("utf-8"))
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        found += [node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_")]
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of the tests inside: by name, those that failed with what they said."""

    failed: dict[str, str]
    passed: frozenset[str]
    said: str

    def judge(self, name: str) -> None:
        """Fail when this one did, and when it was never reached."""
        assert name not in self.failed, self.failed[name]
        assert name in self.passed, f"{name} did not run:\n{self.said}"


def outcome(python: Path, folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> Outcome:
    """Run pytest with this interpreter on ``arguments``."""
    report = folder / "inside.xml"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
    return _judged(command, ROOT, report, environ)


def names_of_node(file: Path) -> list[str]:
    """The tests in a file of JavaScript."""
    return re.findall(r'^test\("([^"]+)"', file.read_text("utf-8"), re.MULTILINE)


def outcome_of_node(folder: Path, file: str, environ: dict[str, str]) -> Outcome:
    """Run a file of JavaScript in an environment of :meth:`Environments.node`, whose ``folder`` this is."""
    report = folder / f"{file}.xml"
    reporters = ("--test-reporter=junit", f"--test-reporter-destination={report}")
    return _judged(["node", "--test", *reporters, file], folder, report, environ)


def _judged(command: list[str], at: Path, report: Path, environ: dict[str, str] | None) -> Outcome:
    settings = {**os.environ, **(environ or {})}
    done = subprocess.run(command, cwd=at, env=settings, capture_output=True, text=True, timeout=LIMIT, check=False)
    said = done.stdout + done.stderr
    assert report.exists(), said
    failed: dict[str, str] = {}
    passed: set[str] = set()
    for case in ET.parse(report).getroot().iter("testcase"):
        name = case.attrib["name"].partition("[")[0]
        troubles = [child for child in case if child.tag in ("failure", "error", "skipped")]
        if troubles:
            failed[name] = failed.get(name, "") + "\n".join(trouble.text or "" for trouble in troubles)
        else:
            passed.add(name)
    return Outcome(failed, frozenset(passed), said)
