"""Real people: their recordings can be had, there are enough of them, and a session answers one."""

from __future__ import annotations

import pytest

from parley.bench import people
from parley.bench.people_actors import actors
from parley.bench.turns.corpus import Case
from parley.bench.turns.ears import EmbeddedEars
from parley.bench.turns.harness import System, play
from parley.bench.turns.people import corpus
from parley.bench.turns.score import SHORT, line
from parley.errors import ConfigError, UnavailableError
from parley.vad import create_vad


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    try:
        return list(corpus(people.people(["en"]), people.noises(), tuning=False))
    except (ConfigError, UnavailableError) as error:
        pytest.skip(error.message)


@pytest.mark.timeout(600)
def test_there_are_enough_people_on_the_reporting_side(cases: list[Case]) -> None:
    def of(*kinds: str) -> list[Case]:
        return [case for case in cases if case.kind in kinds]

    assert len(of("turn")) >= 150
    assert len(of("pause")) >= 60
    assert len(of("interruption")) >= 100
    assert sum(case.voice < SHORT for case in of("interruption")) >= 40
    assert len(of("backchannel", "noise")) >= 60
    assert len({case.name.split("/")[-2] for case in of("turn", "pause", "interruption")}) >= 3


def test_somebody_real_is_answered(cases: list[Case]) -> None:
    (asked,) = [case for case in cases if case.name.startswith("turn/goforward/")]
    outcome = play(asked, System("default", create_vad, lambda case, room: EmbeddedEars()))
    assert line("default", outcome).latency is not None


@pytest.mark.timeout(600)
def test_actors_can_be_had_to_tune_by_and_never_to_report_of() -> None:
    try:
        lines = actors(64)
    except (ConfigError, UnavailableError) as error:
        pytest.skip(error.message)
    assert len(lines) > 50
    assert {line.whole for line in lines} == {True, False}
    assert all(len(line.samples) > people.RATE // 10 for line in lines)
    assert list(corpus(lines, (), tuning=True))
    assert not list(corpus(lines, (), tuning=False))
