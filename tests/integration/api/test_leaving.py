"""Whoever leaves before the first sound of an answer leaves no work behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette

from parley.api.settings import ApiSettings
from parley.api.speech import Speech
from parley.testing.echo_host import EchoHost, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from parley.values import Voice

pytestmark = pytest.mark.anyio


class Loading:
    """A voice that is still being loaded."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    def check(self, voice: Voice) -> None:
        pass

    async def synthesize(self, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
        self.begun.set()
        try:
            await asyncio.Event().wait()
            yield
        finally:
            self.ended.set()


async def test_a_voice_that_nobody_waits_for_is_let_go() -> None:
    voice = Loading()

    async def forget(_: str) -> None:
        pass

    speech = Speech(EchoHost(), ApiSettings(), voice, dict, forget)  # type: ignore[arg-type]
    async with serving(Starlette(routes=speech.routes)) as url, httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.post(url.replace("ws", "http") + "/v1/audio/speech", json={"input": "Hi."}))
        async with asyncio.timeout(10):
            await voice.begun.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await voice.ended.wait()
