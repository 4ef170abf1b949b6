"""The doctor says how many people can speak at once."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from parley.cli import checks
from parley.config import Settings


def listeners(**asr: object) -> checks.Finding:
    settings = Settings()
    return checks._listeners(replace(settings, asr=replace(settings.asr, **asr)))  # type: ignore[arg-type]


def talkers(finding: checks.Finding) -> int:
    said = re.search(r"about (\d+) people can talk at once", finding.detail)
    assert said, finding.detail
    return int(said[1])


def test_the_doctor_says_how_many_can_speak_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    one, two, eight = (listeners(engine="pocketsphinx", decoders=count) for count in (1, 2, 8))
    assert (one.name, two.name, one.state) == ("1 decoder", "2 decoders", "ok")
    assert 1 < talkers(one) < talkers(two)
    assert talkers(eight) == 4 * talkers(one)  # decoders beyond the cores hear nobody sooner


def test_where_it_depends_on_the_model_the_doctor_names_what_measures_it() -> None:
    assert "parley bench asr" in listeners(engine="sherpa").detail


def test_the_doctors_list_holds_it() -> None:
    assert listeners(engine=Settings().asr.engine) in list(checks._ears(Settings()))
