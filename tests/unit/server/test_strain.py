"""While half of the conversations wait too long for their answers, nobody new is let in; and no longer than that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.server.strain import FRESH, Strain

NOBODY: frozenset[str] = frozenset()


def strained(*sessions: str, at: float = 0.0) -> Strain:
    strain = Strain()
    for session in sessions:
        strain.reacted(session, "model", at, on=True)
    return strain


def test_half_of_those_who_talk_are_too_many() -> None:
    assert not strained().too_much("abc", NOBODY, 0.0)
    assert not strained("a").too_much("abc", NOBODY, 0.0)
    assert strained("a", "b").too_much("abc", NOBODY, 0.0)
    assert not Strain().too_much((), NOBODY, 0.0)


def test_one_in_which_nobody_talks_any_more_keeps_nobody_out() -> None:
    strain = strained("a")
    assert strain.too_much("a", NOBODY, FRESH - 1)
    assert not strain.too_much("a", NOBODY, FRESH)


def test_one_in_which_somebody_talks_on_does() -> None:
    strain = strained("a")
    strain.turned("a", 5 * FRESH)
    assert strain.too_much("a", NOBODY, 5 * FRESH + 1)


def test_a_stage_that_has_recovered_says_nothing_of_another_one() -> None:
    strain = strained("a")
    strain.reacted("a", "voice", 1.0, on=True)
    strain.reacted("a", "voice", 2.0, on=False)
    assert strain.too_much("a", NOBODY, 3.0)
    strain.reacted("a", "model", 4.0, on=False)
    assert not strain.too_much("a", NOBODY, 5.0)


def test_one_that_goes_on_elsewhere_is_not_counted() -> None:
    strain = strained("a")
    assert not strain.too_much("ab", {"a"}, 0.0)
    assert strain.too_much("ab", {"b"}, 0.0)


def test_one_that_is_over_is_forgotten() -> None:
    strain = strained("a")
    strain.forget("a")
    strain.turned("a", 1.0)
    assert not strain.too_much("a", NOBODY, 1.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ears", "model", "voice"]), st.booleans())))
def test_a_conversation_is_strained_while_any_stage_of_it_is(told: list[tuple[str, str, bool]]) -> None:
    strain, on = Strain(), set[tuple[str, str]]()
    for session, stage, begins in told:
        strain.reacted(session, stage, 0.0, on=begins)
        (on.add if begins else on.discard)((session, stage))
    for session in "abc":
        assert strain.too_much((session,), NOBODY, 0.0) is any(known == session for known, _ in on)
