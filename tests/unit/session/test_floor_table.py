from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.errors import InvalidTransition
from parley.session.decide.floor_table import TABLE, Action, Agent, Event, Machine, Participant, States, diagram

EVERYTHING = list(product(Event, Participant, Agent))
PAGE = Path(__file__).parents[3] / "docs/explanation/barge-in.md"


@pytest.mark.parametrize(("event", "participant", "agent"), EVERYTHING)
def test_an_event_moves_as_the_table_says_or_is_refused_and_changes_nothing(
    event: Event, participant: Participant, agent: Agent
) -> None:
    machine = Machine()
    machine.states = before = States(participant, agent)
    step = TABLE.get((event, participant, agent))
    assert machine.knows(event) == (step is not None)
    if step is None:
        with pytest.raises(InvalidTransition, match=event.value):
            machine.handle(event)
        assert machine.states == before
    else:
        assert machine.handle(event) == step.actions
        assert machine.states == step.states


def test_nothing_happens_after_the_end() -> None:
    assert not [key for key in TABLE if key[2] is Agent.TERMINATED]


def test_text_a_button_and_the_end_are_understood_in_every_living_state() -> None:
    for participant, agent in product(Participant, set(Agent) - {Agent.TERMINATED}):
        for event in (Event.TEXT_TYPED, Event.INTERRUPTED, Event.SESSION_ENDED):
            assert (event, participant, agent) in TABLE


def test_every_state_can_be_reached_and_left() -> None:
    reached = {States(Participant.SILENT, Agent.IDLE)}
    while more := {step.states for (_, *states), step in TABLE.items() if States(*states) in reached} - reached:
        reached |= more
    assert reached == set(map(States._make, product(Participant, Agent)))


def test_only_the_participant_s_own_events_change_the_participant() -> None:
    theirs = {Event.SPEECH_STARTED, Event.SPEECH_ENDED, Event.EVIDENCE_FOUND}
    for (event, participant, _), step in TABLE.items():
        assert step.states.participant is participant or event in theirs


def test_a_reply_is_paused_only_on_evidence_and_resumed_only_when_it_is_kept() -> None:
    on_its_way, kept = {Agent.THINKING, Agent.SPEAKING}, {Event.REPLY_KEPT, Event.REPLY_AWAITED}
    for (event, _, agent), step in TABLE.items():
        assert (Action.PAUSE_REPLY in step.actions) == (event is Event.EVIDENCE_FOUND and agent in on_its_way)
        assert (Action.RESUME_REPLY in step.actions) == (event in kept)


def test_only_a_taken_floor_text_a_button_or_the_end_may_discard_a_reply_that_was_begun() -> None:
    may = {Event.FLOOR_TAKEN, Event.TEXT_TYPED, Event.INTERRUPTED, Event.SESSION_ENDED}
    may |= {Event.TURN_EMPTY, Event.NOT_UNDERSTOOD}  # there only a guess can have been begun
    for (event, *_), step in TABLE.items():
        assert event in may or not {Action.DISCARD_REPLY, Action.CANCEL_REPLY} & set(step.actions)


def test_a_reply_that_sounds_is_never_left_behind() -> None:
    """Leaving SPEAKING and BARGED_IN ends the reply, by one order and one only, unless it had not begun to sound."""
    sounding = {Agent.SPEAKING, Agent.BARGED_IN}
    ends = {Action.CANCEL_REPLY, Action.FINISH_REPLY}
    for (event, _, agent), step in TABLE.items():
        leaves = agent in sounding and step.states.agent not in sounding and event is not Event.REPLY_AWAITED
        assert len(ends & set(step.actions)) == (1 if leaves or Action.FINISH_REPLY in step.actions else 0)


@given(st.lists(st.sampled_from(Event)))
def test_whatever_happens_the_reply_is_begun_before_it_is_paused_resumed_or_ended(events: list[Event]) -> None:
    machine, sounding, paused = Machine(), False, False
    for event in events:
        wrong = Event.REPLY_AWAITED if sounding else Event.REPLY_KEPT  # the reply says which of the two it is
        if not machine.knows(event) or event is wrong:
            continue
        for action in machine.handle(event):
            if action is Action.BEGIN_PLAYOUT:
                assert not sounding
                sounding, paused = True, False
            elif action is Action.PAUSE_REPLY:
                assert not paused
                paused = True
            elif action is Action.RESUME_REPLY:
                assert paused
                paused = False
            elif action is Action.CANCEL_REPLY:
                assert sounding or paused
                sounding = paused = False
            elif action is Action.FINISH_REPLY:
                sounding = paused = False
        assert paused == (machine.agent is Agent.BARGED_IN)
        assert sounding == (machine.agent is Agent.SPEAKING) or machine.agent is Agent.BARGED_IN


def test_the_diagram_in_the_docs_is_drawn_from_the_table() -> None:
    assert f"```mermaid\n{diagram()}```" in PAGE.read_text(encoding="utf-8")
