"""A session over direct WebRTC: Opus both ways and a data channel (docs/reference/webrtc.md).

The agent's audio is one RTP stream that never stops. Frames wait here until their 20 ms are due,
so a pause takes effect with the next packet; what had left already and was not heard is sent
again on resume, from the sample that the client reports.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from parley import clock
from parley.allowance import Allowance
from parley.errors import CapacityError, InvalidRequest, TimedOut, TooManyRequests, UnavailableError
from parley.messages import AudioAnchor, ErrorMessage, StartSession
from parley.transports import rtc_sdp
from parley.transports.bounds import ClientBounds
from parley.transports.codec import encode
from parley.transports.ice import IceConnection, check_ports
from parley.transports.opus import LOOK_AHEAD_SAMPLES, OpusEncoder
from parley.transports.rtc_microphone import RtcMicrophone
from parley.transports.rtc_seam import IceAgent, last_rtp_timestamp, take_apart, take_packets
from parley.transports.rtc_settings import FIRST_DELAY
from parley.transports.rtc_track import VoiceTrack
from parley.transports.stream import StreamTransport

if TYPE_CHECKING:
    from parley.messages import ClientMessage, ServerMessage
    from parley.transports.round_robin import RoundRobin
    from parley.transports.rtc_settings import WebRtcSettings
    from parley.transports.rtp_playout import Anchor

log = structlog.get_logger(__name__)

CHANNEL = "parley"
"""Label of the data channel, opened by the client."""

MAX_CANDIDATES = 64
"""A browser names a handful; packets go out to each."""
RESTARTS_AT_ONCE, RESTARTS_A_SECOND = 10, 0.5
"""Each binds sockets anew; somebody who walks from one network to the next needs one in a while."""
_CLOSE_TIMEOUT = 2.0
_MAX_UNSENT = 1 << 20
"""Bytes of messages that wait on the data channel, which a client has not taken; beyond them it is sent away."""


class WebRtcTransport(StreamTransport):
    """``interfaces.Transport`` for one browser. Call :meth:`answer`, then :meth:`started`, then iterate.

    Sending to a client that has left does nothing.
    """

    kind = "webrtc"
    label = CHANNEL
    """Of the data channel."""

    def __init__(
        self, settings: WebRtcSettings, client: ClientBounds | None = None, turns: RoundRobin | None = None
    ) -> None:
        check_ports(settings)
        super().__init__(FIRST_DELAY, client or ClientBounds())
        self._settings = settings
        self._pc: Any = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.track = VoiceTrack(OpusEncoder(bitrate=settings.bitrate, complexity=settings.complexity), self._next_frame)
        transceiver = self._pc.addTransceiver(self.track, "sendrecv")
        transceiver.setCodecPreferences(
            [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.name.lower() == "opus"]
        )
        self._sender: Any = transceiver.sender
        self._agent = IceAgent(transceiver.receiver.transport.transport, settings, self._takes_datagram, turns)
        lost = partial(self._client.tally.microphone_lost, "network")
        self._microphone = RtcMicrophone(self._take_audio, settings.reorder_packets, lost)
        take_packets(transceiver.receiver, self._on_packet)
        self._pc.on("datachannel", self._on_channel)
        self._pc.on("connectionstatechange", self._on_state)
        # messages
        self._channel: Any = None
        self._unsent: deque[str] = deque()
        # life
        self._restarts = Allowance(burst=RESTARTS_AT_ONCE, per_second=RESTARTS_A_SECOND)
        self._restarting = asyncio.Lock()
        self._exchanging: asyncio.Task[None] | None = None
        self._restart: IceConnection | None = None
        self._heard_from = clock.now()
        self.local_sdp = ""
        """The answer as it stands, with the ICE credentials in use."""
        self.connected = False
        """True once the connection has been up."""
        self._remote_username = ""

    # --- signalling --------------------------------------------------------------------

    async def answer(self, offer: str) -> str:
        """SDP offer in, SDP answer with all candidates out. InvalidRequest when it cannot be used."""
        rtc_sdp.check_offer(offer, self.label)
        if len(rtc_sdp.candidates_of(offer)) > MAX_CANDIDATES:
            raise InvalidRequest(f"At most {MAX_CANDIDATES} candidates are taken; each is tried from here.")
        try:
            await self._pc.setRemoteDescription(
                RTCSessionDescription(sdp=rtc_sdp.without_hidden_candidates(offer), type="offer")
            )
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except Exception as error:  # somebody else's code: aiortc raises whatever its parser stumbles over
            raise InvalidRequest(f"The SDP offer cannot be used: {error}.") from error
        if not self._agent.connection.local_candidates:
            raise CapacityError(self._no_way_in(), retry_after=5.0)
        self._remote_username = rtc_sdp.username_of(offer)
        self.local_sdp = rtc_sdp.with_frame_length(self._pc.localDescription.sdp, self._settings.microphone_frame_ms)
        return self.local_sdp

    def _no_way_in(self) -> str:
        settings = self._settings
        if settings.relay_only:
            return "The TURN server gave no address, and webrtc.relay_only allows no other."
        if settings.udp_port_min:
            return f"All UDP ports from {settings.udp_port_min} to {settings.udp_port_max} are taken."
        return "This machine has no address that a browser could reach."

    async def restart(self, offer: str) -> str:
        """ICE restart: new credentials and candidates in (offer or fragment), the same kind out.

        The old path goes on until the new one is up; of several restarts the last one counts.
        InvalidRequest when the credentials are missing, TooManyRequests, UnavailableError once the session is over.
        """
        username, password, candidates = rtc_sdp.ice_part(offer)
        if len(candidates) > MAX_CANDIDATES:
            raise InvalidRequest(f"At most {MAX_CANDIDATES} candidates are taken; each is tried from here.")
        wait = self._restarts.take(clock.now())
        if wait:
            raise TooManyRequests("The connection was restarted too often; wait a moment.", retry_after=wait)
        async with self._restarting:
            await self._forget_restart()
            connection = await self._gathered(username, password, candidates)
            self._remote_username = username
            self._restart = connection
            self._exchanging = asyncio.create_task(self._exchange(connection))
            self.local_sdp = rtc_sdp.with_ice(
                self.local_sdp, connection.local_username, connection.local_password, connection.local_candidates
            )
            return self.local_sdp

    async def _gathered(self, username: str, password: str, candidates: list[Any]) -> IceConnection:
        """A connection with sockets of its own; the caller closes it."""
        connection = IceConnection(self._settings)
        try:
            await connection.gather_candidates()
            connection.remote_username, connection.remote_password = username, password
            for candidate in candidates:
                await connection.add_remote_candidate(candidate)
            if self._inbox.closed:
                raise UnavailableError("The session is over; POST a new offer.")
        except BaseException:  # our own code, a cancelled restart among it: its sockets are closed
            await connection.close()
            raise
        return connection

    async def _exchange(self, connection: IceConnection) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self._agent.exchange(connection, self._settings.connect_timeout)

    async def _forget_restart(self) -> None:
        """End the restart that is under way, if there is one."""
        if self._exchanging is not None:
            self._exchanging.cancel()
            await asyncio.gather(self._exchanging, return_exceptions=True)
            self._exchanging = None
        if self._restart is not None and self._restart is not self._agent.connection:
            await self._restart.close()  # a task that is cancelled before its first step closes nothing
        self._restart = None

    def knows(self, username: str) -> bool:
        """Whether these ICE credentials of the client are the ones in use (else it wants a restart)."""
        return username == self._remote_username

    async def add_candidates(self, fragment: str) -> None:
        """Trickled candidates of the client, as an SDP fragment."""
        candidates = rtc_sdp.candidates_of(fragment)
        connection = self._agent.connection
        if len(connection.remote_candidates) + len(candidates) > MAX_CANDIDATES:
            raise InvalidRequest(f"At most {MAX_CANDIDATES} candidates are taken; each is tried from here.")
        for candidate in candidates:
            try:
                await connection.add_remote_candidate(candidate)
            except ValueError as error:
                raise InvalidRequest("The client has said already that there are no more candidates.") from error

    async def started(self) -> StartSession:
        """Wait until the client is connected and has sent its start message. TimedOut, UnavailableError."""
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                return await asyncio.shield(self._start)
        except TimeoutError:
            raise TimedOut(
                f"The browser did not connect and start within {self._settings.connect_timeout:g} seconds; "
                "a firewall between it and the server's UDP ports may be the cause."
            ) from None

    # --- in ----------------------------------------------------------------------------

    def _takes_datagram(self, now: float) -> bool:
        taken = self._intake.takes_datagram(now)
        if not taken:
            self._client.tally.excess("datagram", "dropped")
        return taken

    def _on_packet(self, source: int, sequence: int, timestamp: int, payload: bytes) -> None:
        self._heard_from = clock.now()
        if self._start.done():
            self._microphone.take(source, sequence, timestamp, payload)

    def _on_channel(self, channel: Any) -> None:
        if channel.label != self.label or self._channel is not None:
            self._refuse_channel(channel)
            return
        self._channel = channel
        channel.on("message", self._on_message)
        channel.on("close", self._leave)
        while self._unsent:
            channel.send(self._unsent.popleft())
        self._opened()

    def _refuse_channel(self, channel: Any) -> None:
        """Close one that is not ours to have, and say so where there is a way to."""
        channel.close()
        if self._channel is None:
            return
        error = InvalidRequest(_one_channel(self.label, channel.label))
        if self._intake.mistake(clock.now()):
            self._post(ErrorMessage(error.code, error.message))
        else:
            self._client.tally.excess("mistake", "closed")
            self._give_up(error)

    def _opened(self) -> None:
        """The data channel is there."""

    def _on_message(self, data: str | bytes) -> None:
        self._heard_from = clock.now()
        self._take_data(data)

    def _read(self, data: str | bytes) -> ClientMessage:
        if isinstance(data, bytes):
            raise InvalidRequest("The data channel carries text messages only; audio goes by RTP.")
        return super()._read(data)

    def _begin(self, start: StartSession) -> None:
        if self._start.done():
            raise InvalidRequest("The session has already started; open a new connection for another one.")
        self._reports = start.playout_reports
        self._start.set_result(start)

    def _check_begun(self, message: ClientMessage) -> None:
        if not self._start.done():
            raise InvalidRequest(f'The first message must be of type "start", not "{message.type}".')

    @property
    def _is_patient(self) -> bool:
        return self._start.done()

    # --- out ---------------------------------------------------------------------------

    def _next_frame(self, position: int) -> bytes | None:
        """Called by the track when a packet is due."""
        self._microphone.keep_alive(clock.now())
        timestamp = last_rtp_timestamp(self._sender)
        if timestamp is None:
            return None
        pcm, anchor = self._queue.take(position)
        if pcm is not None:
            self._space.set()
            if anchor is not None:
                self._tell_anchor(anchor, timestamp)
        return pcm

    def _tell_anchor(self, anchor: Anchor, last_timestamp: int) -> None:
        ahead = anchor.position - self.track.sent_position + LOOK_AHEAD_SAMPLES
        timestamp = (last_timestamp + ahead) & 0xFFFFFFFF
        self._post(AudioAnchor(anchor.utterance_id, anchor.sample, timestamp))

    def _post(self, message: ServerMessage) -> None:
        self._post_text(encode(message))

    def _post_text(self, text: str) -> None:
        if self._inbox.closed:
            return
        if self._channel is None:
            self._unsent.append(text)
        elif self._channel.readyState == "open":
            self._channel.send(text)
            if self._channel.bufferedAmount > _MAX_UNSENT:
                self._client.tally.excess("unread", "closed")
                log.warning("a client did not read its data channel in time and was sent away",
                            transport=self.kind, unsent=self._channel.bufferedAmount, most=_MAX_UNSENT)  # fmt: skip
                self._leave()

    # --- life --------------------------------------------------------------------------

    def silent_for(self) -> float:
        """Seconds since anything came from the client."""
        return clock.now() - max(self._heard_from, self._agent.heard_from)

    def _on_state(self) -> None:
        if self._pc.connectionState == "connected":
            self.connected = True
        if self._pc.connectionState == "closed" or (self._pc.connectionState == "failed" and not self._start.done()):
            self._leave()

    async def _hang_up(self) -> None:
        async with self._restarting:
            await self._forget_restart()
        await self._drain_channel()
        self._agent.close()
        self.track.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._pc.close()
        await self._agent.connection.close()  # whatever held that up, the sockets go
        if self._channel is not None:  # else aiortc may still be connecting, in a task that nobody else knows
            take_apart(self._pc)

    async def _drain_channel(self) -> None:
        """Give the last messages a moment to leave."""
        deadline = clock.now() + 0.2
        while self._channel is not None and self._channel.readyState == "open" and self._channel.bufferedAmount:
            if clock.now() > deadline:
                return
            await asyncio.sleep(0.01)


def _one_channel(label: str, other: str) -> str:
    if other == label:
        return f'There is one data channel, "{label}", which is open already; the second one was closed.'
    return f'The only data channel here is called "{label}"; the one called {other[:64]!r} was closed.'
