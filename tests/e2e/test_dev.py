"""`just dev` as whoever works on Parley meets it: one command, a page over HTTPS, one Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from tests.e2e.browser import open_tab
from tests.e2e.conftest import STATIC, eventually, needs_browser

ROOT = Path(__file__).parents[2]
NEEDED = ("redis-server", "livekit-server", "caddy")
pytestmark = [
    needs_browser,
    pytest.mark.skipif(
        not all(map(shutil.which, NEEDED)), reason=f"needs {', '.join(NEEDED)} on the PATH (see .ci/run)"
    ),
    pytest.mark.skipif(
        not ((ROOT / "web/node_modules/.bin/vite").exists() or (STATIC / "index.html").exists()),
        reason="no page (npm --prefix web ci, or just web)",
    ),
]


@dataclass
class Dev:
    process: subprocess.Popen[bytes]
    out: Path
    watched: Path
    trusted: Path

    def said(self) -> str:
        return self.out.read_text("utf-8")

    def times(self, words: str) -> int:
        return self.said().count(words)

    @property
    def url(self) -> str:
        found = re.search(r"Everything is ready: (\S+)", self.said())
        assert found, self.said()
        return found[1]

    def programs(self, name: str) -> list[psutil.Process]:
        """Those below it whose first words name this."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [each for each in below if name in " ".join(each.cmdline()[:5]) and "keeper.py" not in each.cmdline()[1]]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    watched, out = folder / "src", folder / "out"
    watched.mkdir()
    command = [sys.executable, str(ROOT / "scripts/dev.py"), "--free-ports", "--watch", str(watched)]
    environment = {**os.environ, "XDG_DATA_HOME": str(folder / "data")}
    with out.open("wb") as to:
        process = subprocess.Popen(command, stdout=to, stderr=to, env=environment, start_new_session=True)
    it = Dev(process, out, watched, folder / "data/parley/dev/caddy/pki/authorities/local/root.crt")
    try:
        eventually(lambda: it.times("Everything is ready") > 0 or process.poll() is not None, within=100)
        assert process.poll() is None, it.said()
        yield it
    finally:
        if process.poll() is None:
            process.kill()  # the keepers end what it has started
            process.wait()


def test_the_page_talks_through_caddy_and_livekit(dev: Dev, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=str(dev.trusted))
    health = httpx.get(f"{dev.url}/health", verify=context, trust_env=False).json()
    assert health["workers"] == ["worker-1", "worker-2"]
    with open_tab(
        dev.url, tmp_path / "profile", None, transport="livekit", flags=["--ignore-certificate-errors"]
    ) as tab:
        tab.connect(30)
        answers = len(tab.replies())
        tab.page.fill("#text", "what is two plus three?")
        tab.page.keyboard.press("Enter")
        tab.wait(f"model.entries.filter((e) => e.who === 'agent' && e.done).length > {answers}", timeout=30)
        assert "5" in tab.replies()[-1]["text"]
        assert not tab.faults
    figures = httpx.get(f"{dev.url}/metrics", verify=context, trust_env=False).text
    assert re.search(r'parley_sessions_started_total\{transport="livekit"\} [1-9]', figures)


def test_a_worker_that_is_killed_is_started_again(dev: Dev) -> None:
    before = dev.times("worker ready at")
    dev.programs("parley --debug worker")[0].kill()
    eventually(lambda: dev.times("worker ready at") > before, within=40)
    assert "it is started again" in dev.said()


def test_a_change_of_the_code_starts_ours_again_and_nobody_elses(dev: Dev) -> None:
    ours = {each.pid for each in dev.programs("parley --debug")}
    others = {each.pid for name in ("redis-server", "livekit-server", "caddy run") for each in dev.programs(name)}
    before = dev.times("Parley is ready at")
    (dev.watched / "changed.py").write_text("x = 1\n")
    eventually(lambda: dev.times("Parley is ready at") > before, within=60)
    assert not ours & {each.pid for each in dev.programs("parley --debug serve")}
    assert others == {
        each.pid for name in ("redis-server", "livekit-server", "caddy run") for each in dev.programs(name)
    }


def test_one_ctrl_c_ends_all_of_it_within_ten_seconds(dev: Dev) -> None:
    below = psutil.Process(dev.process.pid).children(recursive=True)
    assert len(below) >= 14  # seven, and a keeper for each
    dev.end()
    assert dev.process.returncode == 0
    gone, alive = psutil.wait_procs(below, timeout=2)
    assert alive == []
    assert len(gone) == len(below)
