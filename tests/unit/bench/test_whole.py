"""The report of all benchmarks: figures find their earlier ones, the goal judges them, the page needs nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from parley.bench.compared import Figure, Pair, pairs, read
from parley.bench.report import BenchOptions, Goal, row, write_json
from parley.bench.whole import run
from parley.bench.whole_page import Scale, number, page
from parley.errors import ConfigError

ONE = Figure("turn", "first sound", "ms", 20, 100.0, 150.0, "≤ 120", True)


@pytest.mark.parametrize(
    ("now", "before", "goal", "verdict"),
    [
        (100.0, 100.0, "≤ 120", "same"),
        (109.0, 100.0, "≤ 120", "same"),
        (120.0, 100.0, "≤ 120", "worse"),
        (80.0, 100.0, "≤ 120", "better"),
        (80.0, 100.0, "≥ 90 / 95", "worse"),
        (120.0, 100.0, "≥ 90", "better"),
        (120.0, 100.0, "", "changed"),
        (120.0, 0.0, "≤ 1", "same"),
        (None, 100.0, "≤ 1", "same"),
    ],
)
def test_the_goal_says_which_way_is_better(now: float | None, before: float, goal: str, verdict: str) -> None:
    assert Pair(replace(ONE, p50=now, goal=goal), replace(ONE, p50=before, goal=goal)).verdict == verdict


def test_a_figure_without_an_earlier_one_is_new_and_one_without_a_later_one_is_gone() -> None:
    other = replace(ONE, name="last sound")
    assert [pair.verdict for pair in pairs([ONE], [other])] == ["new", "gone"]


def test_figures_are_told_apart_by_what_they_were_taken_with() -> None:
    few, many = replace(ONE, params={"sessions": 1}), replace(ONE, params={"sessions": 50}, p50=300.0)
    assert [pair.change for pair in pairs([few, many], [many, few])] == [0.0, 0.0]


def test_a_measured_parameter_does_not_part_a_figure_from_its_earlier_one() -> None:
    now = [replace(ONE, params={"sessions": 1, "turns": 31}), replace(ONE, params={"sessions": 2, "turns": 60})]
    before = [replace(ONE, params={"sessions": 1, "turns": 30}), replace(ONE, params={"sessions": 2, "turns": 61})]
    assert [pair.before for pair in pairs(now, before)] == before


@pytest.mark.parametrize(
    ("goal", "target"), [("", None), ("≤ 35 / 95", 35.0), ("≤ – / 95", 95.0), ("≥ 0.5", 0.5), ("≤ 3", 3.0)]
)
def test_the_goal_that_is_drawn_is_its_first_number(goal: str, target: float | None) -> None:
    assert replace(ONE, goal=goal).target == target


@pytest.mark.parametrize(
    ("values", "value", "share"),
    [([10.0, 20.0], 10.0, 0.5), ([0.0, 20.0], 0.0, 0.0), ([1.0, 2000.0], 2000.0, 1.0), ([1.0, 2000.0], 0.5, 0.0)],
)
def test_a_scale_holds_all_its_values(values: list[float], value: float, share: float) -> None:
    scale = Scale(values)
    assert scale(value) == pytest.approx(share * scale(max(values)), abs=0.1)
    assert scale.logarithmic == (2000.0 in values)


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0.0, "0"), (1234.5, "1234"), (12.345, "12.3"), (0.001234, "0.00123")]
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_the_page_holds_every_figure_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    now, earlier, out = tmp_path / "now", tmp_path / "earlier", tmp_path / "report.html"
    for folder, values in ((now, [200.0, 260.0]), (earlier, [100.0, 130.0])):
        folder.mkdir()
        write_json(folder / "turn.json", [row("first <sound>", "ms", values, goal=Goal(120), params={"way": "a & b"})])
        write_json(folder / "vad.json", [row("cost", "", []), row("share", "%", [50.0])])
    options = BenchOptions(params={"from": str(now), "earlier": str(earlier), "out": str(out)})
    rows = {each.name: each.p50 for each in run(options)}
    assert rows["figures"] == 3
    assert rows["figures that miss their goals"] == 1
    assert rows["than before: worse"] == 1
    text = out.read_text("utf-8")
    assert "first &lt;sound&gt; (way a &amp; b)" in text
    assert "+100 % worse" in text
    assert not re.search(r"<script|<link|<img|src=|url\(|@import|https?://", text)
    pictures = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    assert [picture.attrib["aria-label"] for picture in pictures] == ["ms", "%"]
    assert [len(list(picture.iter("g"))) for picture in pictures] == [1, 1]
    assert not options.unread


def test_a_page_without_an_earlier_run_compares_nothing() -> None:
    text = page(pairs([ONE], []), "now", "")
    assert "before" not in re.sub(r"<style>.*</style>|<title>.*?</title>", "", text, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("content", "word"), [("", "is not what"), ("[1]", "is not what"), ('[{"name": 1}]', "is not what")]
)
def test_a_file_of_something_else_is_named(content: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "turn.json").write_text(content)
    with pytest.raises(ConfigError, match=word):
        read(tmp_path)


def test_a_folder_without_figures_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parley bench NAME --json"):
        read(tmp_path)
