"""The benchmark for GPUs where there is nothing to measure: it says so, writes it down, and ends well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "gpu_bench.py"


def test_what_is_not_run_is_told_with_the_reason_and_written_down(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    asked = [sys.executable, str(SCRIPT), "--out", str(out), "--device", "cpu", "--seconds", "-1"]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    results = json.loads(out.read_text())["results"]
    assert all(one.get("not run") for one in results)
    assert {"whisper", "csm"} <= {one["what"].split()[0] for one in results}
    lines = done.stdout.splitlines()
    assert [json.loads(line) for line in lines if line.startswith("{")] == results
    assert len([line for line in lines if line.startswith("| ")]) == len(results) + 2
