"""One page of what other benchmarks measured: plots of all that ``--json`` wrote into a folder, beside an earlier run.

``--set``: from (the folder, build/bench/now), earlier (the folder of the run to compare with; none), out (the page,
build/bench/report.html). The page holds all it needs: no script, no picture beside it, nothing from elsewhere.
"""

from __future__ import annotations

from pathlib import Path

from parley.bench.compared import Pair, pairs, read
from parley.bench.report import BenchOptions, Goal, Row, row
from parley.bench.whole_page import page
from parley.errors import ConfigError


def run(options: BenchOptions) -> list[Row]:
    if options.url:
        raise ConfigError("The report measures nothing; leave --url away.")
    folder, earlier = Path(options.text("from", "build/bench/now")), options.text("earlier")
    out = Path(options.text("out", "build/bench/report.html"))
    found = pairs(read(folder), read(Path(earlier)) if earlier else [])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(found, str(folder), earlier), encoding="utf-8")
    return summary(found, bool(earlier), str(out))


def summary(found: list[Pair], compared: bool, out: str) -> list[Row]:
    """How many figures there are, miss their goals, and are better or worse than before."""
    now = [pair.now for pair in found if pair.now is not None]
    missed = [figure for figure in now if figure.met is False]
    rows = [
        row("figures", "", [len(now)], params={"page": out}),
        row("figures that miss their goals", "", [len(missed)], goal=Goal(0)),
    ]
    if compared:
        for verdict in ("better", "worse", "changed", "gone"):
            count = sum(pair.verdict == verdict for pair in found)
            rows.append(row(f"than before: {verdict}", "", [count], goal=Goal(0) if verdict == "worse" else None))
    return rows
