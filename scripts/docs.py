"""Write the pages and sample files that come from the code, or check that they are current.

python scripts/docs.py            writes them
python scripts/docs.py --check    says which are out of date; exit code 1 when there are any
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import alerts
import boards
import spoken_text_docs
import voice_pack_docs

from parley.config import pages
from parley.observability import metrics
from parley.worker import figures

ROOT = Path(__file__).resolve().parent.parent


WEBSOCKET = ROOT / "docs/reference/websocket.md"
BEGIN, END = "<!-- settings of one session: written by scripts/docs.py -->\n", "<!-- end of the settings -->\n"


def websocket_page() -> str:
    """The page as it is, with its table of settings as the code has them."""
    before, _, rest = WEBSOCKET.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{pages.client_settings()}\n{END}{after}"


def documents() -> dict[Path, str]:
    """Every generated file and its text."""
    return {
        ROOT / "docs/reference/settings.md": pages.reference(),
        ROOT / "docs/reference/metrics.md": metrics.reference() + figures.reference(),
        WEBSOCKET: websocket_page(),
        voice_pack_docs.PAGE: voice_pack_docs.page(),
        spoken_text_docs.PAGE: spoken_text_docs.page(),
        **alerts.documents(),
        **boards.documents(),
        **{ROOT / f"configs/{name}.yaml": pages.sample(name) for name in pages.SAMPLES},
    }


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    wanted = parser.parse_args()
    stale = [path for path, text in documents().items() if not path.exists() or path.read_text("utf-8") != text]
    if wanted.check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run `just docs`.", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(documents()[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
