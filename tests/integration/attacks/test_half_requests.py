"""Requests that never end: they are answered in time, forgotten, and not worth a traceback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.integration.attacks.victim import Server, Undisturbed, withstood

from parley.server import http_protocol
from parley.server.app import SafeHeaders
from parley.server.settings import ServerSettings
from parley.testing.echo_host import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.people import Running

pytestmark = pytest.mark.anyio
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


async def read_all(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def think(_: Request) -> Response:
    await asyncio.sleep(1.5)  # the work itself: three times as long as a client may take nothing
    return PlainTextResponse("thought")


async def read_later(request: Request) -> Response:
    await asyncio.sleep(2.5)  # the work before it: more than twice as long as a request may take to arrive
    return await read_all(request)


async def pour(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield bytes(10_000)

    return StreamingResponse(pieces())


@pytest.fixture
async def place() -> AsyncIterator[tuple[str, int]]:
    posted = [Route("/", read_all, methods=["POST"]), Route("/later", read_later, methods=["POST"])]
    app = Starlette(routes=[*posted, Route("/think", think), Route("/pour", pour)])
    settings = ServerSettings(port=0, request_timeout=1.0, max_connections=20, max_connections_per_address=15)
    async with serving(SafeHeaders(app), settings=settings) as url:
        host, _, port = url.removeprefix("ws://").partition(":")
        yield host, int(port)


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"POST / HT",
        HEAD,
        HEAD + b"Content-Length: 100\r\n\r\nabc",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
    ids=["nothing", "line", "headers", "body", "chunks"],
)
async def test_half_a_request_is_told_that_it_took_too_long(place: tuple[str, int], half: bytes) -> None:
    reader, writer = await asyncio.open_connection(*place)
    writer.write(half)
    async with asyncio.timeout(10):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 1 seconds" in answer
    writer.close()


async def test_a_request_that_drips_is_told_so_as_well(place: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*place)
    answer = asyncio.create_task(reader.read())
    async with asyncio.timeout(10):
        for byte in HEAD * 100:
            if answer.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)  # the attack itself: a byte now and then
    assert (await answer).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_what_is_sent_after_the_answer_does_not_take_the_answer_back(place: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*place)
    writer.write(HEAD)
    async with asyncio.timeout(10):
        await reader.readuntil(b"HTTP/1.1 408 ")
        for byte in HEAD:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.005)  # each on its own: the first that meets a closed socket resets the connection
        assert (await reader.read()).endswith(b'or too slowly."}')
    writer.close()


async def pour_in(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(100))
        await writer.drain()
        await asyncio.sleep(0.02)  # the attack itself


async def test_who_goes_on_sending_for_ever_is_closed_all_the_same(place: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*place)
    writer.write(HEAD)
    async with asyncio.timeout(10):
        await reader.readuntil(b"HTTP/1.1 408 ")
        with pytest.raises(ConnectionError):
            await pour_in(writer)
    writer.close()


async def test_a_body_that_comes_steadily_has_the_time_that_its_length_needs(place: tuple[str, int]) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(*place)
    began, size, steps = loop.time(), 60_000, 100
    writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % size)
    for step in range(steps):
        writer.write(bytes(size // steps))
        await asyncio.sleep(max(0.0, began + 2.0 * step / steps - loop.time()))  # twice as long as a short one may take
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"\r\n\r\n60000")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_a_body_that_drips_is_told_that_it_took_too_long(place: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*place)
    writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n")
    answer = asyncio.create_task(reader.read())
    async with asyncio.timeout(5):
        while not answer.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
    assert (await answer).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_body_that_nobody_reads_yet_is_not_late(place: tuple[str, int]) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.post(f"http://{place[0]}:{place[1]}/later", content=bytes(3_000_000))
    assert answer.text == "3000000"


async def test_who_leaves_in_mid_request_leaves_no_traceback(
    place: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection(*place)
    writer.write(HEAD + b"Content-Length: 100\r\n\r\nabc")
    await writer.drain()
    writer.transport.abort()
    async with httpx.AsyncClient() as client:  # a whole request after it has its answer
        answer = await client.post(f"http://{place[0]}:{place[1]}/", content=b"abcde")
    assert answer.text == "5"
    assert not [record for record in caplog.records if record.exc_info]


async def test_work_takes_as_long_as_it_takes(place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "ANSWER_TIMEOUT", 0.5)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://{place[0]}:{place[1]}/think")).text == "thought"


def narrow(place: tuple[str, int]) -> socket.socket:
    """A client that has asked for much, and room for little of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(place)
    client.setblocking(False)
    client.send(b"GET /pour HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return client


async def test_who_reads_slowly_but_steadily_is_given_all_of_it(
    place: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "ANSWER_TIMEOUT", 1.0)
    loop = asyncio.get_running_loop()
    taken, last, began = 0, b"", loop.time()
    with narrow(place) as client:
        async with asyncio.timeout(30):
            while piece := await loop.sock_recv(client, 65_536):
                taken, last = taken + len(piece), last[-5:] + piece
                await asyncio.sleep(max(0.0, began + taken / 4_000_000 - loop.time()))  # a slow reader
    assert last.endswith(b"0\r\n\r\n")
    assert taken > 10_000_000
    assert loop.time() - began > 2 * 1.0


async def test_who_does_not_read_at_all_is_let_go(place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "ANSWER_TIMEOUT", 0.5)
    loop = asyncio.get_running_loop()
    taken = 0
    with narrow(place) as client, contextlib.suppress(ConnectionError):
        await asyncio.sleep(2.0)  # the attack itself
        async with asyncio.timeout(10):
            while piece := await loop.sock_recv(client, 65_536):
                taken += len(piece)
    assert taken < 10_000_000


async def test_a_request_after_a_pause_on_the_same_connection_has_its_own_time(place: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*place)
    for _ in range(3):
        writer.write(HEAD + b"Content-Length: 3\r\n\r\nabc")
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n3")
        assert answer.startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.6)  # together longer than one request may take
    writer.close()


async def test_one_connection_too_many_from_an_address_is_turned_away_and_a_place_that_is_free_again_is_taken(
    place: tuple[str, int],
) -> None:
    open_now = [await asyncio.open_connection(*place) for _ in range(15)]
    reader, writer = await asyncio.open_connection(*place)
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 429 ")
    writer.close()
    for _, other in open_now:
        other.close()
    async with asyncio.timeout(10), httpx.AsyncClient() as client:
        while True:
            answer = await client.post(f"http://{place[0]}:{place[1]}/", content=b"abc")
            if answer.status_code == 200:
                break
            await asyncio.sleep(0.05)
    assert answer.text == "3"


@pytest.mark.slow
async def test_two_hundred_half_requests_make_nobody_wait_and_are_gone_afterwards(
    parley: Running, quiet: Undisturbed
) -> None:
    server = Server(parley)
    before = server.descriptors()
    await withstood(parley, quiet, "half_requests", "3", "200")
    async with asyncio.timeout(20):
        while server.holds_more_than(before):
            await asyncio.sleep(0.1)
    assert "Traceback" not in parley.log.read_text()
