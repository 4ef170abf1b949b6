"""What a case of the turns benchmark counts, and that what was written down sums up to the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parley.bench.report import BenchOptions
from parley.bench.turns.corpus import Case, Kind, Sound
from parley.bench.turns.run import hearings, played, read_lines, run, write_line
from parley.bench.turns.score import Outcome, line, score, summed
from parley.errors import ConfigError


def case(kind: Kind, text: str = "what time is it", seconds: float = 1.0) -> Case:
    sound = Sound(np.ones(round(seconds * 48_000), np.int16), 0.5, text)
    return Case(f"{kind}/{text}", kind, (sound,), 20.0, 1)


OUTCOMES = (
    Outcome(case("turn"), answered_at=(1.9,)),
    Outcome(case("turn", "yes"), answered_at=(1.2, 2.0)),
    Outcome(case("turn"), answered_at=(9.0,)),
    Outcome(case("pause"), answered_at=(1.0, 2.5)),
    Outcome(case("pause"), answered_at=(2.1,)),
    Outcome(case("interruption"), paused_at=0.6, lost=True),
    Outcome(case("backchannel", "mhm", 0.3), paused_at=0.55, resumed_at=1.0),
)


def test_an_answer_before_the_end_is_early_and_one_behind_it_is_counted_from_there() -> None:
    soon, early, late = (line("x", outcome) for outcome in OUTCOMES[:3])

    assert (soon.early, early.early) == (False, True)
    assert soon.latency == pytest.approx(0.4)
    assert early.latency == pytest.approx(0.5)
    assert late.latency is None


def test_each_kind_is_summed_up_by_itself() -> None:
    scores = score("x", OUTCOMES)

    assert (scores.pauses_taken.hits, scores.pauses_taken.of) == (1, 2)
    assert (scores.false_ends.hits, scores.turns_answered.hits, scores.turns_answered.of) == (1, 2, 3)
    assert (scores.honoured.hits, scores.short_honoured.of, scores.backchannels_lost.hits) == (1, 1, 0)
    assert scores.one_word_latency == pytest.approx([0.5])
    assert scores.onset_to_silence == pytest.approx([0.1])


def test_what_was_written_down_sums_up_to_the_same_and_runs_stand_beside_each_other(tmp_path: Path) -> None:
    files = [tmp_path / "one.jsonl", tmp_path / "other.jsonl"]
    for name, file in zip(("Parley fast", "Parley patient"), files, strict=True):
        for outcome in OUTCOMES:
            write_line(file, line(name, outcome))

    assert summed("Parley fast", read_lines(files[0])) == score("Parley fast", OUTCOMES)
    rows = run(BenchOptions(params={"from": ",".join(map(str, files)), "plots": str(tmp_path / "plots")}))
    assert {row.params["system"] for row in rows} == {"Parley fast", "Parley patient"}
    assert (tmp_path / "plots" / "frontier.png").is_file()


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text('{"a": 1}\n')
    with pytest.raises(ConfigError, match=r"notes\.txt has no cases"):
        read_lines(path)


def test_what_was_played_is_kept_when_the_run_breaks_off(tmp_path: Path) -> None:
    outcomes, file = iter(OUTCOMES[:2]), tmp_path / "cases.jsonl"

    with pytest.raises(StopIteration):
        played([outcome.case for outcome in OUTCOMES], "x", lambda case: next(outcomes), str(file))

    assert [(one.system, one.case) for one in read_lines(file)] == [("x", one.case.name) for one in OUTCOMES[:2]]


@pytest.mark.parametrize(
    ("params", "measured"),
    [({"people": "en"}, [True]), ({"people": "en", "words": "embedded"}, [False]), ({}, [False, False])],
)
def test_people_are_heard_at_one_speed_where_a_stand_in_for_the_ears_is_named(
    params: dict[str, str], measured: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parley.bench.real_models.loaded", lambda settings: lambda: None)
    assert [hearing.measured for hearing in hearings(BenchOptions(params=params))] == measured
