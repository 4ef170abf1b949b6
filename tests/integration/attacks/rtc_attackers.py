"""Clients that do what they like over WebRTC and in LiveKit rooms.

``python rtc_attackers.py PLACE KIND SECONDS NUMBER``

KIND: ``channel`` floods data channels, ``room`` the data of LiveKit rooms; ``rooms`` joins them and says one thing, as
anybody would; ``channel_again`` and ``room_again`` make a connection for each message; ``restarts`` restarts ICE again
and again. It prints how many messages were sent, or how many restarts were answered with which status, and always ends
by itself.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
import os
import sys
from typing import Any

import httpx

from parley import clock
from parley.client.webrtc import WebRtcClient
from parley.errors import ParleyError
from parley.messages import EndSession, Interrupt, PlayoutReport, StartSession
from parley.transports.codec import encode

AT_ONCE, RESTARTS = 50, 6
MESSAGES = (PlayoutReport("nobody", 5), Interrupt())
# Nobody answers at this candidate (RFC 5737), so a restart that names it goes on until its time is up.
FRAGMENT = (
    "a=ice-ufrag:u{number:04}\r\na=ice-pwd:0123456789012345678901\r\n"
    "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n"
)


async def flood_channels(url: str, seconds: float, connections: int) -> int:
    """As fast as the channels take it, until they are closed or the time is over."""
    clients = []
    for _ in range(connections):
        client = WebRtcClient(url, StartSession(echo_cancelled=True))
        await client.__aenter__()
        clients.append(client)
    sent = await asyncio.gather(*(_flood_channel(client, seconds) for client in clients))
    await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients), return_exceptions=True)
    return sum(sent)


async def _flood_channel(client: WebRtcClient, seconds: float) -> int:
    sent, until = 0, clock.now() + seconds
    while clock.now() < until:
        try:
            for index in range(AT_ONCE):
                client.peer.send(MESSAGES[index % 2])
                sent += 1
        except Exception:
            break
        await asyncio.sleep(0)
    return sent


async def channel_for_each(url: str, seconds: float, connections: int) -> int:
    """Connect, say one thing, leave, again and again; those that are turned away count as well."""

    async def one_after_another() -> int:
        sent = 0
        while clock.now() < until:
            try:
                async with WebRtcClient(url, StartSession(echo_cancelled=True)) as client:
                    client.peer.send(MESSAGES[sent % 2])
            except ParleyError:
                await asyncio.sleep(0.01)
            sent += 1
        return sent

    until = clock.now() + seconds
    return sum(await asyncio.gather(*(one_after_another() for _ in range(connections))))


async def restart(url: str, seconds: float, connections: int) -> str:
    """Sessions whose ICE is restarted, as many restarts at once as a browser opens connections; then they are left."""
    answered: collections.Counter[int] = collections.Counter()
    kind = {"Content-Type": "application/trickle-ice-sdpfrag"}

    async def one_session(http: httpx.AsyncClient) -> None:
        client = WebRtcClient(url, StartSession(echo_cancelled=True))
        await client.__aenter__()
        numbers, until = itertools.count(), clock.now() + seconds

        async def one_after_another() -> None:
            while clock.now() < until:
                fragment = FRAGMENT.format(number=next(numbers))
                answer = await http.patch(client.location, content=fragment, headers=kind)
                answered[answer.status_code] += 1

        await asyncio.gather(*(one_after_another() for _ in range(RESTARTS)))
        await http.delete(client.location)

    async with httpx.AsyncClient(timeout=30) as http:
        await asyncio.gather(*(one_session(http) for _ in range(connections)))
    return json.dumps(answered)


async def room_for_each(url: str, seconds: float, connections: int) -> int:
    """Join a room, say one thing, leave, again and again."""

    async def one_after_another() -> int:
        sent = 0
        while clock.now() < until:
            sent += await _flood_room(url, 0)
        return sent

    until = clock.now() + seconds
    return sum(await asyncio.gather(*(one_after_another() for _ in range(connections))))


async def flood_rooms(url: str, seconds: float, connections: int) -> int:
    """Join rooms of our own, start, and flood their data."""
    return sum(await asyncio.gather(*(_flood_room(url, seconds) for _ in range(connections))))


async def stay_in_rooms(url: str, seconds: float, connections: int) -> int:
    """Join rooms of our own, start, and say one thing."""
    return sum(await asyncio.gather(*(_flood_room(url, seconds, flood=False) for _ in range(connections))))


async def _token(url: str) -> dict[str, str]:
    """Asked for until the LiveKit server knows the orchestrator."""
    async with httpx.AsyncClient() as http:
        for _ in range(100):
            answer = await http.post(f"{url}/v1/livekit/token")
            if answer.status_code != 503:
                break
            await asyncio.sleep(0.2)  # until the server has met its LiveKit: a poll
    token: dict[str, str] = answer.raise_for_status().json()
    return token


async def _flood_room(url: str, seconds: float, *, flood: bool = True) -> int:
    from livekit import rtc

    token = await _token(url)
    room, sent, agent = rtc.Room(), 0, asyncio.Event()
    at_once = 2 * AT_ONCE if flood and seconds else 1
    room.on("participant_connected", lambda _: agent.set())
    await room.connect(token["url"], token["token"])
    if room.remote_participants:
        agent.set()
    await asyncio.wait_for(agent.wait(), 60)

    async def publish(message: Any) -> None:
        await room.local_participant.publish_data(encode(message), reliable=True, topic="parley")

    await publish(StartSession(echo_cancelled=True))
    until = clock.now() + seconds  # the first one has to wait for the connection
    try:
        while not sent or (clock.now() < until and room.remote_participants):
            await asyncio.gather(*(publish(MESSAGES[index % 2]) for index in range(at_once)))
            sent += at_once
            if not flood:
                await asyncio.sleep(seconds)  # it stays
                break
        await publish(EndSession())
    except Exception:
        pass
    await room.disconnect()
    return sent


async def main() -> None:
    """Attack as the arguments say."""
    os.nice(10)
    url, kind, seconds, connections = f"http://{sys.argv[1]}", sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    print(await ATTACKS[kind](url, seconds, connections))


ATTACKS = {
    "channel": flood_channels,
    "channel_again": channel_for_each,
    "restarts": restart,
    "room": flood_rooms,
    "rooms": stay_in_rooms,
    "room_again": room_for_each,
}


if __name__ == "__main__":
    asyncio.run(main())
