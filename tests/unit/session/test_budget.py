"""What is done when answers come too late: the table, with memory and a look at whether it helped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.session.decide.budget import TABLE, UNJUDGED, Budget, Change, Reaction, Rules, Stage
from parley.session.log import Latency
from parley.session.pressure import stages_of, waited

RULES = Rules()
LIMITS = {Stage.EARS: 0.5, Stage.MODEL: 0.8, Stage.VOICE: 0.8}
SOME = st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.9, 1.5, 4.0])
TURNS = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(Stage), SOME), st.sampled_from([0.5, 1.0, 1.04, 2.0, 5.0])), max_size=80
)


def budget(*withheld: Reaction, rules: Rules = RULES) -> Budget:
    made: Budget

    def offers(reaction: Reaction) -> bool:
        return reaction not in withheld and not made.on(reaction)

    made = Budget(LIMITS, offers, rules)
    return made


@given(TURNS)
def test_a_reaction_belongs_to_its_stage_begins_before_it_ends_and_is_told_once(turns: list) -> None:  # type: ignore[type-arg]
    policy, on = budget(), set[tuple[Stage, Reaction]]()
    for took, wait in turns:
        for change in policy.turn(took, wait):
            known = change.stage, change.reaction
            assert change.reaction in TABLE[change.stage]
            assert (known in on) is not change.on
            (on.add if change.on else on.discard)(known)
            assert change.why == "overrun" if change.on else change.why in ("no_help", "calm")
            assert change.took == took[change.stage]
    assert all(policy.on(reaction) == any(one is reaction for _, one in on) for reaction in Reaction)


@given(TURNS)
def test_what_did_not_help_is_not_tried_again(turns: list) -> None:  # type: ignore[type-arg]
    policy, barred = budget(), set[tuple[Stage, Reaction]]()
    for took, wait in turns:
        for change in policy.turn(took, wait):
            assert not (change.on and (change.stage, change.reaction) in barred)
            if change.why == "no_help":
                assert change.reaction not in UNJUDGED
                barred.add((change.stage, change.reaction))


@given(TURNS, st.sets(st.sampled_from(Reaction)))
def test_what_is_not_offered_never_begins(turns: list, withheld: set[Reaction]) -> None:  # type: ignore[type-arg]
    policy = budget(*withheld)
    assert all(change.reaction not in withheld for took, wait in turns for change in policy.turn(took, wait))


@given(st.lists(st.fixed_dictionaries({stage: st.floats(0, LIMITS[stage]) for stage in Stage}), max_size=60))
def test_within_the_budget_nothing_is_ever_done(turns: list) -> None:  # type: ignore[type-arg]
    policy = budget()
    assert not [change for took in turns for change in policy.turn(took, 1.0)]


def changes(policy: Budget, stage: Stage, *took: float, wait: float = 1.0) -> list[Change]:
    return [change for seconds in took for change in policy.turn({stage: seconds}, wait)]


def test_one_overrun_is_none_two_in_a_row_are_and_a_severe_one_counts_for_two() -> None:
    assert not changes(budget(), Stage.EARS, 0.6, 0.4, 0.6)
    assert [one.reaction for one in changes(budget(), Stage.EARS, 0.6, 0.6)] == [Reaction.FASTER_EARS]
    assert [one.reaction for one in changes(budget(), Stage.EARS, 1.1)] == [Reaction.FASTER_EARS]


def test_a_reaction_after_which_the_wait_is_as_long_is_taken_back_and_the_next_one_tried() -> None:
    policy = budget()
    told = [(one.reaction, one.why) for one in changes(policy, Stage.MODEL, *[2.0] * 5, wait=3.0)]
    assert told == [(Reaction.FILLER, "overrun"), (Reaction.FILLER, "no_help"), (Reaction.SHORT_REPLIES, "overrun")]


def test_a_reaction_that_helped_stays_until_its_stage_has_been_calm_for_long_and_longer_after_a_relapse() -> None:
    policy = budget()
    changes(policy, Stage.EARS, 2.0, wait=3.0)
    for patience in (RULES.calm_after, 2 * RULES.calm_after):
        assert not changes(policy, Stage.EARS, *[0.1] * (patience - 1))
        assert [one.why for one in changes(policy, Stage.EARS, 0.1)] == ["calm"]
        assert [one.on for one in changes(policy, Stage.EARS, 2.0, wait=3.0)] == [True]


def test_just_below_the_budget_a_reaction_neither_begins_nor_ends() -> None:
    policy = budget()
    changes(policy, Stage.EARS, 2.0, wait=3.0)
    assert not changes(policy, Stage.EARS, *[0.45] * 500)


def test_when_nothing_is_left_to_do_nobody_new_is_let_in() -> None:
    assert [one.reaction for one in changes(budget(Reaction.FASTER_EARS), Stage.EARS, 2.0)] == [Reaction.REFUSE]


# --- from the log ------------------------------------------------------------------------


def latency(aside_ms: float | None = None, **stages_ms: float) -> Latency:
    return Latency(0.0, 1, stages_ms, aside_ms)


def test_a_stage_begins_where_what_it_waits_for_is_there() -> None:
    stages = latency(vad=60.0, endpoint=340.0, asr=840.0, llm=1840.0, tts=2040.0, sent=2060.0)
    assert stages_of(stages, 0.5) == pytest.approx({Stage.EARS: 0.5, Stage.MODEL: 1.0, Stage.VOICE: 0.7})
    assert waited(stages) == pytest.approx(2.06)


def test_a_guess_that_was_ahead_took_nobody_any_time() -> None:
    early = latency(endpoint=340.0, asr=345.0, llm=200.0, tts=250.0, sent=346.0)
    assert stages_of(early, 0.0) == pytest.approx({Stage.EARS: 0.005, Stage.MODEL: 0.0, Stage.VOICE: 0.0})


@given(st.dictionaries(st.sampled_from(["vad", "endpoint", "asr", "llm", "tts", "sent"]), st.floats(-1e3, 1e5)))
def test_no_stage_takes_less_than_no_time(stages: dict[str, float]) -> None:
    assert all(seconds >= 0 for seconds in stages_of(latency(**stages), 0.0).values())


def test_what_was_said_in_place_of_the_answer_ends_the_wait_and_is_no_stage_of_it() -> None:
    excused = latency(1300.0, endpoint=300.0, asr=500.0, llm=4500.0, tts=5000.0, sent=5010.0)
    assert waited(excused) == pytest.approx(1.3)
    assert stages_of(excused, 0.2) == pytest.approx({Stage.EARS: 0.2, Stage.MODEL: 4.0, Stage.VOICE: 0.2})
