"""The benchmark of the page runs with the page as it is served, its rules about scripts included."""

from __future__ import annotations

import shutil

import pytest

from parley.bench import browser
from parley.bench.report import BenchOptions
from parley.errors import InvalidRequest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_an_interruption_is_measured_as_a_browser_hears_it() -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    rows = browser.run(BenchOptions(trials=1, params={"only": "direct, ducked"}))
    heard = {row.name: row.n for row in rows}
    assert any("silent" in name and n for name, n in heard.items()), heard


def test_a_set_up_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="direct, decided"):
        browser.run(BenchOptions(params={"only": "nonsense"}))
