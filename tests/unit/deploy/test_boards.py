"""Boards and alerts ask for metrics and labels that there are, show all of them, and are what the description says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.deploy.scripts import ROOT, script

from parley.observability.metrics import METRICS
from parley.worker.figures import FIGURES

alerts, boards, promql = script("alerts"), script("boards"), script("promql")
BOARDS = sorted((ROOT / "deploy" / "grafana").glob("*dashboard*.json"))


@pytest.mark.parametrize(
    ("expression", "legend", "complaint"),
    [
        ("parley_sesions", "", "no metric parley_sesions"),
        ("sum by (code) (parley_sessions)", "", "label code"),
        ("sum by (job) (parley_sessions)", "{{code}}", "legend's label code"),
        ('parley_sessions{code="x"}', "", "no label code"),
        ('rate(parley_replies_total{outcome="lost"}[5m])', "", "is never lost"),
        ('rate(parley_turn_stage_seconds_sum{stage=~"llm|ttts"}[5m])', "", "is never ttts"),
        ("rate(parley_sessions[5m])", "", "is a gauge"),
        ("parley_replies_total", "", "is a counter"),
        ("rate(parley_turn_end_seconds[5m])", "", "no metric parley_turn_end_seconds"),
        ("avrg(parley_sessions)", "", "the function avrg"),
        ("parley_sessions ; 1", "", "not understood"),
    ],
)
def test_an_expression_that_asks_for_what_there_is_not_is_refused(expression: str, legend: str, complaint: str) -> None:
    assert complaint in " ".join(promql.complaints(expression, legend))


def test_an_expression_that_can_be_answered_is_not() -> None:
    expression = (
        "histogram_quantile(0.95, sum by (le, stage) "
        '(rate(parley_turn_stage_seconds_bucket{instance=~"$instance",stage=~"sent|heard"}[$__rate_interval]))) > 1.5'
    )
    assert promql.complaints(expression, "{{stage}}") == []


def test_a_board_with_an_unknown_metric_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = boards.Panel("New", boards.one("parley_moods"))
    monkeypatch.setattr(boards, "BOARDS", (boards.Board("x", "X", "parley_sessions", (("", (panel,)),)),))
    with pytest.raises(ValueError, match="New: there is no metric parley_moods"):
        boards.documents()


def test_an_alert_with_an_unknown_metric_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    alert = alerts.Alert("New", "parley_moods > 1", "1m", "page", "", "")
    monkeypatch.setattr(alerts, "GROUPS", {"": (alert,)})
    with pytest.raises(ValueError, match="New: there is no metric parley_moods"):
        alerts.documents()


def test_every_metric_that_there_is_is_on_a_board() -> None:
    shown = {
        name for panel in boards.panels() for query in panel.queries for name in promql.asked(query.expression).metrics
    }
    there_are = {metric.name for metric in (*METRICS, *FIGURES)}
    ends = ("_bucket", "_sum", "_count")
    assert {name for name in there_are if not {name, *(name + end for end in ends)} & shown} == set()


def places(board: dict[str, Any]) -> list[tuple[int, int]]:
    """The cells of the board's grid that its panels cover."""
    grids = [panel["gridPos"] for panel in board["panels"]]
    return [
        (x, y)
        for grid in grids
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_no_two_panels_of_a_board_share_a_place_or_a_number(path: Path) -> None:
    board = json.loads(path.read_text("utf-8"))
    cells = places(board)
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(numbers) == len(set(numbers))


def test_no_two_boards_have_one_address() -> None:
    names = [json.loads(path.read_text("utf-8"))["uid"] for path in BOARDS]
    assert len(names) == len(set(names)) == 4


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_reads_every_expression_of_every_board(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:number_{number}",
            "expr": query.expression.replace("$__rate_interval", "5m").replace("$__range", "1h"),
        }
        for number, query in enumerate(query for panel in boards.panels() for query in panel.queries)
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}), "utf-8")
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_each_alert_names_panels_that_show_what_it_looks_at() -> None:
    nowhere = {alert.name for alert in alerts.alerts() if not alerts.shown(alert)}
    assert nowhere == {"ParleyTargetDown"}
    starving = next(alert for alert in alerts.alerts() if alert.name == "ParleyStarving")
    assert alerts.shown(starving)[0] == "quality: Standing still in mid-reply"
