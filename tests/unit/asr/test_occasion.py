"""When a turn is decoded: at its pauses at once, in between within a budget, and never twice for nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.asr.decoder import RATE
from parley.asr.occasion import Hearing, Occasion, PartialBudget, occasion

BUDGET = PartialBudget(interval=0.3, share=0.3, decoders=1)
SECOND = RATE


def test_who_begins_to_speak_is_decoded_once_there_may_be_a_word() -> None:
    assert occasion(Hearing(heard=SECOND // 2 - 1), BUDGET) is Occasion.WAIT
    assert occasion(Hearing(heard=SECOND // 2), BUDGET) is Occasion.PARTIAL


def test_who_falls_silent_is_decoded_at_once_however_new_the_last_transcript_is() -> None:
    hearing = Hearing(heard=SECOND, decoded=SECOND, cost=9.0)
    hearing.take(160, speaking=False)
    assert occasion(hearing, BUDGET) is Occasion.PAUSE


def test_silence_that_goes_on_is_not_decoded_again() -> None:
    hearing = Hearing(heard=SECOND, decoded=SECOND, silent_from=SECOND)
    hearing.take(5 * SECOND, speaking=False)
    assert occasion(hearing, BUDGET) is Occasion.WAIT


def test_a_turn_that_ends_in_the_silence_that_was_decoded_is_known() -> None:
    hearing = Hearing(heard=2 * SECOND, decoded=SECOND, silent_from=SECOND, ended=True)
    assert occasion(hearing, BUDGET) is Occasion.KNOWN


def test_a_voice_that_goes_on_after_its_pause_is_decoded_again_at_the_end() -> None:
    hearing = Hearing(heard=SECOND, decoded=SECOND, silent_from=SECOND)
    hearing.take(160, speaking=True)
    hearing.end()
    assert occasion(hearing, BUDGET) is Occasion.PAUSE


def test_a_turn_that_ends_in_mid_word_or_without_a_sample_is_decoded_once_at_its_end() -> None:
    for hearing in (Hearing(), Hearing(heard=SECOND, decoded=SECOND - 1)):
        hearing.end()
        assert occasion(hearing, BUDGET) is Occasion.PAUSE
        hearing.decoded = hearing.heard
        assert occasion(hearing, BUDGET) is Occasion.KNOWN


def test_partials_cost_no_more_than_their_share() -> None:
    assert BUDGET.gap(0.03, 1) == int(0.3 * RATE)
    assert BUDGET.gap(0.3, 1) == RATE
    assert BUDGET.gap(3.0, 1) == 10 * RATE


def test_partials_of_everybody_together_leave_half_of_the_decoders_free() -> None:
    four = PartialBudget(interval=0.3, share=0.3, decoders=2)
    assert 4 * 0.3 / (four.gap(0.3, 4) / RATE) <= 1.0
    assert four.gap(0.3, 1) == RATE


@given(
    st.lists(st.tuples(st.integers(1, 8_000), st.booleans()), min_size=1, max_size=40),
    st.floats(0.001, 2.0),
    st.integers(1, 9),
)
def test_whatever_is_heard_everything_is_decoded_and_the_work_is_bounded(
    pieces: list[tuple[int, bool]], cost: float, speakers: int
) -> None:
    hearing, decodes, pauses = Hearing(), 0, 0
    for samples, speaking in pieces:
        was_silent = hearing.silent_from is not None
        hearing.take(samples, speaking=speaking)
        pauses += not speaking and not was_silent
        if (now := occasion(hearing, BUDGET, speakers)) is not Occasion.WAIT:
            assert now in (Occasion.PARTIAL, Occasion.PAUSE)
            hearing.decoded, hearing.cost = hearing.heard, cost
            decodes += 1
    assert decodes <= pauses + 1 + hearing.heard / (0.3 * RATE)
    hearing.end()
    if occasion(hearing, BUDGET, speakers) is Occasion.PAUSE:
        hearing.decoded = hearing.heard
    assert occasion(hearing, BUDGET, speakers) is Occasion.KNOWN
