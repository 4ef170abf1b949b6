from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.errors import InvalidTransition
from parley.session.decide.reply_life import REPLY_TABLE, ReplyEvent, ReplyLife, ReplyState

EVERYTHING = list(product(ReplyEvent, ReplyState))
HELD = {ReplyState.POSTPONED, ReplyState.HELD, ReplyState.ENDING_HELD}
UNHEARD = {ReplyState.SPECULATIVE, ReplyState.WANTED, ReplyState.POSTPONED}
ENDING = {ReplyState.ENDING, ReplyState.ENDING_HELD, ReplyState.ENDING_RESUMING}


@pytest.mark.parametrize(("event", "state"), EVERYTHING)
def test_an_event_moves_as_the_table_says_or_is_refused_and_changes_nothing(
    event: ReplyEvent, state: ReplyState
) -> None:
    life = ReplyLife()
    life.state = state
    then = REPLY_TABLE.get((event, state))
    assert life.knows(event) == (then is not None)
    if then is None:
        with pytest.raises(InvalidTransition, match=event.value):
            life.handle(event)
        assert (life.state, life.announced, life.all_sent, life.outcome) == (state, False, False, "finished")
    else:
        life.handle(event)
        assert life.state is then


def test_nothing_happens_to_a_reply_that_is_over() -> None:
    assert not [event for event, state in REPLY_TABLE if state is ReplyState.OVER]


def test_every_reply_can_be_cancelled_and_ends() -> None:
    for state in set(ReplyState) - {ReplyState.OVER}:
        assert REPLY_TABLE[ReplyEvent.CANCELLED, state] is ReplyState.OVER


def test_every_state_is_reached() -> None:
    reached = {ReplyState.SPECULATIVE}
    while more := {then for (_, state), then in REPLY_TABLE.items() if state in reached} - reached:
        reached |= more
    assert reached == set(ReplyState)


def test_what_has_been_heard_is_never_a_guess_again() -> None:
    for (_, state), then in REPLY_TABLE.items():
        assert then not in UNHEARD or state in UNHEARD


def test_only_a_hold_holds_and_only_letting_go_or_the_end_ends_it() -> None:
    for (event, state), then in REPLY_TABLE.items():
        assert (then in HELD) == (event is ReplyEvent.HELD)
        if state in HELD:
            assert event in (ReplyEvent.LET_GO, ReplyEvent.GIVEN_UP, ReplyEvent.CANCELLED)


def test_a_reply_is_heard_out_only_when_all_of_it_was_sent() -> None:
    for (event, state), then in REPLY_TABLE.items():
        assert (then in ENDING) == (event is ReplyEvent.LAST_FRAME_SENT or (state in ENDING and then in ENDING))
        if event is ReplyEvent.HEARD_OUT:
            assert state is ReplyState.ENDING


@given(st.lists(st.sampled_from(ReplyEvent), max_size=30), st.booleans())
def test_the_facts_follow_from_the_way_taken(events: list[ReplyEvent], troubled: bool) -> None:
    life = ReplyLife()
    life.troubled = troubled
    taken = []
    for event in events:
        if life.knows(event):
            life.handle(event)
            taken.append(event)
    assert life.announced == (ReplyEvent.FIRST_FRAME in taken)
    assert life.all_sent == (ReplyEvent.LAST_FRAME_SENT in taken)
    assert life.live == (not {ReplyEvent.HEARD_OUT, ReplyEvent.GIVEN_UP, ReplyEvent.CANCELLED} & set(taken))
    assert life.playing == (life.live and life.announced and life.state in (ReplyState.SOUNDING, ReplyState.ENDING))
    cut = ReplyEvent.CANCELLED in taken
    assert life.outcome == ("failed" if troubled else "interrupted" if cut else "finished")
