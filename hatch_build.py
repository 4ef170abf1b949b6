"""Builds the page with npm while the package is installed or packed, so that users need no Node.

Where npm is missing, or cannot fetch what it needs, the package installs without the page and says so;
``parley up`` then says it again, and everything else works.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NPM_TIMEOUT = 300


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        web = Path(self.root, "web")
        static = Path(self.root, "src", "parley", "server", "static")
        if self.target_name != "wheel" or not (web / "package.json").exists() or is_current(web, static):
            return
        npm = shutil.which("npm")
        if npm is None:
            say("npm is not installed, so the web page is not built")
            return
        for step in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            try:
                subprocess.run(
                    [npm, *step],
                    cwd=web,
                    check=True,
                    timeout=NPM_TIMEOUT,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                output = (error.output or b"").decode(errors="replace").strip().splitlines()
                say(f"`npm {' '.join(step)}` failed, so the web page is not built: {output[-1] if output else error}")
                return


def is_current(web: Path, static: Path) -> bool:
    """True when the built page is newer than everything that it is made of."""
    built = static / "index.html"
    if not built.exists():
        return False
    folders = ("src", "public", "packages/client/src", "packages/client/widget")
    sources = [web / name for name in ("index.html", "package-lock.json", "vite.config.ts", "vite-inline.ts")]
    sources += [source for folder in folders for source in (web / folder).rglob("*")]
    return built.stat().st_mtime >= max(source.stat().st_mtime for source in sources)


def say(sentence: str) -> None:
    print(f"parley: {sentence}.", file=sys.stderr)
