"""What the layers contract cannot say about a session's house."""

from __future__ import annotations

import ast
from pathlib import Path

import parley.session

FOLDER = Path(parley.session.__file__).parent
MOVES = {"handle", "count_turn", "change_voice"}


def test_nobody_outside_the_engine_writes_the_floor() -> None:
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            written = [t for t in targets if isinstance(t, ast.Attribute) and _is_floor(t.value)]
            assert not written, f"{path.name} writes the floor"
            if isinstance(node, ast.Attribute) and node.attr in MOVES and _is_floor(node.value):
                assert path.name == "engine.py", f"{path.name} moves the floor"


def _is_floor(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.strip("_") == "floor"


def test_no_class_of_a_session_is_a_mixin_or_grows_out_of_sight() -> None:
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                assert not node.name.endswith("Mixin")
                assert len(node.bases) <= 1
                assert (node.end_lineno or 0) - node.lineno < 320
