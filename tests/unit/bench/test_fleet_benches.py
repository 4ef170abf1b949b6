"""The routing simulation and the judge of failovers: what they count is what there is to count."""

from __future__ import annotations

import numpy as np
import pytest

from parley.bench.failover import _judge
from parley.bench.report import BenchOptions
from parley.bench.routing import CONTESTANTS, _Fleet, fairness
from parley.client.playout import Heard
from parley.values import Voice
from parley.worker.adapters.tone import ToneAdapter
from parley.worker.voicepacks import builtin_models

CODES = list(range(100, 106))


def recording(*codes: int) -> bytes:
    """What a worker says of these words."""
    pack = next(pack for pack in builtin_models() if pack.model_id == "tone-words")
    adapter = ToneAdapter(pack)
    adapter.load()
    chunks = list(adapter.synthesize(" ".join(map(str, codes)), voice=Voice()))
    return np.concatenate([chunk.samples for chunk in chunks]).astype(np.int16).tobytes()


def heard(*codes: int, at: float = 0.0) -> Heard:
    return Heard(at, 1, 0, recording(*codes))


def test_a_whole_recording_lacks_nothing() -> None:
    trial = _judge([heard(*CODES)], CODES, 1.0, "finished")
    assert (trial.lost, trial.repeated, trial.gap) == (0, 0, 0.0)


def test_missing_words_are_counted() -> None:
    assert _judge([heard(100, 101, 105)], CODES, 1.0, "finished").lost == 3


def test_repeated_and_foreign_words_are_counted() -> None:
    assert _judge([heard(*CODES[:3], 102, 999, *CODES[3:])], CODES, 1.0, "finished").repeated == 2


def test_the_longest_silence_between_two_stretches_is_the_gap() -> None:
    first = heard(*CODES[:3])
    second = heard(*CODES[3:], at=first.until + 0.25)
    assert _judge([first, second], CODES, 1.0, "finished").gap == pytest.approx(0.25)


def test_a_reply_that_was_never_heard_lacks_every_word() -> None:
    assert _judge([], CODES, 1.0, "failed").lost == len(CODES)


def small(seed: int = 1) -> BenchOptions:
    return BenchOptions(sessions=(40,), seed=seed, params={"workers": "5", "models": "8", "seconds": "60"})


@pytest.mark.parametrize("name", CONTESTANTS)
def test_every_policy_serves_everybody(name: str) -> None:
    fleet = _Fleet(small(), CONTESTANTS[name])
    fleet.run()
    assert fleet.spoken == len(fleet.first_audio) > 100
    assert all(worker.speaking <= worker.slots for worker in fleet.workers.values())
    assert all(len(worker.resident) <= 6 for worker in fleet.workers.values())


def test_the_same_seed_gives_the_same_simulation() -> None:
    runs = [_Fleet(small(seed=3), CONTESTANTS["parley"]) for _ in range(2)]
    for fleet in runs:
        fleet.run()
    assert runs[0].first_audio == runs[1].first_audio


def test_where_models_are_counts_for_more_than_chance() -> None:
    loads = {}
    for name in ("parley", "random"):
        fleet = _Fleet(small(), CONTESTANTS[name])
        fleet.run()
        loads[name] = sum(worker.loads for worker in fleet.workers.values())
    assert loads["parley"] < loads["random"] / 3


def test_fairness_is_one_when_all_carry_the_same() -> None:
    assert fairness([2.0, 2.0, 2.0]) == 1.0
    assert fairness([1.0, 0.0, 0.0, 0.0]) == 0.25
    assert fairness([0.0, 0.0]) == 1.0
