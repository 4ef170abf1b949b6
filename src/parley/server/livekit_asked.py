"""What a client asks of its token, in the shape of LiveKit's own token endpoints (pure)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parley.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 16_384
"""Bytes of a request."""
_LONGEST_NAME = 200
_LONGEST_METADATA = 4_096
_MOST_ATTRIBUTES = 32
_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "text"}
_OURS = ("lk.", "parley.")
"""What LiveKit's attributes and our own begin with."""


@dataclass(frozen=True, slots=True)
class Asked:
    """For whom a token is."""

    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def asked(body: Any, agent_name: str) -> Asked:
    """The request ``body``, whose fields may be written as JSON or as LiveKit's protocol names them.

    Rooms and identities are ours to choose and passed over. InvalidRequest for what is no such request, NotFound for
    another agent than ``agent_name``.
    """
    if not isinstance(body, dict):
        raise InvalidRequest('The request must be an object, such as {"room_config": {"agents": []}}.')
    _check_agents(_field(body, "room_config", "roomConfig", dict, {}), agent_name)
    attributes = _field(body, "participant_attributes", "participantAttributes", dict, {})
    if len(attributes) > _MOST_ATTRIBUTES or len(json.dumps(attributes)) > _LONGEST_METADATA:
        raise InvalidRequest(
            f"participant_attributes may be {_MOST_ATTRIBUTES}, of {_LONGEST_METADATA} characters together."
        )
    for name, value in attributes.items():
        if not isinstance(value, str):
            raise InvalidRequest("Each of participant_attributes must be text.")
        if name.startswith(_OURS):
            raise InvalidRequest(f"A participant attribute may not begin with {_OURS[0]} or {_OURS[1]}.")
    return Asked(
        _text(body, "participant_name", "participantName", _LONGEST_NAME),
        _text(body, "participant_metadata", "participantMetadata", _LONGEST_METADATA),
        attributes,
    )


def _check_agents(room: Mapping[str, Any], agent_name: str) -> None:
    """Whoever is asked for by name has to be us; nobody in particular is us too."""
    for agent in _field(room, "agents", "agents", list, []):
        if not isinstance(agent, dict):
            raise InvalidRequest("Each of room_config.agents must be an object with an agent_name.")
        name = _text(agent, "agent_name", "agentName", _LONGEST_NAME)
        if name not in ("", agent_name):
            raise NotFound(f"There is no agent called {name!r} here; this one is called {agent_name!r}.")


def _text(body: Mapping[str, Any], name: str, written: str, most: int) -> str:
    text: str = _field(body, name, written, str, "")
    if len(text) > most:
        raise InvalidRequest(f"{name} may have {most} characters.")
    return text


def _field(body: Mapping[str, Any], name: str, written: str, kind: type, absent: Any) -> Any:
    value = body.get(name, body.get(written))
    if value is None:
        return absent
    if not isinstance(value, kind):
        raise InvalidRequest(f"{name} must be {_KINDS[kind]}.")
    return value
