"""A WebRTC client without a browser: for tests, benchmarks and headless machines."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from parley import clock
from parley.audio.frame import FRAME_SAMPLES
from parley.client.rtc_playout import DELAY, RtcPlayout
from parley.client.session import Received, error_of
from parley.errors import ParleyError, TimedOut, UnavailableError
from parley.hints import command
from parley.messages import (
    AudioAnchor,
    ClearAudio,
    ClientMessage,
    EndSession,
    ErrorMessage,
    PauseAudio,
    PlayoutReport,
    ResumeAudio,
    ServerMessage,
    SessionStarted,
    StartSession,
)
from parley.transports import rtc_sdp
from parley.transports.codec import decode_server, encode
from parley.transports.ice import IceConnection
from parley.transports.opus import OpusDecoder, OpusEncoder
from parley.transports.rtc_seam import IceAgent, take_packets
from parley.transports.rtc_settings import WebRtcSettings
from parley.transports.rtc_track import VoiceTrack
from parley.transports.rtp_order import ReceiveOrder

if TYPE_CHECKING:
    from types import TracebackType

Exchange = Callable[[str], Awaitable[str]]
"""Takes an SDP offer to the server and brings its answer back."""

REPORT_INTERVAL = 0.1
_MAX_EVENTS = 10_000
_PATH = "/v1/webrtc"


class WebRtcPeer:
    """One end of a connection: a microphone fed with PCM, a listener, and messages.

    ``microphone_samples``: length of a microphone frame, 960 or 480; ``encoder`` replaces its encoder.
    ``decode``: False counts packets without decoding them. ``delay``: seconds from a packet's
    arrival to the ear; what comes later than that is not heard.
    Use :meth:`connect`, then :meth:`close`.
    """

    label = "parley"
    """Of the data channel."""

    def __init__(
        self,
        *,
        settings: WebRtcSettings | None = None,
        microphone_samples: int = FRAME_SAMPLES,
        decode: bool = True,
        reports: bool = True,
        encoder: Any = None,
        delay: float = DELAY,
    ) -> None:
        self.playout = RtcPlayout(delay)
        self.arrivals: list[tuple[float, int]] = []
        """When each packet came, and its RTP timestamp."""
        self.microphone: deque[bytes] = deque()
        """Frames to send; silence where there are none."""
        self.received: asyncio.Queue[Received | None] = asyncio.Queue(_MAX_EVENTS)
        self._settings = settings or WebRtcSettings()
        self._reports = reports
        self._decoder = OpusDecoder() if decode else None
        self._order = ReceiveOrder()
        self._first_timestamp: int | None = None
        self._pc: Any = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        track = VoiceTrack(encoder or OpusEncoder(frame_samples=microphone_samples), self._next_frame)
        transceiver = self._pc.addTransceiver(track, "sendrecv")
        self._agent = IceAgent(transceiver.receiver.transport.transport, self._settings)
        take_packets(transceiver.receiver, self._on_packet)
        self._channel: Any = self._pc.createDataChannel(self.label)
        self._open = asyncio.Event()
        self._channel.on("open", self._open.set)
        self._channel.on("message", self._on_message)
        self._channel.on("close", self._ended)
        self._pc.on("connectionstatechange", self._on_state)
        self._reporter: asyncio.Task[None] | None = None

    async def connect(self, exchange: Exchange, timeout: float = 15.0) -> None:
        """Offer, answer, and wait until the data channel is open. TimedOut when it does not open."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await exchange(self._pc.localDescription.sdp)
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        try:
            async with asyncio.timeout(timeout):
                await self._open.wait()
        except TimeoutError:
            raise TimedOut(f"The WebRTC connection was not up within {timeout:g} seconds.") from None
        if self._reports:
            self._reporter = asyncio.create_task(self._report())

    async def restart_ice(self, exchange: Exchange) -> None:
        """Move to fresh sockets; ``exchange`` takes and brings an offer and answer (or fragments)."""
        connection = IceConnection(self._settings, controlling=True)
        await connection.gather_candidates()
        answer = await exchange(
            rtc_sdp.with_ice(
                self._pc.localDescription.sdp,
                connection.local_username,
                connection.local_password,
                connection.local_candidates,
            )
        )
        username, password, candidates = rtc_sdp.ice_part(answer)
        connection.remote_username, connection.remote_password = username, password
        for candidate in candidates:
            await connection.add_remote_candidate(candidate)
        await connection.add_remote_candidate(None)
        await self._agent.exchange(connection)

    async def lose_network(self) -> None:
        """Close the sockets without a word, as a dead network would."""
        connection = self._agent.connection
        self._agent.mute()
        await connection.close()

    def send(self, message: ClientMessage) -> None:
        """Send a message; UnavailableError when the channel is closed."""
        if self._channel.readyState != "open":
            raise UnavailableError("The server has closed the session.")
        self._channel.send(encode(message))

    def send_text(self, text: str) -> None:
        """Send any text over the data channel."""
        self._channel.send(text)

    def __aiter__(self) -> AsyncGenerator[Received, None]:
        return self._iterate()

    async def _iterate(self) -> AsyncGenerator[Received, None]:
        while (event := await self.received.get()) is not None:
            yield event

    async def close(self) -> None:
        """Hang up."""
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.gather(self._reporter, return_exceptions=True)
        self._agent.close()
        await self._pc.close()

    def _next_frame(self, position: int) -> bytes | None:
        return self.microphone.popleft() if self.microphone else None

    def _on_packet(self, source: int, sequence: int, timestamp: int, payload: bytes) -> None:
        now = clock.now()
        self.arrivals.append((now, timestamp))
        if self._decoder is None:
            return
        if self._first_timestamp is None:
            self._first_timestamp = timestamp
        for piece in self._order.add(source, sequence, timestamp, payload):
            if piece.payload is not None:
                pcm = self._decoder.decode(piece.payload, piece.samples)
                self.playout.push((self._first_timestamp + piece.position) & 0xFFFFFFFF, pcm, now)

    def _on_message(self, data: str) -> None:
        now = clock.now()
        message = decode_server(data)
        self._obey(message, now)
        if not isinstance(message, AudioAnchor):
            self._event(Received(now, message))

    def _obey(self, message: ServerMessage, now: float) -> None:
        match message:
            case AudioAnchor():
                self.playout.anchor(message, now)
            case PauseAudio():
                self._answer(message.utterance_id, self.playout.pause(now), now)
            case ResumeAudio():
                self.playout.resume(now)
            case ClearAudio():
                self._answer(message.utterance_id, self.playout.clear(now), now)
            case _:
                pass

    def _answer(self, utterance_id: str, sample: int, now: float) -> None:
        if self._reports:
            heard = self.playout.position(now)[0]
            self.send(PlayoutReport(utterance_id, sample if heard == utterance_id else 0, stopped=True))

    async def _report(self) -> None:
        last = ("", 0)
        while True:
            await asyncio.sleep(REPORT_INTERVAL)
            position = self.playout.position(clock.now())
            if position != last and position[0]:
                last = position
                with contextlib.suppress(ParleyError):
                    self.send(PlayoutReport(*position))

    def _on_state(self) -> None:
        if self._pc.connectionState in ("closed", "failed"):
            self._ended()

    def _ended(self) -> None:
        self._event(None)

    def _event(self, event: Received | None) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self.received.put_nowait(event)


class WebRtcClient:
    """A session with a Parley server by WebRTC: ``async with WebRtcClient(url, StartSession()) as client``.

    Iterate for messages; ``client.peer`` is the connection itself.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        start: StartSession | None = None,
        *,
        api_key: str = "",
        peer: WebRtcPeer | None = None,
        timeout: float = 15.0,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url if url.rstrip("/").endswith(_PATH) else urljoin(url, _PATH)
        self.peer = peer or WebRtcPeer()
        self.started = SessionStarted("")
        self.location = ""
        """Address of this session's resource on the server."""
        self._start = dataclasses.replace(start or StartSession(), playout_reports=True)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout = timeout
        self._verify = verify  # None: the usual authorities
        self._early: deque[Received] = deque()

    async def __aenter__(self) -> Self:
        try:
            await self.peer.connect(self._post, self._timeout)
            self.peer.send(self._start)
            async with asyncio.timeout(self._timeout):
                await self._wait_until_started()
        except TimeoutError:
            await self._close()
            raise TimedOut(f"{self.url} took the connection but did not start a session.") from None
        except BaseException:  # our own code, a cancelled caller among it: nothing stays open
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(ParleyError):
            self.peer.send(EndSession())
        await self._close()

    async def send(self, message: ClientMessage) -> None:
        """Send a message; UnavailableError when the server has gone."""
        self.peer.send(message)

    async def send_microphone(self, pcm: bytes) -> None:
        """Queue one microphone frame; it leaves when its time has come."""
        self.peer.microphone.append(pcm)

    def __aiter__(self) -> AsyncGenerator[Received, None]:
        return self._iterate()

    async def _iterate(self) -> AsyncGenerator[Received, None]:
        while self._early:
            yield self._early.popleft()
        async for event in self.peer:
            yield event

    async def _wait_until_started(self) -> None:
        async for event in self.peer:
            if isinstance(event.message, ErrorMessage) and event.message.fatal:
                raise error_of(event.message)
            self._early.append(event)
            if isinstance(event.message, SessionStarted):
                self.started = event.message
                return
        raise UnavailableError(f"{self.url} closed the connection before the session had begun.")

    async def restart_ice(self) -> None:
        """Move the session to fresh sockets."""
        await self.peer.restart_ice(self._patch)

    async def _post(self, offer: str) -> str:
        response = await self._request("POST", self.url, offer, "application/sdp")
        self.location = urljoin(self.url, response.headers["location"])
        return str(response.text)

    async def _patch(self, offer: str) -> str:
        return str((await self._request("PATCH", self.location, offer, "application/sdp")).text)

    async def _request(self, method: str, url: str, body: str, kind: str) -> Any:
        import httpx2 as httpx

        headers = {**self._headers, "Content-Type": kind}
        try:
            async with httpx.AsyncClient(timeout=self._timeout, trust_env=False, verify=self._verify or True) as http:
                response = await http.request(method, url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise UnavailableError(f"There is no Parley at {url}; start one with `{command('up')}`.") from error
        if response.status_code >= 400:
            raise _refused(response)
        return response

    async def _close(self) -> None:
        if self.location:
            with contextlib.suppress(ParleyError):
                await self._request("DELETE", self.location, "", "application/sdp")
        await self.peer.close()


def _refused(response: Any) -> ParleyError:
    try:
        body = response.json()
        return error_of(ErrorMessage(str(body["code"]), str(body["message"])))
    except (ValueError, KeyError, TypeError):
        return UnavailableError(f"The server refused the connection (HTTP {response.status_code}).")
