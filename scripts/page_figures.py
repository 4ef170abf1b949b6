"""How heavy the built page is, and what Lighthouse says of it.

python scripts/page_figures.py [URL]     a `parley up` has to run there; http://127.0.0.1:8080 when left out

Lighthouse is fetched by npx for the run and stays no part of the project. It wants Chromium; CHROME_PATH names another.
Its figures are those of a phone on slow 4G, worked out from what was loaded here: its own default. A busy machine
paints late, so it looks several times: the middle counts, and the range stands beside it.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "src/parley/server/static"
LIGHTHOUSE = "lighthouse@12"
LANGUAGES = ("de", "fr", "es", "zh")
TIMEOUT = 300
RUNS = 5
SCORES = ("accessibility", "performance")
PAINTS = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time")


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
    """Scores and paints of all runs, in words. SystemExit in a sentence where it cannot be run."""
    npx, chrome = shutil.which("npx"), os.environ.get("CHROME_PATH") or shutil.which("chromium")
    if npx is None or chrome is None:
        raise SystemExit("Lighthouse needs npx and Chromium; install Node and Chromium, or set CHROME_PATH.")
    looks = [_look(url, npx, chrome) for _ in range(RUNS)]
    scores = {name: _spread([100 * look["categories"][name]["score"] for look in looks], "", 0) for name in SCORES}
    paints = {
        looks[0]["audits"][name]["title"]: _spread([look["audits"][name]["numericValue"] / 1000 for look in looks])
        for name in PAINTS
    }
    failed = sorted({audit["title"] for look in looks for audit in look["audits"].values() if audit["score"] == 0})
    return {**scores, **paints, "audits that failed in a run": "; ".join(failed) or "none"}


def _look(url: str, npx: str, chrome: str) -> Any:
    command = [
        npx, "--yes", LIGHTHOUSE, url, "--quiet", "--output=json", "--output-path=stdout",
        f"--only-categories={','.join(SCORES)}", "--chrome-flags=--headless=new --no-sandbox",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, timeout=TIMEOUT, env={**os.environ, "CHROME_PATH": chrome})
    if ran.returncode:
        last = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise SystemExit(f"Lighthouse could not look at {url}: {' '.join(last)}. Does a `parley up` run there?")
    return json.loads(ran.stdout)


def _spread(values: list[float], unit: str = " s", digits: int = 2) -> str:
    low, middle, high = (f"{value:.{digits}f}{unit}" for value in (min(values), median(values), max(values)))
    return f"{middle} ({low} to {high})"


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
