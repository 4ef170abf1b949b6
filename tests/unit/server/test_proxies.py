"""Whom a server believes when it says for whom it speaks: a real one, on loopback."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from parley.server.settings import ServerSettings
from parley.testing.echo_host import serving

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tasks_left")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def who(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the address that the server takes its client for."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['client'][0]} {scope['scheme']}".encode()})


@pytest.mark.parametrize(
    ("trusted", "believed"),
    [
        ((), "127.0.0.1 http"),
        (("10.0.0.0/8", "192.0.2.1"), "127.0.0.1 http"),
        (("127.0.0.1",), "203.0.113.9 https"),
        (("10.0.0.0/8", "127.0.0.0/8"), "203.0.113.9 https"),
    ],
)
async def test_a_forwarded_address_is_believed_of_trusted_proxies_only(trusted: tuple[str, ...], believed: str) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    async with serving(who, settings=ServerSettings(port=0, trusted_proxies=trusted)) as url, httpx.AsyncClient() as me:
        answer = await me.get(url.replace("ws://", "http://"), headers=forwarded)
    assert answer.text == believed
