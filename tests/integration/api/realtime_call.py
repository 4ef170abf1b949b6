"""Somebody in a call: aiortc's peer connection, an open microphone, and a note of whatever came and when."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx
import numpy as np
import soxr
from tests.integration.api.realtime_common import EventLog, typed

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE
from parley.bench import speech
from parley.client.webrtc import WebRtcPeer

Event = dict[str, Any]
_AUDIBLE = 200
"""A packet whose loudest sample is below that is silence."""


class Listener:
    """Keeps each packet's sound, and when it came."""

    def __init__(self) -> None:
        self.packets: list[tuple[float, bytes]] = []

    def push(self, timestamp: int, pcm: bytes, now: float) -> None:
        self.packets.append((now, pcm))

    def audible(self) -> list[float]:
        """When each packet came in which something can be heard."""
        return [at for at, pcm in self.packets if np.abs(np.frombuffer(pcm, np.int16)).max(initial=0) > _AUDIBLE]


class Caller(EventLog, WebRtcPeer):
    """One call."""

    label = "oai-events"

    def __init__(self) -> None:
        EventLog.__init__(self)
        WebRtcPeer.__init__(self, reports=False)
        self.heard = Listener()
        self.playout = self.heard  # type: ignore[assignment]
        self.over = asyncio.Event()
        self.location = ""

    def _on_message(self, data: str) -> None:
        self.note(json.loads(data))

    def _ended(self) -> None:
        self.over.set()

    def ask(self, kind: str, **fields: Any) -> None:
        self.send_text(json.dumps({"type": kind, **fields}))

    def type(self, text: str) -> None:
        """A typed turn that is to be answered."""
        self.ask("conversation.item.create", item=typed(text))
        self.ask("response.create")

    def channel(self, label: str) -> Any:
        """Open another data channel."""
        return self._pc.createDataChannel(label)

    def ignore_limit(self) -> None:
        """From now on send messages as large as they come, whatever the other end has said."""
        self._pc.sctp._remote_max_message_size = 0

    def speak(self, text: str) -> None:
        """Say this from now on."""
        samples = speech.say(text, speech.speakers()[0]).astype(np.int16)
        pcm = soxr.resample(samples, speech.RATE, SAMPLE_RATE).astype("<i2")
        pcm = np.concatenate((pcm, np.zeros(-len(pcm) % FRAME_SAMPLES, "<i2")))
        frames = pcm.reshape(-1, FRAME_SAMPLES)
        self.microphone.extend(frame.tobytes() for frame in frames)

    async def sounds(self, seconds: float) -> None:
        """Wait until so much of the agent has been heard."""
        async with asyncio.timeout(30):
            while len(self.heard.audible()) < seconds * 50:
                await asyncio.sleep(0.02)  # packets come by callback, every 20 ms


def posting(url: str, key: str, session: Event | None = None) -> Callable[[str], Awaitable[httpx.Response]]:
    """How an offer is sent: alone, or in a form with a session."""

    async def post(offer: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(timeout=20) as http:
            if session is None:
                headers["Content-Type"] = "application/sdp"
                return await http.post(f"{url}/v1/realtime/calls?model=gpt-realtime", content=offer, headers=headers)
            files = {
                "sdp": (None, offer, "application/sdp"),
                "session": (None, json.dumps(session), "application/json"),
            }
            return await http.post(f"{url}/v1/realtime/calls", files=files, headers=headers)

    return post


@contextlib.asynccontextmanager
async def calling(url: str, key: str, session: Event | None = None) -> AsyncGenerator[Caller, None]:
    """Call, wait for ``session.created``, and leave."""
    caller = Caller()
    post = posting(url, key, session)

    async def exchange(offer: str) -> str:
        answer = await post(offer)
        assert answer.status_code == 201, answer.text
        assert answer.headers["content-type"] == "application/sdp"
        caller.location = answer.headers["location"]
        return answer.text

    try:
        await caller.connect(exchange)
        await caller.until("session.created")
        assert caller.types()[0] == "session.created"
        yield caller
    finally:
        await caller.close()
