"""What no linter of ours knows: what a docstring promises, circles of imports, whose code a broad ``except`` guards,
how large a class may be, and that a test's fixed sleep says why it is one."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
WHOSE = re.compile(r"\b(our own|somebody else's) code\b", re.IGNORECASE)
BROAD = {"Exception", "BaseException"}
GENERATED = "parley.rpc.gen"
LARGEST = 320
"""Lines of a class, exclusive."""
REAL_TIME = ("contracts", "e2e", "integration")
"""Folders of tests in which a second lasts a second."""


# --- what a docstring promises -----------------------------------------------------------


def test_a_module_that_calls_itself_pure_is_under_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    held = next(c["source_modules"] for c in contracts if c["name"] == "what decides does it without I/O")
    promised = [name for name, path in modules(SOURCE).items() if calls_itself_pure(path.read_text("utf-8"))]
    assert len(promised) > 80
    assert not [name for name in promised if not any(name == over or name.startswith(f"{over}.") for over in held)]


@pytest.mark.parametrize(
    ("docstring", "pure"),
    [
        ("What was said (pure).", True),
        ("Pure: the time is an argument.", True),
        ("Audio that is a pure function of the text, from a server.", False),
        ("Impure.", False),
    ],
)
def test_what_counts_as_calling_itself_pure(docstring: str, pure: bool) -> None:
    assert calls_itself_pure(f'"""{docstring}"""\n') is pure


def calls_itself_pure(text: str) -> bool:
    """Its docstring says so of the module; of a function that it holds is something else."""
    return bool(re.search(r"\bpure\b(?! function)", ast.get_docstring(ast.parse(text)) or "", re.IGNORECASE))


# --- imports -----------------------------------------------------------------------------


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert not circles(imports(SOURCE))


def test_the_search_for_circles_finds_those_for_types_and_those_inside_functions(tmp_path: Path) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (house / "__init__.py").write_text("")
    (house / "a.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.b import B\n")
    (house / "b.py").write_text("def b():\n    from house import c\n")
    (house / "c.py").write_text("import house.a\n")
    (house / "d.py").write_text("from house.a import A\n")
    assert circles(imports(tmp_path)) == [["house.a", "house.b", "house.c"]]


def modules(source: Path) -> dict[str, Path]:
    """By name; what protoc wrote is not ours."""
    found = {".".join(path.relative_to(source).with_suffix("").parts): path for path in source.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in found.items() if not name.startswith(GENERATED)}


def imports(source: Path) -> dict[str, set[str]]:
    """Which module names which, wherever in it: at its top, for types only, inside a function."""
    known = modules(source)
    return {name: {other for other in imported(path, known) if other != name} for name, path in known.items()}


def imported(path: Path, known: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports by relative name"
            for alias in node.names:  # a module of a package, or what stands in a module
                inner = f"{node.module}.{alias.name}"
                yield from (name for name in (inner if inner in known else node.module,) if name in known)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all others of its group."""
    reached = {name: reach(name, graph) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(sorted(group) for group in groups if group)


def reach(name: str, graph: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = [name]
    while left:
        fresh = graph[left.pop()] - found
        found |= fresh
        left += fresh
    return found


# --- broad excepts -----------------------------------------------------------------------


def test_every_broad_except_says_whose_code_it_guards() -> None:
    silent = [f"{path}:{line}" for path in modules(SOURCE).values() for line in unsaid(path.read_text("utf-8"))]
    assert not silent


def test_the_search_for_broad_excepts_finds_them_in_all_their_forms() -> None:
    bare = "try:\n    f()\nexcept:\n    pass\n"
    assert list(unsaid(bare)) == [3]
    assert list(unsaid(bare.replace("except:", "except (ValueError, Exception):  # any"))) == [3]
    assert list(unsaid("with contextlib.suppress(Exception):\n    f()\n")) == [1]
    assert not list(unsaid(bare.replace("except:", "except BaseException:  # our own code: given back")))
    assert not list(unsaid(bare.replace("    pass", "    # Somebody else's code.\n    pass")))
    assert not list(unsaid(bare.replace("except:", "except ValueError:")))


def unsaid(text: str) -> Iterator[int]:
    """Lines of broad excepts, and of broad suppressions, without a word on whose code it is: there or just below."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if is_broad(node):
            line = node.lineno - 1  # type: ignore[attr-defined]
            below = lines[line + 1].strip() if line + 1 < len(lines) else ""
            said = lines[line].partition("#")[2] + (below if below.startswith("#") else "")
            if not WHOSE.search(said):
                yield line + 1


def is_broad(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return node.type is None or bool(BROAD & {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)})
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        return name == "suppress" and bool(BROAD & {arg.id for arg in node.args if isinstance(arg, ast.Name)})
    return False


# --- sizes, and sleeps -------------------------------------------------------------------


def test_no_class_has_grown_beyond_what_one_can_read() -> None:
    too_large = [
        f"{path.relative_to(ROOT)}: {node.name}, {node.end_lineno - node.lineno + 1} lines"
        for path, node in nodes(ROOT / "src" / "parley")
        if isinstance(node, ast.ClassDef) and node.end_lineno and node.end_lineno - node.lineno + 1 >= LARGEST
    ]
    assert not too_large


def test_a_sleep_of_a_fixed_real_time_in_a_test_says_why() -> None:
    silent = [where for folder in REAL_TIME for where in unexplained(ROOT / "tests" / folder)]
    assert not silent


def test_the_search_for_sleeps_finds_one(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "async def test_it():\n    await asyncio.sleep(0.5)\n    await asyncio.sleep(0.5)  # as long as the reply\n"
        "    while waiting():\n        await asyncio.sleep(0.1)\n    for _ in range(3):\n        time.sleep(1)\n"
    )
    assert [where.rpartition(":")[2] for where in unexplained(tmp_path)] == ["2", "7"]


def nodes(folder: Path) -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            yield path, node


def unexplained(folder: Path) -> Iterator[str]:
    """Sleeps of a fixed time that no comment explains, on their line or the one before; polls are none."""
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text("utf-8")
        tree, lines = ast.parse(text), text.splitlines()
        polls = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.While) for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if id(node) not in polls and is_fixed_sleep(node):
                assert isinstance(node, ast.Call)
                if "#" not in lines[node.lineno - 1] and "#" not in lines[node.lineno - 2]:
                    yield f"{path}:{node.lineno}"


def is_fixed_sleep(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "sleep":
        return False
    time = node.args[0] if node.args else None
    return isinstance(time, ast.Constant) and isinstance(time.value, int | float) and time.value > 0
