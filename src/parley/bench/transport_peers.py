"""The other ends for ``parley bench transports``: participants in a process of their own.

Run as ``python -m parley.bench.transport_peers``; reads a request as JSON from standard input:
``{"kind", "address", "sessions", "seconds", "frame_ms"}``, for LiveKit also ``rooms`` and ``tokens``.
Prints ``{"running": true}`` once everybody hears the agent, and after ``seconds`` more the result.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import numpy as np

from parley import clock


class CannedVoice:
    """Stands in for an encoder: two seconds of speech, encoded once for everybody."""

    def __init__(self, frame_samples: int) -> None:
        from parley.transports.opus import OpusEncoder

        self.frame_samples = frame_samples
        encoder = OpusEncoder(frame_samples=frame_samples)
        rng = np.random.default_rng(1)
        count = 2 * 48_000 // frame_samples
        shape = 0.5 + 0.5 * np.sin(np.arange(count * frame_samples) / 48_000 * 2 * np.pi * 3)
        noise = (rng.normal(0, 2_000, count * frame_samples) * shape).astype("<i2").tobytes()
        size = 2 * frame_samples
        self._packets = [encoder.encode(noise[at * size : (at + 1) * size]) for at in range(count)]
        self._next = 0

    def encode(self, pcm: bytes) -> bytes:
        return self.encode_silence()

    def encode_silence(self) -> bytes:
        packet = self._packets[self._next % len(self._packets)]
        self._next += 1
        return packet


def lateness(arrivals: list[tuple[float, int]], began: float, ended: float) -> list[float]:
    """By how many milliseconds each packet came after a player that started with the earliest one."""
    window = [(at, timestamp) for at, timestamp in arrivals if began <= at <= ended]
    if not window:
        return []
    first = window[0][1]
    offsets = [1000 * (at - (((timestamp - first) & 0xFFFFFFFF) / 48_000)) for at, timestamp in window]
    earliest = min(offsets)
    return [offset - earliest for offset in offsets]


async def webrtc(request: dict[str, Any]) -> dict[str, Any]:
    from parley.client.webrtc import WebRtcClient, WebRtcPeer
    from parley.messages import StartSession

    samples = int(request["frame_ms"]) * 48
    clients = []
    for _ in range(request["sessions"]):
        peer = WebRtcPeer(decode=False, reports=False, encoder=CannedVoice(samples))
        client = WebRtcClient(request["address"], StartSession(), peer=peer, timeout=60)
        _count_only(peer)
        await client.__aenter__()
        clients.append(client)
    began, ended = await _window(request)
    late = [lateness(client.peer.arrivals, began, ended) for client in clients]
    await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients), return_exceptions=True)
    return _result(late)


def _count_only(peer: Any) -> None:
    """Read the time from each audio packet's head, which is not encrypted, and drop it: participants must be cheap."""
    agent = peer._agent
    receive = agent._recv

    async def counted() -> bytes:
        while True:
            data: bytes = await receive()
            if not 128 <= data[0] < 192 or 192 <= data[1] < 224:  # no RTP, or its control packets
                return data
            peer.arrivals.append((clock.now(), int.from_bytes(data[4:8])))

    agent._transport._recv = counted


async def livekit(request: dict[str, Any]) -> dict[str, Any]:
    from livekit import rtc

    arrivals: list[list[tuple[float, int]]] = []
    rooms, tasks = [], []

    async def listen(track: Any, into: list[tuple[float, int]]) -> None:
        position = 0
        async for event in rtc.AudioStream(track, sample_rate=48_000, num_channels=1):
            into.append((clock.now(), position))
            position += event.frame.samples_per_channel

    async def talk(source: Any) -> None:
        noise = np.random.default_rng(1).normal(0, 2_000, 960).astype("<i2").tobytes()
        while True:
            await source.capture_frame(rtc.AudioFrame(noise, 48_000, 1, 960))

    for token in request["tokens"]:
        room, source = rtc.Room(), rtc.AudioSource(48_000, 1, queue_size_ms=100)
        heard: list[tuple[float, int]] = []
        arrivals.append(heard)
        room.on(
            "track_subscribed", lambda track, *_, into=heard: tasks.append(asyncio.create_task(listen(track, into)))
        )
        await room.connect(request["address"], token)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        await room.local_participant.publish_track(track)
        tasks.append(asyncio.create_task(talk(source)))
        rooms.append(room)
    began, ended = await _window(request)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*(room.disconnect() for room in rooms))
    return _result([lateness(heard, began, ended) for heard in arrivals])


async def _window(request: dict[str, Any]) -> tuple[float, float]:
    await asyncio.sleep(2.0)
    print(json.dumps({"running": True}), flush=True)
    began = clock.now()
    await asyncio.sleep(request["seconds"])
    return began, clock.now()


def _result(late: list[list[float]]) -> dict[str, Any]:
    return {
        "late_ms": [round(value, 3) for session in late for value in session],
        "silent": sum(not session for session in late),
        "cpu": time.process_time(),
    }


async def main() -> None:
    request = json.loads(sys.stdin.readline())
    result = await (livekit(request) if request["kind"] == "livekit" else webrtc(request))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    if sys.platform == "win32":
        asyncio.run(main())
    else:
        import uvloop

        uvloop.run(main())
