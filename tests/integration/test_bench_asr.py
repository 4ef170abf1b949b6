"""``parley bench asr`` in real time, and what ``ears-fair`` measures by the decoders' own clock."""

from __future__ import annotations

import numpy as np

from parley.bench.asr import run
from parley.bench.ears_alone import Room
from parley.bench.probe import at_rate
from parley.bench.report import BenchOptions
from parley.bench.speech import say, speakers


def test_a_recogniser_that_needs_no_time_ends_with_the_turn() -> None:
    rows = run(BenchOptions(trials=1, sessions=(1,), params={"engine": "instant"}))
    final = next(row for row in rows if "final" in row.name)
    assert final.n == 1
    assert final.p50 is not None
    assert 0 <= final.p50 < 1_000


def test_a_question_is_understood_while_somebody_talks_on() -> None:
    question = at_rate(say("Tell me a story.", speakers()[0]), 16_000)
    talk = at_rate(say("we went to the market and bought some bread", speakers()[2]), 16_000)
    room = Room(1)
    room.speak(0, 0.0, np.tile(talk, 4))
    room.speak(1, 1.0, question)
    said = room.run(8.0)
    assert said[1].text
    assert said[1].understood > said[1].ended
    assert not said[0].understood
