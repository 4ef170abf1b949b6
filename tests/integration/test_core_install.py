"""Parley as its users install it, without the tools of its developers: one command brings the engines of the models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.weights import fetched

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
MODELS = {"ears": "whisper-tiny.en", "voice": "en_US-joe-medium"}


def ran(*words: str | Path, environ: dict[str, str]) -> str:
    """What a command that succeeds says."""
    done = subprocess.run(list(map(str, words)), env=environ, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_recommended_models_bring_their_engines_into_an_environment_without_them(tmp_path: Path) -> None:
    models = fetched(*MODELS.values(), "smart-turn-v3.2")
    if shutil.which("uv") is None:
        pytest.skip("uv is not on this machine to make an environment with")
    environ = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_COMPILE_BYTECODE")}
    environ |= {"PARLEY_STORE__FOLDER": str(models), "XDG_RUNTIME_DIR": str(tmp_path)}
    folder = tmp_path / "environment"
    ran("uv", "venv", "--quiet", "--python", sys.executable, folder, environ=environ)
    python, parley = folder / "bin" / "python", folder / "bin" / "parley"
    pinned = ("--constraints", ROOT / "requirements.lock")
    ran("uv", "pip", "install", "--quiet", "--python", python, *pinned, "--editable", ROOT, environ=environ)

    def standing() -> dict[str, dict[str, Any]]:
        listed = json.loads(ran(parley, "models", "list", "--json", environ=environ))["models"]
        return {model["model_id"]: model for model in listed}

    before = standing()
    assert [before[name]["engine_installed"] for name in MODELS.values()] == [False, False]
    assert before["pocketsphinx"]["in_use"]
    said = ran(parley, "pull", "recommended", "--yes", environ=environ)
    assert "GPL-3.0-or-later" in said
    after = standing()
    assert [name for name, model in after.items() if model["in_use"] and model["kind"] in MODELS] == [*MODELS.values()]
