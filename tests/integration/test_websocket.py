"""The WebSocket transport over a real socket: what it carries, and what it survives."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import websockets
from websockets.asyncio.client import connect

from parley import clock
from parley.client import Playout, SessionClient
from parley.client.session import Received
from parley.errors import CapacityError, ParleyError, Unauthorized, UnavailableError
from parley.messages import (
    ErrorMessage,
    Interrupt,
    PauseAudio,
    Ping,
    Pong,
    ReplyEnded,
    ReplyStarted,
    ResumeAudio,
    ServerMessage,
    SessionEnded,
    StartSession,
    TextInput,
    TranscriptUpdate,
)
from parley.testing.echo_host import EchoHost, echo_app, ramp, serving
from parley.testing.transports import until as when
from parley.transports.binary import AGENT_HEADER, MICROPHONE_HEADER, unpack_agent
from parley.transports.bounds import Excess, Fate, Uncounted, Where
from parley.transports.client_settings import ClientSettings
from parley.transports.websocket_settings import WebSocketSettings

pytestmark = pytest.mark.anyio
START = '{"type": "start", "sample_rate": 16000}'
MIC = MICROPHONE_HEADER + bytes(640)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def echo(host: EchoHost | None = None) -> AsyncIterator[tuple[str, EchoHost]]:
    host = host or EchoHost()
    async with serving(echo_app(host)) as url:
        yield url, host


async def until(client: SessionClient, kind: type[ServerMessage]) -> Received:
    async with asyncio.timeout(10):
        async for event in client:
            if isinstance(event.message, kind):
                return event
    raise AssertionError(f"the session ended before {kind.__name__}")


async def raw_until(ws: websockets.ClientConnection, kind: str) -> dict[str, object]:
    async with asyncio.timeout(10):
        async for data in ws:
            if isinstance(data, str):
                body = json.loads(data)
                if body["type"] == kind:
                    return body
    raise AssertionError(f"the connection closed before {kind}")


def heard(client: SessionClient, number: int = 1) -> bytes:
    """What of a reply was heard by now."""
    assert isinstance(client.listener, Playout)
    client.listener.advance(clock.now())
    return b"".join(piece.pcm for piece in client.listener.heard if piece.number == number)


async def heard_out(client: SessionClient, samples: int, number: int = 1) -> None:
    """Wait until so much of a reply was heard."""
    await when(lambda: len(heard(client, number)) >= 2 * samples)


# --- what it carries ---------------------------------------------------------------------


async def test_a_reply_arrives_sample_by_sample() -> None:
    async with echo() as (url, _), SessionClient(url) as client:
        await client.send(TextInput("play 0.5"))
        await until(client, ReplyEnded)
        await heard_out(client, 24_000)
        assert heard(client) == ramp(0, 24_000)


async def test_audio_names_its_reply_by_number_and_its_place_by_sample() -> None:
    async with echo() as (url, _), connect(url + "/v1/session") as ws:
        await ws.send(START)
        await ws.send('{"type": "text", "text": "play 0.06"}')
        reply = await raw_until(ws, "reply")
        frames = []
        async with asyncio.timeout(5):
            while len(frames) < 3:
                data = await ws.recv()
                if isinstance(data, bytes):
                    frames.append(unpack_agent(data))
        assert {frame.number for frame in frames} == {reply["number"]}
        assert [frame.start_sample for frame in frames] == [0, 960, 1920]
        assert [frame.final for frame in frames] == [False, False, True]


async def test_a_pause_and_a_resume_lose_and_repeat_nothing() -> None:
    async with echo() as (url, host), SessionClient(url) as client:
        await client.send(TextInput("play 0.6"))
        await until(client, ReplyStarted)
        for pause in range(1, 4):
            await heard_out(client, pause * 4_800)
            await client.send(TextInput("pause"))
            await until(client, PauseAudio)
            assert client.listener.silent(asyncio.get_running_loop().time())
            await client.send(TextInput("resume"))
            await until(client, ResumeAudio)
        await until(client, ReplyEnded)
        await heard_out(client, 28_800)
        assert heard(client) == ramp(0, 28_800)
        assert host.sessions[0].reports


async def test_after_a_clear_nothing_of_the_old_reply_is_heard() -> None:
    async with echo() as (url, host), SessionClient(url) as client:
        await client.send(TextInput("play 5"))
        await until(client, ReplyStarted)
        await heard_out(client, 4_800)
        await client.send(Interrupt())
        await client.send(TextInput("play 0.1"))
        await until(client, ReplyEnded)
        await heard_out(client, 4_800, number=2)
        assert isinstance(client.listener, Playout)
        numbers = [piece.number for piece in client.listener.heard]
        assert numbers == sorted(numbers)
        second = b"".join(piece.pcm for piece in client.listener.heard if piece.number == 2)
        assert second == ramp(0, 4_800)
        assert host.sessions[0].reports[0].utterance_id == "u1"


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("milliseconds", [10, 15, 20, 60])
async def test_the_microphone_may_have_either_rate_and_frames_of_10_to_60_ms(rate: int, milliseconds: int) -> None:
    async with echo() as (url, _), SessionClient(url, StartSession(sample_rate=rate)) as client:
        samples = rate * milliseconds // 1000
        for _ in range(5):
            await client.send_microphone(bytes(2 * samples))
        await client.send(TextInput("heard?"))
        answer = (await until(client, TranscriptUpdate)).message
        assert isinstance(answer, TranscriptUpdate)
        assert int(answer.text) == 5 * samples


async def test_a_ping_is_answered_with_its_id() -> None:
    async with echo() as (url, _), SessionClient(url) as client:
        await client.send(Ping(77))
        assert (await until(client, Pong)).message == Pong(77)


# --- what it survives --------------------------------------------------------------------

GARBAGE = [
    b"",
    b"\x00",
    b"\x01\x00\x00\x00",
    b"\x01\x00\x00\x00" + bytes(641),
    b"\x01\x00\x00\x00" + bytes(318),
    b"\x01\x00\x00\x00" + bytes(1922),
    b"\x02\x00\x00\x00" + bytes(640),
    AGENT_HEADER.pack(2, 0, 0, 1, 0) + bytes(1920),
    b"\xff" * 4000,
    "",
    "hello",
    "[]",
    "[" * 50_000,
    '{"type": "sing"}',
    '{"type": "text"}',
    '{"type": "text", "text": ""}',
    '{"type": "text", "text": 7}',
    '{"type": "text", "text": "' + "a" * 100_000 + '"}',
    '{"type": "start"}',
    '{"type": "playout", "utterance_id": "nobody", "sample": -5}',
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_gets_its_error_and_the_session_goes_on(garbage: str | bytes) -> None:
    async with echo() as (url, _), connect(url + "/v1/session") as ws:
        await ws.send(START)
        await raw_until(ws, "started")
        await ws.send(garbage)
        error = await raw_until(ws, "error")
        assert error["code"] == "invalid_request"
        assert str(error["message"]).endswith(".")
        assert error["fatal"] is False
        await ws.send('{"type": "ping", "id": 5}')
        assert (await raw_until(ws, "pong"))["id"] == 5


async def test_garbage_again_and_again_ends_the_session() -> None:
    host = EchoHost(clients=ClientSettings(max_mistakes=5))
    async with echo(host) as (url, _), connect(url + "/v1/session") as ws:
        await ws.send(START)
        for _ in range(6):
            await ws.send("garbage")
        async with asyncio.timeout(5):
            last = [json.loads(data) async for data in _texts(ws)][-1]
        assert last["fatal"] is True
        assert ws.close_code == 1008
        await _empty(host)
        assert host.ended == [None]


async def _texts(ws: websockets.ClientConnection) -> AsyncIterator[str]:
    try:
        async for data in ws:
            if isinstance(data, str):
                yield data
    except websockets.ConnectionClosed:
        pass


async def _empty(host: EchoHost) -> None:
    await when(lambda: not host.sessions)


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ('{"type": "ping"}', "invalid_request"),
        ('{"type": "start", "sample_rate": 44100}', "invalid_request"),
        ('{"type": "start", "protocol": 9}', "invalid_request"),
        (MIC, "invalid_request"),
        ("garbage", "invalid_request"),
    ],
)
async def test_a_wrong_first_message_is_refused_and_the_connection_closed(first: str | bytes, code: str) -> None:
    async with echo() as (url, host), connect(url + "/v1/session") as ws:
        await ws.send(first)
        error = await raw_until(ws, "error")
        assert (error["code"], error["fatal"]) == (code, True)
        await ws.wait_closed()
        assert ws.close_code == 1008
        assert not host.sessions


async def test_a_client_that_never_starts_is_dropped() -> None:
    async with echo(EchoHost(WebSocketSettings(start_timeout=0.1))) as (url, _), connect(url + "/v1/session") as ws:
        assert (await raw_until(ws, "error"))["code"] == "timed_out"
        await ws.wait_closed()


async def test_a_client_that_falls_silent_is_dropped() -> None:
    host = EchoHost(WebSocketSettings(idle_timeout=1.0))
    async with echo(host) as (url, _), connect(url + "/v1/session") as ws:
        await ws.send(START)
        error = await raw_until(ws, "error")
        assert (error["code"], error["fatal"]) == ("timed_out", True)
        await ws.wait_closed()
        await _empty(host)


async def test_a_message_over_the_servers_limit_closes_that_connection_only() -> None:
    host = EchoHost()
    async with serving(echo_app(host), max_message_bytes=100_000) as url, SessionClient(url) as other:
        async with connect(url + "/v1/session") as ws:
            await ws.send(START)
            await raw_until(ws, "started")
            await ws.send(bytes(300_000))
            await ws.wait_closed()
            assert ws.close_code == 1009
        await other.send(Ping(1))
        await until(other, Pong)


async def test_text_that_is_not_utf_8_closes_that_connection_only() -> None:
    async with echo() as (url, host), SessionClient(url) as other:
        async with connect(url + "/v1/session") as ws:
            await ws.send(START)
            await raw_until(ws, "started")
            await ws.send(b'{"type": "text", "text": "\xff\xfe"}', text=True)
            await ws.wait_closed()
            assert ws.close_code == 1007
        await other.send(Ping(1))
        await until(other, Pong)
        assert len(host.sessions) == 1


async def test_a_client_that_stops_reading_is_dropped_and_others_hear_every_sample() -> None:
    host = EchoHost(WebSocketSettings(stall_timeout=0.5, max_queued_audio=0.2))
    async with echo(host) as (url, _):
        deaf = _deaf_client(url)
        try:
            async with SessionClient(url) as other:
                await asyncio.to_thread(_send_frames, deaf, START, '{"type": "text", "text": "flood"}')
                await other.send(TextInput("play 1.5"))
                await until(other, ReplyEnded)
                await when(lambda: len(host.sessions) == 1)
                other.listener.silent(asyncio.get_running_loop().time() + 1)
                assert heard(other) == ramp(0, 72_000)
            assert await asyncio.to_thread(_cut_off, deaf)
        finally:
            deaf.close()
        await _empty(host)


class Dropped(Uncounted):
    """Seconds of the agent's audio that a slow client did not get."""

    seconds = 0.0

    def excess(self, kind: str, fate: str, amount: float = 1) -> None:
        if (kind, fate) == ("agent_audio", "dropped"):
            self.seconds += amount


async def test_a_slow_client_gets_the_newest_audio_where_the_oldest_is_dropped_and_that_is_counted() -> None:
    tally = Dropped()
    settings = WebSocketSettings(stall_timeout=60, max_queued_audio=0.2, when_slow="drop_oldest")
    async with echo(EchoHost(settings, tally=tally)) as (url, _), connect(url + "/v1/session", max_queue=1) as ws:
        await ws.send(START)
        await ws.send('{"type": "text", "text": "flood 120"}')
        samples, ended = [], False
        async with asyncio.timeout(60):
            await when(lambda: tally.seconds > 0)  # what the sockets take is full
            while not ended:
                data = await ws.recv()
                if isinstance(data, bytes):
                    samples.append(unpack_agent(data).start_sample)
                else:
                    ended = json.loads(data)["type"] == "reply_end"
    assert samples == sorted(set(samples))
    assert samples[-1] == 120 * 48_000 - 960
    assert len(samples) * 0.02 + tally.seconds == pytest.approx(120)


def _cut_off(sock: socket.socket) -> bool:
    """Whether the server has let go of the connection: what it had sent comes, then the end."""
    sock.settimeout(10)
    try:
        while sock.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return True


def _deaf_client(url: str) -> socket.socket:
    """A hand-made client with a small receive buffer that never reads after its handshake."""
    host, port = url.removeprefix("ws://").split(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((host, int(port)))
    sock.sendall(
        f"GET /v1/session HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return sock


def _send_frames(sock: socket.socket, *texts: str) -> None:
    for text in texts:
        data = text.encode()
        sock.sendall(bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data)


async def test_a_client_that_vanishes_in_mid_reply_ends_its_session() -> None:
    async with echo() as (url, host):
        async with connect(url + "/v1/session") as ws:
            await ws.send(START)
            await ws.send('{"type": "text", "text": "play 30"}')
            await raw_until(ws, "reply")
            ws.transport.abort()
        await _empty(host)
        assert host.ended == [None]


async def test_a_session_that_crashes_says_so_and_others_notice_nothing() -> None:
    async with echo() as (url, host), SessionClient(url) as other:
        async with SessionClient(url) as client:
            await client.send(TextInput("crash"))
            error = (await until(client, ErrorMessage)).message
            assert isinstance(error, ErrorMessage)
            assert (error.code, error.fatal) == ("internal", True)
        await other.send(Ping(1))
        await until(other, Pong)
        assert len(host.sessions) == 1


async def test_a_session_that_the_server_ends_closes_cleanly() -> None:
    async with echo() as (url, host), SessionClient(url) as client:
        await client.send(TextInput("leave"))
        await until(client, SessionEnded)
        assert [event async for event in client] == []
        assert host.ended == [None]


async def test_who_ends_with_the_session_is_closed_as_usual_and_who_is_cut_off_is_told_of_a_restart() -> None:
    """The codes that docs/reference/websocket.md names for a server that stops."""
    host = EchoHost()
    async with serving(echo_app(host)) as url:
        over, cut_off = await connect(url + "/v1/session"), await connect(url + "/v1/session")
        for ws in (over, cut_off):
            await ws.send(START)
            await raw_until(ws, "started")
        await over.send('{"type": "text", "text": "leave"}')
        await raw_until(over, "ended")
        await over.wait_closed()
        assert over.close_code == 1000
    async with asyncio.timeout(10):
        await cut_off.wait_closed()
    assert cut_off.close_code == 1012
    await _empty(host)


# --- an honest client --------------------------------------------------------------------


class Limits(Uncounted):
    """What was held back or dropped of a client."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def excess(self, kind: Excess, fate: Fate, amount: float = 1) -> None:
        self.seen.append((kind, fate))

    def microphone_lost(self, where: Where, seconds: float) -> None:
        self.seen.append((where, "lost"))


async def test_frames_of_10_ms_and_50_reports_a_second_are_never_limited_nor_is_a_burst_after_a_second() -> None:
    """Three seconds of an honest client; what was due in the second one comes at its end, all at once."""
    limits = Limits()
    host = EchoHost(tally=limits)
    frame, report = MICROPHONE_HEADER + bytes(320), '{"type": "playout", "utterance_id": "u", "sample": 960}'
    async with echo(host) as (url, _), connect(url + "/v1/session") as ws:
        await ws.send('{"type": "start", "sample_rate": 16000, "playout_reports": true}')
        await raw_until(ws, "started")
        begin = clock.now()
        for tick in range(300):
            if not 100 <= tick < 200:
                await asyncio.sleep(begin + tick * 0.01 - clock.now())  # real time is what the bounds count in
            await ws.send(frame)
            if tick % 2 == 0:
                await ws.send(report)
        await ws.send('{"type": "text", "text": "heard?"}')
        heard = await raw_until(ws, "transcript")
        assert heard["text"] == str(300 * 160)
        assert len(host.sessions[0].reports) == 150
    assert limits.seen == []  # neither dropped nor made to wait


async def test_who_sends_much_more_than_an_honest_client_is_seen() -> None:
    """Or the test above would pass where nothing is counted."""
    limits = Limits()
    async with echo(EchoHost(tally=limits)) as (url, _), connect(url + "/v1/session") as ws:
        await ws.send(START)
        for _ in range(250):
            await ws.send('{"type": "ping", "id": 1}')
        await when(lambda: ("message", "waited") in limits.seen)


async def test_a_handshake_of_many_kilobytes_is_answered_and_the_session_goes_on() -> None:
    """Cookies of a company's sign-on; the server reads requests in smaller portions than that."""
    headers = {"Cookie": "a=" + "x" * 6_000}
    async with echo() as (url, _), connect(url + "/v1/session", additional_headers=headers, compression=None) as ws:
        await ws.send(START)
        await raw_until(ws, "started")
        await ws.send('{"type": "ping", "id": 7}')
        assert (await raw_until(ws, "pong"))["id"] == 7


# --- who may talk ------------------------------------------------------------------------


async def test_a_wrong_or_missing_key_is_refused() -> None:
    async with echo(EchoHost(key="secret")) as (url, host):
        for key in ("", "wrong"):
            with pytest.raises(Unauthorized, match="key is missing or wrong"):
                async with SessionClient(url, api_key=key):
                    pass
        assert not host.sessions


async def test_a_right_key_is_let_in_by_header_or_by_subprotocol() -> None:
    async with echo(EchoHost(key="secret")) as (url, _):
        async with SessionClient(url, api_key="secret"):
            pass
        offered = ["parley.v1", "parley.key.secret"]
        async with connect(url + "/v1/session", subprotocols=offered) as ws:
            assert ws.subprotocol == "parley.v1"
            await ws.send(START)
            await raw_until(ws, "started")


async def test_a_page_from_elsewhere_is_refused_before_the_handshake() -> None:
    async with echo(EchoHost(origin="http://parley.example")) as (url, _):
        with pytest.raises(websockets.InvalidStatus) as caught:
            await connect(url + "/v1/session", origin="http://evil.example")
        assert caught.value.response.status_code == 403
        assert json.loads(caught.value.response.body)["code"] == "unauthorized"
        async with connect(url + "/v1/session", origin="http://parley.example"):
            pass


async def test_one_session_too_many_is_told_to_try_later() -> None:
    async with echo(EchoHost(max_sessions=1)) as (url, _), SessionClient(url):
        with pytest.raises(CapacityError, match="All 1 sessions are taken"):
            async with SessionClient(url):
                pass


async def test_nobody_there_is_said_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=r"start one with `.*parley up`"):
            async with SessionClient(f"127.0.0.1:{port}"):
                pass


async def test_an_address_that_serves_something_else_is_said_in_one_sentence() -> None:
    async with echo() as (url, _):
        with pytest.raises(ParleyError, match=r"no Parley session endpoint|refuses this client"):
            async with SessionClient(url + "/elsewhere"):
                pass
