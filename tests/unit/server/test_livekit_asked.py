"""Requests for tokens in the shape of LiveKit's own endpoints."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.errors import InvalidRequest, NotFound
from parley.server.livekit_asked import Asked, asked

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = ("room_name", "participant_name", "participantMetadata", "participant_attributes", "room_config", "agents")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"room_config": None},
        {"room_config": {"agents": [{"agent_name": "parley"}]}},
        {"roomConfig": {"agents": [{"agentName": "parley", "metadata": "x"}], "maxParticipants": 5}},
        {"room_config": {"agents": [{}]}, "room_name": "mine", "participant_identity": "me"},
    ],
)
def test_our_agent_is_asked_for_by_its_name_or_by_none(body: dict[str, Any]) -> None:
    assert asked(body, "parley") == Asked()


def test_another_agent_is_not_here() -> None:
    with pytest.raises(NotFound, match="'somebody' here; this one is called 'parley'"):
        asked({"room_config": {"agents": [{"agent_name": "somebody"}]}}, "parley")


def test_who_joins_may_have_a_name_and_what_their_application_needs() -> None:
    body = {"participant_name": "Ada", "participant_metadata": "{}", "participant_attributes": {"plan": "free"}}
    assert asked(body, "parley") == Asked("Ada", "{}", {"plan": "free"})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "must be an object"),
        ({"participant_name": 5}, "participant_name must be text"),
        ({"participant_name": "x" * 201}, "may have 200"),
        ({"participant_metadata": "x" * 4_097}, "may have 4096"),
        ({"participant_attributes": {"a": 1}}, "must be text"),
        ({"participant_attributes": {"parley.client": "1"}}, "may not begin"),
        ({"participant_attributes": {"lk.agent.state": "speaking"}}, "may not begin"),
        ({"participant_attributes": {str(number): "" for number in range(33)}}, "may be 32"),
        ({"participant_attributes": {"a": "x" * 5_000}}, "4096 characters together"),
        ({"room_config": []}, "room_config must be an object"),
        ({"room_config": {"agents": {}}}, "agents must be a list"),
        ({"room_config": {"agents": ["parley"]}}, "Each of room_config.agents"),
    ],
)
def test_what_is_wrong_is_said(body: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        asked(body, "parley")


@given(ANYTHING | st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_any_json_is_a_request_or_is_refused(body: Any) -> None:
    with contextlib.suppress(InvalidRequest, NotFound):
        asked(body, "parley")
