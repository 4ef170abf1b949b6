"""py-spy takes a picture of each role of a running `parley up`, and our functions are in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.integration.people import running, talking, text_of
from tests.unit.deploy.scripts import ROOT

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        shutil.which("py-spy", path=str(Path(sys.executable).parent)) is None or os.geteuid() != 0,
        reason="py-spy reads other processes as root only",
    ),
]
SPY = str(Path(sys.executable).with_name("py-spy"))
OURS = {"orchestrator": "parley", "worker": "parley", "ears": "child.py", "voice": "engine_child.py"}


async def test_each_role_of_a_running_parley_is_found_and_looked_into(tmp_path: Path) -> None:
    with running(tmp_path, "--set", "asr.engine=pocketsphinx", "--workers", "1") as parley:
        async with talking(parley) as participant:
            await participant.type("What is two plus three?")
            await text_of(participant)
        listed = subprocess.run(
            [sys.executable, str(ROOT / "scripts/roles.py")], capture_output=True, text=True, check=True
        ).stdout
        ours = {parley.process.pid, *(each.pid for each in psutil.Process(parley.process.pid).children(recursive=True))}
        found = {role: int(number) for number, role in map(str.split, listed.splitlines()) if int(number) in ours}
        assert set(found) == set(OURS)
        for role, file in OURS.items():
            dump = subprocess.run([SPY, "dump", "--pid", str(found[role])], capture_output=True, text=True, check=True)
            assert file in dump.stdout, dump.stdout
        picture = tmp_path / "flames.svg"
        record = [SPY, "record", "--idle", "--pid", str(found["orchestrator"]), "--duration", "2", "--output", picture]
        subprocess.run(record, capture_output=True, check=True)
        assert "parley/cli/up.py" in picture.read_text()
