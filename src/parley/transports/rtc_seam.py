"""The one module that touches aiortc's private parts; written for aiortc 1.16.

Stock aiortc holds a microphone packet for 80 ms (for 280 ms once one was lost), decodes in a
thread per session, and knows neither port ranges nor ICE restarts. Three small changes remedy
that, all of them per object:

* :func:`take_packets` reads RTP packets as they come, in front of the jitter buffer;
* :class:`IceAgent` puts our ICE connection under the DTLS transport and can exchange it;
* :func:`last_rtp_timestamp` tells what a sender put on the wire.

:func:`check_pinned` says in one sentence when aiortc has changed underneath.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpRouter
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceTransport
from aiortc.rtcpeerconnection import RTCPeerConnection
from aiortc.rtcrtpreceiver import RTCRtpReceiver, StreamStatistics
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.rtcsctptransport import RTCSctpTransport

from parley import clock
from parley.errors import ConfigError
from parley.transports.ice import IceConnection
from parley.transports.rtc_settings import PINNED

if TYPE_CHECKING:
    from parley.transports.round_robin import RoundRobin
    from parley.transports.rtc_settings import WebRtcSettings

OnPacket = Callable[[int, int, int, bytes], None]
"""SSRC, sequence number, timestamp and payload of one RTP packet."""

_OPUS_CLOCK = 48_000

_RELIED_ON: tuple[tuple[type, str, tuple[str, ...]], ...] = (
    (RTCRtpReceiver, "_handle_rtp_packet", ("_RTCRtpReceiver__remote_streams", "_RTCRtpReceiver__codecs")),
    (RTCRtpReceiver, "stop", ("_RTCRtpReceiver__stop_decoder",)),
    (RTCRtpSender, "_run_rtp", ("_RTCRtpSender__rtp_timestamp", "_RTCRtpSender__packet_count")),
    (RTCDtlsTransport, "_recv_next", ("_recv",)),
    (RTCDtlsTransport, "_handle_rtp_data", ("_handle_rtp_packet", "arrival_time_ms")),
    (RTCDtlsTransport, "_send_rtp", ("_send",)),
    (RTCIceTransport, "__init__", ("_connection", "_recv", "_send")),
    (RTCIceTransport, "start", ("_connection", "_RTCIceTransport__monitor_task", "_RTCIceTransport__setState")),
    (RTCIceTransport, "_monitor", ("_connection",)),
)


def check_pinned() -> None:
    """Raise ConfigError when the installed aiortc is not built the way this module relies on."""
    version = importlib.metadata.version("aiortc")
    missing = [f"{cls.__name__}.{name}" for cls, name, names in _RELIED_ON if not _uses(cls, name, names)]
    if missing:
        raise ConfigError(
            f"aiortc {version} differs from {PINNED} in {', '.join(missing)}; install aiortc {PINNED} "
            "or adapt parley.transports.rtc_seam to it."
        )


def _uses(cls: type, method: str, names: tuple[str, ...]) -> bool:
    """Whether a method exists and mentions all these names."""
    function = getattr(cls, method, None)
    code = getattr(inspect.unwrap(function), "__code__", None) if function else None
    if code is None:
        return False
    known = set(code.co_names) | set(code.co_varnames) | {str(c) for c in _constants(code)}
    return all(name in known for name in names)


def _constants(code: Any) -> list[Any]:
    """Constants of a code object, keyword names of calls among them."""
    flat: list[Any] = []
    for constant in code.co_consts:
        flat.extend(constant if isinstance(constant, tuple) else (constant,))
    return flat


def take_packets(receiver: Any, on_packet: OnPacket) -> None:
    """Hand every RTP packet of ``receiver`` to ``on_packet``, at once, instead of its jitter buffer.

    Reception statistics go on, so that the sender still gets its reports. The decoder thread that
    aiortc starts is ended with the first packet.
    """
    streams: dict[int, Any] = receiver._RTCRtpReceiver__remote_streams
    codecs: dict[int, Any] = receiver._RTCRtpReceiver__codecs

    async def handle(packet: Any, arrival_time_ms: int) -> None:
        codec = codecs.get(packet.payload_type)
        if codec is None or codec.name.lower() != "opus":
            return
        statistics = streams.get(packet.ssrc)
        if statistics is None:
            statistics = streams[packet.ssrc] = StreamStatistics(_OPUS_CLOCK)
            receiver._RTCRtpReceiver__stop_decoder()
        statistics.add(packet)
        on_packet(packet.ssrc, packet.sequence_number, packet.timestamp, packet.payload)

    receiver._handle_rtp_packet = handle


def last_rtp_timestamp(sender: Any) -> int | None:
    """RTP timestamp of the packet that ``sender`` sent last; None before the first."""
    if not sender._RTCRtpSender__packet_count:
        return None
    return int(sender._RTCRtpSender__rtp_timestamp)


_PARTS = (
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCRtpSender,
    RTCRtpReceiver,
    RtpRouter,
    RTCSctpTransport,
    RTCDataChannel,
    RTCDtlsTransport,
    RTCIceTransport,
    RTCIceGatherer,
)


def take_apart(connection: Any) -> None:
    """Take a closed peer connection to pieces; nothing of it can be used afterwards.

    Its parts refer to each other in circles, a thousand objects each, which only a full collection would take away:
    everybody else's sound waits 20 to 40 ms for that when twenty have left.
    """
    found: dict[int, Any] = {}
    left = [connection]
    while left:
        part = left.pop()
        if id(part) in found:
            continue
        found[id(part)] = part
        left += [value for values in map(_inside, vars(part).values()) for value in values if isinstance(value, _PARTS)]
    for part in found.values():
        vars(part).clear()


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | set | tuple) else (value,)


class IceAgent:
    """Our ICE connection inside an aiortc transport; it may be exchanged while DTLS goes on above it.

    Packets that are due while no connection is up are dropped, as a network would. ``grace`` is
    how long, in seconds, DTLS waits for a new connection once the old one is lost.
    ``takes``: whether a datagram that came now is taken; a flood is dropped, as a network would.
    ``turns``: shared by all clients; each datagram is decrypted and read in a turn of its own.
    """

    def __init__(
        self,
        transport: Any,
        settings: WebRtcSettings,
        takes: Callable[[float], bool] = lambda _: True,
        turns: RoundRobin | None = None,
    ) -> None:
        self._transport = transport
        self._takes = takes
        self._turns = turns
        self._settings = settings
        self._changed = asyncio.Event()
        self._closed = False
        self._muted: IceConnection | None = None
        self.heard_from = clock.now()
        """When the last datagram came."""
        self._use(IceConnection(settings))
        transport._recv = self._recv
        transport._send = self._send

    @property
    def connection(self) -> IceConnection:
        """The connection in use."""
        return self._connection

    def _use(self, connection: IceConnection) -> None:
        self._connection = connection
        connection.takes = self._arrived
        self._transport._connection = connection
        self._transport.iceGatherer._connection = connection
        self._changed.set()
        self._changed = asyncio.Event()

    def _arrived(self) -> bool:
        self.heard_from = now = clock.now()
        return self._takes(now)

    async def _recv(self) -> bytes:
        while True:
            connection, changed = self._connection, self._changed
            try:
                data: bytes = await connection.recv()
            except ConnectionError:
                if connection is self._connection and not await self._wait_for_change(changed):
                    raise
            else:
                if self._turns is not None and not self._turns.take():
                    await self._turns.turn()
                return data

    async def _wait_for_change(self, changed: asyncio.Event) -> bool:
        if self._closed:
            return False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), self._settings.reconnect_grace)
        return changed.is_set() and not self._closed

    async def _send(self, data: bytes) -> None:
        if self._connection is self._muted:
            return
        try:
            await self._connection.send(data)
        except ConnectionError:
            if self._closed:
                raise

    async def exchange(self, connection: IceConnection, timeout: float | None = None) -> None:
        """Connect ``connection`` and move over to it; ConnectionError and TimeoutError leave everything as it was.

        Whichever of the two connections is not in use afterwards is closed, whatever happens.
        """
        unused = connection
        try:
            async with asyncio.timeout(timeout):
                await connection.connect()
            unused = self._adopt(connection)
        finally:
            await unused.close()

    def _adopt(self, connection: IceConnection) -> IceConnection:
        """Move over to ``connection``, which is up. Returns the one that is used no more."""
        if self._closed:
            return connection
        old = self._connection
        monitor = self._transport._RTCIceTransport__monitor_task
        if monitor is not None:
            monitor.cancel()
        self._use(connection)
        self._transport._RTCIceTransport__setState("completed")
        self._transport._RTCIceTransport__monitor_task = asyncio.ensure_future(self._transport._monitor())
        return old

    def mute(self) -> None:
        """Send nothing more over the present connection."""
        self._muted = self._connection

    def close(self) -> None:
        """Stop waiting: what comes next is the end."""
        self._closed = True
        self._changed.set()
