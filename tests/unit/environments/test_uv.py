"""What an installer said, in the middle of a sentence."""

from __future__ import annotations

import pytest

from parley.environments.uv import reason


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (None, ""),
        ("\n", ""),
        ("one\ntwo.\n", " (two)"),
        ("ERROR: no version\nERROR: No matching distribution found for x\n", " (No matching distribution found for x)"),
        (
            "Resolved 1 package\nerror: Failed to download `six`\n  cause: Hash mismatch for `six`\n\n"
            "         Expected:\n           sha256:00\n",
            " (Hash mismatch for `six`)",
        ),
        (
            "error: No solution found\n  cause: Because there is no x==9,\n         all is unsatisfiable.\n",
            " (Because there is no x==9, all is unsatisfiable)",
        ),
        (
            "Traceback:\n  File x\nModuleNotFoundError: No module named 'x'\n",
            " (ModuleNotFoundError: No module named 'x')",
        ),
    ],
)
def test_the_last_cause_is_told_whole(output: str | None, said: str) -> None:
    assert reason(output) == said
