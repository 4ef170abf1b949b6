"""Which tests a change can reach through imports and through the files that they read.

python scripts/reach.py                          the tests that what differs from main can reach
python scripts/reach.py --since origin/main      from another commit
python scripts/reach.py --within tests/unit      of these folders only; repeat it
python scripts/reach.py src/parley/text/x.py     what a change of these files would reach

Prints one path of a test file a line, nothing when none is reached. What pins versions or says how tests run reaches
every test.
"""

from __future__ import annotations

import argparse
import ast
import fnmatch
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
ROOTS = {"src/parley": "parley", "tests": "tests", "scripts": ""}
"""Folders of modules and the name before theirs; scripts import each other by their bare names."""
EVERYTHING = ("pyproject.toml", "requirements.lock", "justfile", "hatch_build.py", ".ci/", ".github/actions/")
"""A change of these can reach every test."""
WITHIN = ("tests/unit", "tests/session", "tests/fuzz", "tests/contracts")
"""Tests that need no machine for themselves: what is asked of every change."""
LENDS_SCRIPTS = "tests.unit.deploy.scripts"
"""Who imports this takes scripts by their names in strings."""


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its module's name, what it names by importing, and the strings that may be paths."""

    path: str
    module: str
    names: frozenset[str]
    strings: frozenset[str]


def module_of(path: str) -> str:
    """The name by which others import this file; "" for a file that nobody imports."""
    for folder, before in ROOTS.items():
        if path.startswith(f"{folder}/") and path.endswith(".py"):
            parts = PurePosixPath(path).relative_to(folder).with_suffix("").parts
            named = [before, *parts] if before else list(parts)
            return ".".join(named[:-1] if named[-1] == "__init__" else named)
    return ""


def read(path: str, text: str) -> Source:
    """What a file imports anywhere in it (for types and inside functions, too), and its strings."""
    module = module_of(path)
    names: set[str] = set()
    strings: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, module, path.endswith("/__init__.py"))
            names.update([origin, *(f"{origin}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            strings.add(node.value)
    # tables of implementations are "module:Class", children are started by "-m module"; a conftest only names them
    if not path.endswith("/conftest.py"):
        names.update(name for text in strings if (name := text.partition(":")[0]).startswith("parley."))
    if LENDS_SCRIPTS in names:
        names.update(text for text in strings if text.isidentifier())
    return Source(path, module, frozenset(parent for name in names for parent in parents(name)), frozenset(strings))


def _origin(node: ast.ImportFrom, module: str, package: bool) -> str:
    """The absolute name of what ``from ... import`` stands before."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def parents(name: str) -> Iterator[str]:
    """A module and the packages around it, which run when it is imported; parley itself imports nothing."""
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(min(2, len(parts)), len(parts) + 1))


def reached(changed: Iterable[str], sources: Mapping[str, Source]) -> set[str]:
    """Paths of all Python files that a change of ``changed`` can reach, these included."""
    importers: dict[str, set[str]] = {}
    for source in sources.values():
        for name in source.names:
            importers.setdefault(name, set()).add(source.path)
    found: set[str] = set()
    waiting = [path for each in changed for path in touched(each, sources)]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if name := module_of(path):
            waiting += importers.get(name, set())
        if path.endswith("/conftest.py"):
            waiting += [other for other in sources if other.startswith(path.removesuffix("conftest.py"))]
    return found


def touched(path: str, sources: Mapping[str, Source]) -> set[str]:
    """The files that this one is part of: itself, who reads it, and the package that a data file lies in."""
    files = {path} if path.endswith(".py") else set()
    files |= {source.path for source in sources.values() if _reads(source, path)}
    if path.startswith("src/parley/") and not path.endswith(".py"):
        folder = str(PurePosixPath(path).parent)
        files |= {other for other in sources if str(PurePosixPath(other).parent) == folder}
    return files


def _reads(source: Source, path: str) -> bool:
    """Whether a test or a script has a string that names the file or a folder around it."""
    if not source.path.startswith(("tests/", "scripts/")):
        return False
    whole = PurePosixPath(path)
    named = {path, *(str(parent) for parent in whole.parents if str(parent) != ".")}
    if not path.endswith(".py"):
        named.add(whole.name)
    return any(text.strip("/") in named or _globs(text, whole.name) for text in source.strings)


def _globs(text: str, name: str) -> bool:
    """Whether a string is a pattern such as ``docs/**/*.md`` that finds this name, and not every name."""
    pattern = text.rpartition("/")[2]
    return "*" in pattern and bool(pattern.strip("*.")) and fnmatch.fnmatchcase(name, pattern)


def tests(files: Iterable[str], within: Iterable[str]) -> list[str]:
    """Those that pytest would collect from, in these folders, in order."""
    folders = tuple(f"{folder.rstrip('/')}/" for folder in within)
    return sorted(path for path in files if path.startswith(folders) and PurePosixPath(path).name.startswith("test_"))


def selected(changed: Iterable[str], sources: Mapping[str, Source], within: Iterable[str] = WITHIN) -> list[str]:
    """The test files that a change can reach."""
    changed = list(changed)
    if any(path.startswith(EVERYTHING) for path in changed):
        return tests(sources, within)
    return tests((path for path in reached(changed, sources) if path in sources), within)


def sources_of(root: Path) -> dict[str, Source]:
    """Every Python file of the tree by its path; what protoc wrote is read as well."""
    paths = (path for folder in ROOTS for path in sorted((root / folder).rglob("*.py")))
    found = {path.relative_to(root).as_posix(): path for path in paths if "node_modules" not in path.parts}
    return {name: read(name, path.read_text("utf-8")) for name, path in found.items()}


def differing(since: str) -> list[str]:
    """Files that differ from the commit where this branch left ``since``, deleted and new ones, too."""
    base = _git("merge-base", since, "HEAD").strip()
    new = _git("ls-files", "--others", "--exclude-standard")
    return [*_git("diff", "--name-only", "--no-renames", base).splitlines(), *new.splitlines()]


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Print them; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--since", default="main")
    parser.add_argument("--within", action="append")
    wanted = parser.parse_args()
    changed = wanted.files or differing(wanted.since)
    found = selected(changed, sources_of(ROOT), wanted.within or WITHIN)
    print(f"{len(changed)} files changed, {len(found)} test files reached", file=sys.stderr)
    print("\n".join(found), end="\n" if found else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
