"""Settings of the direct WebRTC transport; apart from its code, which takes a while to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting

PINNED = "1.16"
"""The release of aiortc that :mod:`parley.transports.rtc_seam` is written for."""
FIRST_DELAY = 3_000
"""Samples from leaving to being heard, until reports tell."""


@dataclass(frozen=True, slots=True)
class WebRtcSettings:
    """How browsers reach this process, and what their audio looks like on the way."""

    enabled: Annotated[bool, Setting("Whether browsers may connect by WebRTC directly.")] = True
    ice_servers: Annotated[
        tuple[str, ...],
        Setting("STUN and TURN servers for both ends, such as stun:host:3478 or turn:host:3478?transport=udp."),
    ] = ()
    turn_username: Annotated[str, Setting("User name for the TURN servers.")] = ""
    turn_password: Annotated[str, Setting("Password for the TURN servers; browsers get to see it.", secret=True)] = ""
    relay_only: Annotated[bool, Setting("Use nothing but the TURN server, so that no local address is shown.")] = False
    udp_port_min: Annotated[int, Setting("First UDP port for media; 0 lets the system choose.", ge=0, le=65535)] = 0
    udp_port_max: Annotated[
        int, Setting("Last UDP port for media; each session holds one port per network address.", ge=0, le=65535)
    ] = 0
    public_address: Annotated[
        str,
        Setting("Address under which this host is seen from outside, offered besides its own (containers, 1:1 NAT)."),
    ] = ""
    loopback: Annotated[
        bool, Setting("Offer 127.0.0.1 as well; it is always offered where there is no other address.")
    ] = False
    microphone_frame_ms: Annotated[
        int,
        Setting(
            "Length of the audio packets asked of browsers: 10 hears sooner, 20 costs less.", unit="ms", ge=10, le=60
        ),
    ] = 10
    reorder_packets: Annotated[
        int, Setting("Packets that wait behind a missing one before its place is filled with silence.", ge=0, le=10)
    ] = 1
    bitrate: Annotated[int, Setting("Opus bit rate of the agent's voice.", unit="bit/s", ge=6_000, le=256_000)] = 32_000
    complexity: Annotated[int, Setting("Opus encoder effort, 0 to 10.", ge=0, le=10)] = 4
    connect_timeout: Annotated[
        float, Setting("A browser that is not connected by then is given up.", unit="s", ge=1, le=120)
    ] = 15.0
    max_pending: Annotated[
        int, Setting("Offers that may wait for their browser to connect; another one is answered with 503.", ge=1)
    ] = 64
    max_pending_per_address: Annotated[
        int, Setting("The same for one address; another one from there is answered with 429.", ge=1)
    ] = 16
    reconnect_grace: Annotated[
        float, Setting("How long a lost connection may be restored by an ICE restart.", unit="s", ge=0, le=300)
    ] = 10.0
