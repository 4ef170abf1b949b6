"""How heavy the built page is, and what Lighthouse says of it.

python scripts/page_figures.py [URL]     a `parley up` has to run there; http://127.0.0.1:8080 when left out

Lighthouse is fetched by npx for the run and stays no part of the project. It wants Chromium; CHROME_PATH names another.
Its figures are those of a phone on slow 4G, worked out from what was loaded here: its own default.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "src/parley/server/static"
LIGHTHOUSE = "lighthouse@12"
LANGUAGES = ("de", "fr", "es", "zh")
TIMEOUT = 300


def weights() -> dict[str, int]:
    """Bytes of the page's parts, each file compressed as it is sent."""
    parts: dict[str, int] = {}
    for path in sorted(STATIC.rglob("*")):
        if path.is_file() and path.name != "widget.js":
            part = _part(path.name)
            parts[part] = parts.get(part, 0) + len(gzip.compress(path.read_bytes(), 9))
    return parts


def _part(name: str) -> str:
    stem = name.partition("-")[0]
    if stem in LANGUAGES:
        return f"words in {stem}, when they are read"
    return f"{stem}, when it is chosen" if stem in ("livekit", "websocket") else "the page itself"


def lighthouse(url: str) -> dict[str, str]:
    """Scores and first paint, in words. SystemExit in a sentence where it cannot be run."""
    npx, chrome = shutil.which("npx"), os.environ.get("CHROME_PATH") or shutil.which("chromium")
    if npx is None or chrome is None:
        raise SystemExit("Lighthouse needs npx and Chromium; install Node and Chromium, or set CHROME_PATH.")
    command = [
        npx, "--yes", LIGHTHOUSE, url, "--quiet", "--output=json", "--output-path=stdout",
        "--only-categories=accessibility,performance", "--chrome-flags=--headless=new --no-sandbox",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, timeout=TIMEOUT, env={**os.environ, "CHROME_PATH": chrome})
    if ran.returncode:
        last = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise SystemExit(f"Lighthouse could not look at {url}: {' '.join(last)}. Does a `parley up` run there?")
    said = json.loads(ran.stdout)
    scores = {name: f"{100 * category['score']:.0f}" for name, category in said["categories"].items()}
    paint = {
        said["audits"][name]["title"]: f"{said['audits'][name]['numericValue'] / 1000:.2f} s"
        for name in ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time")
    }
    failed = [audit["title"] for audit in said["audits"].values() if audit["score"] == 0]
    return {**scores, **paint, "audits that fail": "; ".join(failed) or "none"}


def main() -> int:
    """Print both; returns the exit code."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    if not (STATIC / "index.html").exists():
        print("The page is not built: run `just web`.", file=sys.stderr)
        return 1
    parts = weights()
    for part, weight in parts.items():
        print(f"{weight / 1000:6.1f} kB  {part}")
    without = sum(weight for part, weight in parts.items() if not part.startswith("livekit"))
    print(f"{without / 1000:6.1f} kB  all of it without LiveKit, compressed")
    for name, figure in lighthouse(url).items():
        print(f"{name}: {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
