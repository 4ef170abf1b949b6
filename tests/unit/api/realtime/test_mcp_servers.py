"""What a client says of MCP servers is checked, kept from other eyes, and held against the settings."""

from __future__ import annotations

from typing import Any

import pytest

from parley.api.realtime.errors import ClientError
from parley.api.realtime.mcp_servers import check_allowed, read_server, servers
from parley.api.realtime.session_object import SessionObject, tools

HOUSE = {"type": "mcp", "server_label": "house", "server_url": "http://127.0.0.1:9/mcp"}


def session(*wanted: dict[str, Any]) -> SessionObject:
    return SessionObject.new("realtime", "gpt-realtime").updated({"tools": [*wanted]})


def test_a_server_is_read_and_its_secrets_are_not_shown() -> None:
    made = session({**HOUSE, "authorization": "token", "headers": {"X-Home": "1"}, "require_approval": "never"})
    (server,) = made.servers
    assert dict(server.headers) == {"X-Home": "1", "Authorization": "Bearer token"}
    (shown,) = made.shown("sess_1")["tools"]
    assert shown == {**HOUSE, "require_approval": "never"}
    assert made.manner().tools == ()


@pytest.mark.parametrize(
    ("approval", "waits"),
    [
        (None, {"look", "do"}),
        ("always", {"look", "do"}),
        ("never", set()),
        ({"never": {"read_only": True}}, {"do"}),
        ({"never": {"tool_names": ["do"]}}, {"look"}),
        ({"always": {"tool_names": ["do"]}}, {"do"}),
        ({"always": {"tool_names": ["do", "look"]}, "never": {"tool_names": ["look"]}}, {"do"}),
        ({"always": {}, "never": {}}, set()),
    ],
)
def test_which_calls_wait_for_approval(approval: Any, waits: set[str]) -> None:
    (server,) = servers([read_server({**HOUSE, "require_approval": approval}, "tools[0]")])
    assert {name for name, reads in (("look", True), ("do", False)) if server.asks(name, reads)} == waits


@pytest.mark.parametrize(
    ("allowed", "offered"),
    [
        (None, {"look", "do"}),
        (["do"], {"do"}),
        ([], set()),
        ({"read_only": True}, {"look"}),
        ({"read_only": False, "tool_names": ["look"]}, set()),
    ],
)
def test_which_tools_are_offered(allowed: Any, offered: set[str]) -> None:
    (server,) = servers([read_server({**HOUSE, "allowed_tools": allowed}, "tools[0]")])
    assert {name for name, reads in (("look", True), ("do", False)) if server.offered.fits(name, reads)} == offered


@pytest.mark.parametrize(
    "wrong",
    [
        {"server_label": "my house"},
        {"server_label": "x" * 33},
        {"server_url": None},
        {"server_url": "h" * 3_000},
        {"connector_id": "connector_gmail"},
        {"tunnel_id": "t"},
        {"headers": {"Host": "elsewhere"}},
        *({"headers": {name: "a"}} for name in ("Mcp-Session-Id", "Last-Event-ID", "Origin", "Forwarded", "Expect")),
        *({"headers": {name: "a"}} for name in ("X-Forwarded-For", "Accept-Encoding", "Upgrade", "TE", "Proxy-X")),
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"X A": "a"}},
        {"headers": {f"X-{number}": "a" for number in range(20)}},
        {"authorization": "a\nb"},
        {"allowed_tools": "all"},
        {"allowed_tools": ["x"] * 200},
        {"allowed_tools": {"what": 1}},
        {"require_approval": "sometimes"},
        {"require_approval": {"always": {"read_only": "yes"}}},
        {"what": 1},
    ],
)
def test_what_is_wrong_is_said_in_a_short_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        session({**HOUSE, **wrong})
    assert len(refused.value.message) < 300
    assert refused.value.param


def test_a_session_has_few_servers_each_of_another_name() -> None:
    with pytest.raises(ClientError, match="two servers"):
        session(HOUSE, HOUSE)
    with pytest.raises(ClientError, match="at most 4"):
        session(*({**HOUSE, "server_label": f"s{number}"} for number in range(5)))


def test_a_reply_of_its_own_names_no_servers() -> None:
    with pytest.raises(ClientError, match=r"session\.update"):
        tools([HOUSE], "response.tools")


@pytest.mark.parametrize("allowed", [(), ("http://127.0.0.1:9/mcp/",), ("http://127.0.0.1:90/mcp",)])
def test_only_what_the_settings_name_is_reachable(allowed: tuple[str, ...]) -> None:
    with pytest.raises(ClientError, match=r"api\.realtime\.mcp_servers") as refused:
        check_allowed(session(HOUSE).servers, allowed)
    assert refused.value.code == "mcp_server_not_allowed"
    check_allowed(session(HOUSE).servers, ("http://127.0.0.1:9/mcp",))
