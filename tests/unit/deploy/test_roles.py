"""Processes are told by what they do, and one that cannot be meant is not guessed."""

from __future__ import annotations

import pytest
from tests.unit.deploy.scripts import script

roles = script("roles")
THERE = [(1, "orchestrator"), (2, "worker"), (3, "worker"), (4, "ears")]


@pytest.mark.parametrize(
    ("line", "role"),
    [
        ("/v/bin/python -m parley up --no-browser --port 1", "orchestrator"),
        ("/v/bin/python -m parley --debug serve --child /x/0", "orchestrator"),
        ("/v/bin/python /v/bin/parley worker --name w1", "worker"),
        ("/v/bin/parley worker", "worker"),
        ('/v/bin/python -m parley.asr.child {"target":', "ears"),
        ("/v/bin/python -m parley.worker.engine_child", "voice"),
        ("/v/bin/python -m parley chat", ""),
        ("/v/bin/python -m pytest tests/unit/worker", ""),
        ("vi parley up.txt", ""),
        ("", ""),
    ],
)
def test_a_command_line_says_what_its_process_does(line: str, role: str) -> None:
    assert roles.role_of(line.split()) == role


@pytest.mark.parametrize(("wanted", "number"), [("orchestrator", 1), ("ears", 4), ("77", 77)])
def test_the_only_one_of_a_role_is_meant(wanted: str, number: int) -> None:
    assert roles.chosen(wanted, THERE) == number


@pytest.mark.parametrize(("wanted", "says"), [("worker", "2, 3"), ("voice", "No voice runs"), ("tenor", "is no role")])
def test_what_cannot_be_meant_is_said_in_a_sentence(wanted: str, says: str) -> None:
    with pytest.raises(roles.NoSuchProcessError, match=says):
        roles.chosen(wanted, THERE)
