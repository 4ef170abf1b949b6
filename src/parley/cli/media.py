"""What ``parley doctor --media`` looks at: whether the sound of a browser can come here, and by which ways."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from parley.cli.checks import Finding
from parley.errors import ConfigError

if TYPE_CHECKING:
    from parley.config import Settings
    from parley.transports.rtc_settings import WebRtcSettings

_PART = "media"
_GATHERING, _CONNECTING = 8.0, 8.0
_PORTS_PER_SESSION = 2
"""About what a host with IPv4 and IPv6 takes."""


async def examine_media(settings: Settings) -> list[Finding]:
    """The ports, a direct path, and a path through each server of ``webrtc.ice_servers``. Never raises."""
    webrtc = settings.webrtc
    if not webrtc.enabled:
        return [Finding(_PART, "WebRTC", "ok", "switched off: browsers talk over a WebSocket")]
    from parley.transports.ice import check_ports

    try:
        check_ports(webrtc)
    except ConfigError as error:
        return [Finding(_PART, "UDP ports", "wrong", error.message, "webrtc.udp_port_min, webrtc.udp_port_max")]
    findings = [_ports(webrtc)]
    if not webrtc.relay_only:
        findings.append(await _direct(webrtc))
    findings += await asyncio.gather(*(_server(webrtc, url) for url in webrtc.ice_servers))
    if webrtc.relay_only and not any(url.startswith("turn") for url in webrtc.ice_servers):
        findings.append(
            Finding(_PART, "relay", "wrong", "webrtc.relay_only, but no TURN server", "name one in webrtc.ice_servers")
        )
    return findings


def _ports(webrtc: WebRtcSettings) -> Finding:
    """How many of the range are free."""
    low, high = webrtc.udp_port_min, webrtc.udp_port_max
    if not low:
        return Finding(_PART, "UDP ports", "ok", "any: a firewall in front needs webrtc.udp_port_min or a TURN server")
    free = sum(_free(port) for port in range(low, high + 1))
    name, detail = f"UDP ports {low} to {high}", f"{free} of {high - low + 1} are free"
    if free < _PORTS_PER_SESSION:
        return Finding(_PART, name, "wrong", detail, "a wider range, or end what holds them")
    return Finding(_PART, name, "ok", detail)


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


async def _direct(webrtc: WebRtcSettings) -> Finding:
    """From a browser on this very host, without any server between."""
    alone = replace(webrtc, ice_servers=())
    try:
        took, way = await _crossed(alone, replace(alone, udp_port_min=0, udp_port_max=0, public_address=""))
    except _NoPath as error:
        return Finding(_PART, "direct path", "wrong", str(error), "let UDP pass on this host")
    return Finding(_PART, "direct path", "ok", f"{way} in {1000 * took:.0f} ms, from this host; others need the ports")


async def _server(webrtc: WebRtcSettings, url: str) -> Finding:
    return await (_relay if url.startswith("turn") else _outside)(replace(webrtc, ice_servers=(url,)), url)


async def _outside(webrtc: WebRtcSettings, url: str) -> Finding:
    """Which address a STUN server sees."""
    try:
        async with _gathered(replace(webrtc, relay_only=False)) as agent:
            seen = [each.host for each in agent.local_candidates if each.type == "srflx"]
    except _NoPath as error:
        return Finding(_PART, url, "wrong", str(error), "webrtc.ice_servers")
    if not seen:
        return Finding(_PART, url, "wrong", "it does not answer", "webrtc.ice_servers, or a firewall on the way")
    return Finding(_PART, url, "ok", f"this host is seen as {seen[0]}")


async def _relay(webrtc: WebRtcSettings, url: str) -> Finding:
    """A datagram there and back between a client that has nothing but this relay, and a session as we open it."""
    try:
        took, way = await _crossed(webrtc, replace(webrtc, relay_only=True))
    except _NoPath as error:
        return Finding(_PART, url, "wrong", str(error), await _why(webrtc) or _PEERS)
    return Finding(_PART, url, "ok", f"a client with nothing else gets here: {way} in {1000 * took:.0f} ms")


_PEERS = "let the relay reach this host (coturn: allowed-peer-ip), and its relay ports be reached"


async def _why(webrtc: WebRtcSettings) -> str:
    """What a TURN server says when it is asked for an address; "" when it gives one."""
    from aioice import stun, turn
    from aiortc.rtcicetransport import connection_kwargs

    from parley.transports.ice import ice_servers

    asked: dict[str, Any] = connection_kwargs(ice_servers(webrtc))
    if "turn_server" not in asked:
        return "a turn: address with transport=udp or tcp, or a turns: one"
    try:
        async with asyncio.timeout(_GATHERING):
            transport, _ = await turn.create_turn_endpoint(
                asyncio.DatagramProtocol,
                server_addr=asked["turn_server"],
                username=asked["turn_username"],
                password=asked["turn_password"],
                ssl=asked["turn_ssl"],
                transport=asked["turn_transport"],
            )
    except stun.TransactionFailed as error:
        code, reason = error.response.attributes.get("ERROR-CODE", (0, "no reason given"))
        mend = "webrtc.turn_username, webrtc.turn_password" if code in (401, 403) else "its log"
        return f"the server says {code} {reason}: {mend}"
    except (OSError, TimeoutError, stun.TransactionError):
        return "it does not answer: is it there, and does a firewall let its port pass?"
    transport.close()
    return ""


# --- two ends ------------------------------------------------------------------------------------


class _NoPath(Exception):
    """Why the two ends do not find each other, in a sentence."""


@asynccontextmanager
async def _gathered(webrtc: WebRtcSettings, *, controlling: bool = False) -> AsyncIterator[Any]:
    """One end that knows its own addresses; closed with the block."""
    from parley.transports.ice import IceConnection

    try:
        agent = IceConnection(webrtc, controlling=controlling)
    except ValueError as error:
        raise _NoPath(f"it is no address of a server: {error}") from error
    try:
        try:
            async with asyncio.timeout(_GATHERING):
                await agent.gather_candidates()
        except (OSError, TimeoutError) as error:
            raise _NoPath("no address could be had in time") from error
        yield agent
    finally:
        await agent.close()


async def _crossed(here: WebRtcSettings, there: WebRtcSettings) -> tuple[float, str]:
    """Connect a session's end to a client's, and send a datagram there and back: seconds for both, and by which way."""
    loop = asyncio.get_running_loop()
    async with _gathered(here) as ours, _gathered(there, controlling=True) as client:
        if not (ours.local_candidates and client.local_candidates):
            raise _NoPath("it gave no address")
        began = loop.time()
        await _introduce(ours, client)
        try:
            async with asyncio.timeout(_CONNECTING):
                await asyncio.gather(ours.connect(), client.connect())
                await client.send(b"\x80there")  # above 127, as media is
                await ours.send(await ours.recv() + b" and back")
                if await client.recv() != b"\x80there and back":
                    raise _NoPath("what came back is not what was sent")
        except (OSError, TimeoutError) as error:  # aioice raises ConnectionError where no pair of addresses works
            raise _NoPath("no datagram came through") from error
        pair = client._nominated[1]
        local, remote = pair.protocol.local_candidate, pair.remote_candidate
        return loop.time() - began, f"{local.type} {local.host} to {remote.type} {remote.host}"


async def _introduce(one: Any, other: Any) -> None:
    """Each hears of the other's addresses, as by an offer and its answer."""
    for to, of in ((one, other), (other, one)):
        to.remote_username, to.remote_password = of.local_username, of.local_password
        for candidate in of.local_candidates:
            with contextlib.suppress(ValueError):  # a name that cannot be looked up
                await to.add_remote_candidate(candidate)
        await to.add_remote_candidate(None)
