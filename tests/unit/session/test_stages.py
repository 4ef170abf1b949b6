"""The stages of a turn, as metrics, traces and the page tell them."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from parley.session.decide.stages import STAGES, Step, steps

some = st.dictionaries(
    st.sampled_from([*STAGES, "unknown"]), st.floats(-500, 20_000, allow_nan=False), max_size=len(STAGES)
)
WEB = Path(__file__).parents[3] / "web/src"


def test_each_step_is_what_a_stage_adds_to_the_one_before() -> None:
    assert steps({"vad": 60.0, "endpoint": 340.0, "asr": 350.0, "llm": 300.0}) == [
        Step("vad", 0.0, 60.0),
        Step("llm", 60.0, 300.0),
        Step("endpoint", 300.0, 340.0),
        Step("asr", 340.0, 350.0),
    ]


@given(some)
def test_steps_follow_each_other_and_end_when_the_last_stage_is_reached(stages_ms: dict[str, float]) -> None:
    found = steps(stages_ms)
    known = {name: at for name, at in stages_ms.items() if name in STAGES}
    assert {step.name for step in found} == set(known)
    before = 0.0
    for step in found:
        assert step.start_ms == before
        assert step.end_ms >= step.start_ms
        before = step.end_ms
    assert before == max([0.0, *known.values()])


def test_the_page_draws_the_same_stages_by_the_same_words() -> None:
    words = dict(re.findall(r'^  (step_\w+): "([^"]+)"', (WEB / "words/en.ts").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r'^  (\w+): \["(\w+)", "#', (WEB / "view/latency.ts").read_text("utf-8"), re.MULTILINE)
    drawn = {stage: words[name] for stage, name in named}
    assert drawn.pop("page") == "audible here"  # known to the page alone
    assert drawn == dict(STAGES)
