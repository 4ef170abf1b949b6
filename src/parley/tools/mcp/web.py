"""An MCP server at an address: bounded answers, no redirects elsewhere, no proxies, no cookies."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from parley.tools.mcp.bounds import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

_CONNECT = 3.0
_WRITE = 30.0


@contextlib.asynccontextmanager
async def address(url: str, headers: Mapping[str, str]) -> AsyncGenerator[Any]:
    """Messages from the server at ``url`` and to it."""
    timeout = httpx2.Timeout(_WRITE, connect=_CONNECT, read=None)  # each request is given up by who waits for it
    transport = _Bounded(httpx2.AsyncHTTPTransport())
    async with (
        httpx2.AsyncClient(headers=dict(headers), timeout=timeout, transport=transport, trust_env=False) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MAX_BYTES) as streams,
    ):
        yield streams


class _Bounded(httpx2.AsyncBaseTransport):
    """Answers end with an error where they are longer than a message may be; streams of events may go on."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for data in self._inner:
            seen += len(data)
            if seen > MAX_BYTES:
                raise httpx2.StreamError(f"its answer has more than {MAX_BYTES} bytes")
            yield data

    async def aclose(self) -> None:
        await self._inner.aclose()
