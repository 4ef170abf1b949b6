"""The wheel in an environment of its own, far from the repository: it brings the page and holds a conversation."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.browser import open_tab
from tests.e2e.conftest import answers, eventually, free_port, needs_browser, needs_page

ROOT = Path(__file__).parents[2]
LARGEST = 450e6
"""Bytes that whoever only runs Parley installs, without the bytecode that Python makes of it."""
GIVEN = os.environ.get("PARLEY_TEST_WHEEL", "")
"""The very one that is to be released: then nothing that is missing is a reason to leave it untried."""
pytestmark = (
    []
    if GIVEN
    else [
        needs_browser,
        needs_page,
        pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on this machine to make an environment with"),
    ]
)


def ran(*words: str | Path, environment: dict[str, str], folder: Path) -> str:
    """What a command that succeeds says, far from the repository and its settings."""
    command = list(map(str, words))
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_in_an_empty_environment_holds_a_conversation_in_the_browser(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PARLEY_", "PYTHON", "VIRTUAL_"))}
    environment = kept | {"UV_COMPILE_BYTECODE": "0", "XDG_DATA_HOME": str(tmp_path / "data")}
    folder, home = tmp_path / "environment", tmp_path / "elsewhere"
    home.mkdir()

    def run(*words: str | Path) -> str:
        return ran(*words, environment=environment, folder=home)

    wheel = Path(GIVEN)
    if not GIVEN:
        run("uv", "build", "--quiet", "--wheel", ROOT, "--out-dir", tmp_path / "dist")
        (wheel,) = (tmp_path / "dist").glob("*.whl")
    run("uv", "venv", "--quiet", "--python", sys.executable, folder)
    # with what `uv run` adds in a clone: the terminal's microphone, echo cancellation, just
    what = (f"{wheel}[mic,echo]", "psutil", "rust-just", "--constraints", ROOT / "requirements.lock")
    run("uv", "pip", "install", "--quiet", "--python", folder / "bin/python", *what)
    installed = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in installed if path.suffix != ".pyc") < LARGEST
    assert run(folder / "bin/python", "-c", "import parley; print(parley.__file__)").startswith(str(folder))

    port = free_port()
    url, log = f"http://127.0.0.1:{port}", home / "log"
    command = [str(folder / "bin/parley"), "up", "--no-browser", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=out, stderr=out)
    try:
        eventually(lambda: answers(f"{url}/health") or process.poll() is not None, within=80)
        assert process.poll() is None, log.read_text()
        with open_tab(url, tmp_path / "profile", None) as tab:
            tab.connect()
            tab.page.fill("#text", "what is two plus three?")
            tab.page.keyboard.press("Enter")
            tab.wait("model.entries.some((e) => e.who === 'agent' && e.done && e.text.includes('5'))", timeout=30)
            assert not tab.faults
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert process.returncode == 0
