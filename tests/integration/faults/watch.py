"""A real Prometheus over a running Parley, with our rules and boards, and time that runs twenty times faster."""

from __future__ import annotations

import asyncio
import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.unit.deploy.scripts import ROOT, script

from parley.testing.redis_server import free_port

FASTER = 20
"""So many times: a window of five minutes is one of fifteen seconds, and an hour is three minutes."""
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_RANGES = {"$__rate_interval": "15s", "$__range": "60s", "$instance": ".*"}
"""What Grafana would put in."""


def scaled(duration: str) -> str:
    """A duration as Prometheus writes it, that much shorter."""
    return f"{max(1, round(int(duration[:-1]) * _SECONDS[duration[-1]] / FASTER))}s"


def faster_rules() -> dict[str, Any]:
    """The rules that are shipped, their windows and waits shortened; nothing else is changed."""
    rules: dict[str, Any] = script("alerts").rules()
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = re.sub(r"\[(\d+[smh])\]", lambda found: f"[{scaled(found[1])}]", rule["expr"])
            rule["for"] = scaled(rule["for"]) if rule["for"] != "0m" else "0s"
    return rules


def panel(board: str, title: str) -> list[str]:
    """The expressions of a panel of the shipped boards, or that of one ``TITLE / LEGEND``. KeyError for none."""
    title, _, legend = title.partition(" / ")
    read = json.loads((ROOT / f"deploy/grafana/{board}-dashboard.json").read_text("utf-8"))
    for each in read["panels"]:
        if each["title"] == title and each["type"] != "row":
            found = [target["expr"] for target in each["targets"] if legend in ("", target["legendFormat"])]
            for name, value in _RANGES.items():
                found = [expression.replace(name, value) for expression in found]
            if found:
                return found
    raise KeyError(f"{board}: {title}")


@dataclass
class Watch:
    """What it knows."""

    url: str

    async def query(self, expression: str) -> list[float]:
        """The values of all series."""
        asked = urllib.parse.urlencode({"query": expression})
        answer = await asyncio.to_thread(_get, f"{self.url}/api/v1/query?{asked}")
        values = [float(each["value"][1]) for each in answer["data"]["result"]]
        return [value for value in values if not math.isnan(value)]

    async def firing(self) -> set[str]:
        """The names of all alerts that fire."""
        answer = await asyncio.to_thread(_get, f"{self.url}/api/v1/alerts")
        return {each["labels"]["alertname"] for each in answer["data"]["alerts"] if each["state"] == "firing"}

    async def shown(self, board: str, title: str) -> tuple[float, float]:
        """The lowest and the highest value that a panel shows now; zeros where it shows nothing."""
        values = [value for expression in panel(board, title) for value in await self.query(expression)]
        return (min(values), max(values)) if values else (0.0, 0.0)


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


@asynccontextmanager
async def watching(folder: Path, targets: Mapping[str, int]) -> AsyncIterator[Watch]:
    """Prometheus, that asks these ports by the names of their jobs once a second."""
    (folder / "alerts.yaml").write_text(yaml.safe_dump(faster_rules()), "utf-8")
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yaml"],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for name, port in targets.items()
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), "utf-8")
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    watch = Watch(f"http://127.0.0.1:{port}")
    try:
        async with asyncio.timeout(60):
            while not await _up(watch, len(targets)):
                assert process.returncode is None, (folder / "prometheus.log").read_text()
                await asyncio.sleep(0.5)
        yield watch
    finally:
        process.terminate()
        await process.wait()


async def _up(watch: Watch, targets: int) -> bool:
    try:
        return sum(await watch.query("up")) == targets
    except OSError:
        return False
