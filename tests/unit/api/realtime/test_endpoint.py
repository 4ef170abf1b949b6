"""Keys for browsers are asked for in few words; whatever else is sent is refused in a sentence."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette

from parley.api.realtime.endings import Endings
from parley.api.realtime.endpoint import Realtime
from parley.api.settings import ApiSettings
from parley.values import Role

if TYPE_CHECKING:
    from collections.abc import MutableMapping

pytestmark = pytest.mark.anyio
PATH = "/v1/realtime/client_secrets"


class Open:
    """Lets everybody in."""

    bounds = websocket = SimpleNamespace()

    def check_origin(self, origin: str, host: str) -> None: ...

    def check_key(self, key: str, role: Role = Role.TALK, *, tokens: bool = False) -> None: ...

    async def run_session(self, *_: Any) -> None: ...


async def asked(body: bytes) -> tuple[int, Any]:
    """Status and answer."""
    host: Any = Open()
    routes = Realtime(
        host, host.run_session, ApiSettings(), dict, lambda _: None, lambda: 0.0, endings=Endings()
    ).routes
    scope: MutableMapping[str, Any] = {
        "type": "http", "method": "POST", "path": PATH, "root_path": "", "query_string": b"", "headers": [],
    }  # fmt: skip
    pieces = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await Starlette(routes=routes)(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


async def test_a_key_is_made_for_a_session() -> None:
    status, told = await asked(b'{"session": {"type": "realtime", "instructions": "Be kind."}}')
    assert status == 200
    assert told["session"]["instructions"] == "Be kind."


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 900 + b"1" + b"}" * 900,
        json.dumps({"session": {"type": "realtime", "include": ["x" * 100_000]}}).encode(),
        json.dumps({"session": {"type": "realtime", "instructions": "x" * 140_000}}).encode(),
        json.dumps({"session": {"type": "realtime", "model": "gpt-realtime" + "x" * 1_000}}).encode(),
        json.dumps({"session": {"type": "realtime", "audio": {"output": {"voice": "x" * 1_000}}}}).encode(),
        b"[" * 200_000,
    ],
    ids=["deep", "include", "long", "model", "voice", "brackets"],
)
async def test_what_would_cost_much_is_refused_in_a_short_sentence(body: bytes) -> None:
    status, told = await asked(body)
    assert status == 400
    assert len(json.dumps(told)) < 300


@pytest.mark.parametrize("half", [b"\\ud800", b"\xed\xa0\x80"])
async def test_half_a_character_is_refused_in_a_sentence(half: bytes) -> None:
    status, told = await asked(b'{"session": {"type": "realtime", "instructions": "' + half + b'"}}')
    assert status == 400
    assert "valid Unicode" in told["error"]["message"]
