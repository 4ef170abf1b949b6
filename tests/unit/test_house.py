"""What no linter of ours knows: how large a class may be, and that a test's fixed sleep says why it is one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LARGEST = 320
"""Lines of a class, exclusive."""
REAL_TIME = ("contracts", "e2e", "integration")
"""Folders of tests in which a second lasts a second."""


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
