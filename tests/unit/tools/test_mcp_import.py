"""Whoever uses no MCP server pays nothing for the library."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_of_the_library_is_imported_until_a_server_is_named() -> None:
    script = (
        "import sys, parley.cli.compose, parley.config, parley.tools\n"
        "from parley.tools import ToolSettings, create_tools\n"
        "assert create_tools(ToolSettings(), script=True)\n"
        "heavy = ('mcp', 'mcp_types', 'jsonschema', 'zeroconf')\n"
        "print([name for name in sys.modules if name.partition('.')[0] in heavy])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
