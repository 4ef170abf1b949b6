"""The life of a call of a tool, walked with all its gaps."""

from __future__ import annotations

from itertools import product

import pytest

from parley.errors import InvalidTransition
from parley.session.decide.call_life import CALL_TABLE, OVER, CallEvent, CallLife, CallState
from parley.values import ToolInfo

READ = ToolInfo("look", "", effect="read")
FINISHES = ToolInfo("look", "", effect="read", interruption="finish")
WRITE = ToolInfo("book", "")
BACKGROUND = ToolInfo("timer", "", effect="read", background=True)
TOOLS = (READ, FINISHES, WRITE, BACKGROUND, None)


def at(state: CallState, tool: ToolInfo | None) -> CallLife:
    life = CallLife(tool)
    life.state = state
    return life


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("event", "state", "guess"), list(product(CallEvent, CallState, (False, True))))
def test_what_is_not_in_the_table_cannot_happen(
    event: CallEvent, state: CallState, guess: bool, tool: ToolInfo | None
) -> None:
    life = at(state, tool)
    try:
        life.handle(event, guess=guess)
    except InvalidTransition:
        assert life.state is state
    else:
        assert life.state is CALL_TABLE[event, state]


@pytest.mark.parametrize("tool", [WRITE, BACKGROUND, None])
def test_what_writes_or_runs_on_never_begins_on_a_guess_nor_what_does_not_exist(tool: ToolInfo | None) -> None:
    with pytest.raises(InvalidTransition):
        CallLife(tool).handle(CallEvent.BEGUN, guess=True)


@pytest.mark.parametrize("tool", [WRITE, FINISHES])
def test_an_interruption_cuts_only_what_reads_and_may_be_cut(tool: ToolInfo) -> None:
    with pytest.raises(InvalidTransition):
        at(CallState.RUNNING, tool).handle(CallEvent.CANCELLED)
    cut = at(CallState.RUNNING, READ)
    cut.handle(CallEvent.CANCELLED)
    assert cut.over


def test_nothing_begins_twice_and_what_is_over_stays_so() -> None:
    for tool, state in product(TOOLS, CallState):
        if state is not CallState.ASKED:
            with pytest.raises(InvalidTransition):
                at(state, tool).handle(CallEvent.BEGUN)
    for state, event in product(OVER, CallEvent):
        assert (event, state) not in CALL_TABLE


def test_every_state_can_be_reached_and_every_one_ends() -> None:
    reached = {CallState.ASKED, *CALL_TABLE.values()}
    assert reached == set(CallState)
    for state in set(CallState) - OVER:
        assert any(before is state and after in OVER for (_, before), after in CALL_TABLE.items())
