"""Stock clients of protocols that lend voices and ears (Wyoming, MCP): what they say is heard, what they hear is said.

The conversation is the client's own, and so is its language model: judged are sounds and words.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests.clients.environments import HERE, Environments, Outcome, names, outcome
from tests.clients.test_realtime import KEY, write_speech
from tests.integration.people import running

from parley.bench.stack import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.programs import Program, Programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
FILES = {"wyoming": HERE / "python" / "inside_wyoming.py", "mcp": HERE / "python" / "inside_mcp.py"}


def run(environments: Environments, folder: Path) -> Outcome:
    """The tests of both, against one Parley that does one thing at a time: what was given up makes room."""
    write_speech(folder)
    port = free_port()
    options = (f"server.api_key={KEY}", "mcp.enabled=true", "mcp.at_once=1", "mcp.longest_text=100000")
    options += ("wyoming.enabled=true", f"wyoming.port={port}", "wyoming.exchanges=1")
    with running(folder, *(part for option in options for part in ("--set", option))) as parley:
        settings = {
            "PARLEY_TEST_URL": parley.url,
            "PARLEY_TEST_KEY": KEY,
            "PARLEY_TEST_FOLDER": str(folder),
            "PARLEY_TEST_WYOMING": str(port),
            "PARLEY_TEST_PROGRAM": sys.executable,
        }
        python, files = environments.python("python"), map(str, FILES.values())
        return outcome(python, folder, *files, "-o", "filterwarnings=default", environ=settings)


PROGRAMS: dict[str, Program] = {"voices and ears": run}


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, path in FILES.items() for name in names(path)])
def test_a_stock_client(programs: Programs, file: str, name: str) -> None:
    programs["voices and ears"].judge(name)
