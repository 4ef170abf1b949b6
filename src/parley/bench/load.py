"""Many participants in one cheap process: they listen, send a microphone, and note when audio came.

A WebSocket client of its own, because a general one costs more than the server that it is to
measure: frames are parsed where they lie, microphone frames are masked with zeros and made once.
Run as ``python -m parley.bench.load`` with a JSON request on standard input (``LoadRequest``);
it prints one JSON object when the sessions run, and the result when they are over.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from parley.audio.frame import FRAME_SAMPLES
from parley.bench import speech
from parley.client.session import session_url
from parley.messages import PlayoutReport, SayDelta, SayEnd, StartSession
from parley.transports.binary import AGENT, AGENT_HEADER, MICROPHONE_HEADER
from parley.transports.codec import encode

MICROPHONE_RATE = 16_000
REALTIME_RATE = 24_000
FRAME_SECONDS = 0.020
NOISE_DB = -65.0
"""A quiet room."""
_RAMP = 0.05
"""Seconds between two arrivals."""
_REPORT_EVERY = 5
"""Microphone frames between two playout reports."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What the participants do."""

    url: str
    sessions: int
    seconds: float
    """How long to measure, after everybody hears the agent."""
    text: str
    """What the agent is made to say, over and over; long enough for the measurement."""
    noise_db: float = NOISE_DB
    api_key: str = ""
    echo_cancelled: bool = True
    """What they promise of their microphones."""
    realtime: bool = False
    """They speak OpenAI's Realtime interface, and not Parley's own protocol."""


Arrival = tuple[float, int, float]
"""Of a piece of sound: the moment, the utterance's number, and how many seconds it lasts."""


@dataclass(slots=True)
class LoadResult:
    """What they noticed; times in milliseconds."""

    sessions: int
    seconds: float
    frames: int
    jitter: list[float]
    """For each frame, how far its distance to the one before was from that one's duration."""
    late: list[float]
    """For each frame, how far behind a player it came that started with the first frame; a stall counts once."""
    microphone_late: list[float]
    """How late this process sent its own frames: when this is large, the figures say nothing."""
    cpu: float
    """CPU seconds of this process."""
    errors: list[str] = field(default_factory=list)
    silent_sessions: int = 0
    """Sessions that heard nothing."""


class Participant(asyncio.Protocol):
    """One WebSocket connection, as bare as can be."""

    def __init__(self, request: LoadRequest) -> None:
        self.arrivals: list[Arrival] = []
        self.errors: list[str] = []
        self.utterance_id = ""
        self.started = asyncio.Event()
        self.lost = False
        self._request = request
        self._buffer = bytearray()
        self._shaken = False
        self._transport: Any = None
        self._reached = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        parts = urlsplit(self._request.url)
        key = f"Authorization: Bearer {self._request.api_key}\r\n" if self._request.api_key else ""
        nonce = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            (
                f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{key}"
                "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.started.set()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        buffer = self._buffer
        buffer += data
        if not self._shaken and not self._shake_hands():
            return
        while len(buffer) >= 2:
            size, offset = buffer[1] & 127, 2
            if size == 126:
                if len(buffer) < 4:
                    return
                size, offset = (buffer[2] << 8) | buffer[3], 4
            elif size == 127:
                if len(buffer) < 10:
                    return
                size, offset = struct.unpack_from(">Q", buffer, 2)[0], 10
            if len(buffer) < offset + size:
                return
            self._take(buffer[0] & 15, offset, size, now)
            del buffer[: offset + size]

    def _take(self, opcode: int, offset: int, size: int, now: float) -> None:
        buffer = self._buffer
        if opcode == 2 and buffer[offset] == AGENT:
            _, _, _, number, self._reached = AGENT_HEADER.unpack_from(buffer, offset)
            self.arrivals.append((now, number, FRAME_SECONDS))
        elif opcode == 1:
            self.read(bytes(buffer[offset : offset + size]), now)
        elif opcode == 9:
            self._transport.write(frame(10, bytes(buffer[offset : offset + size])))

    @staticmethod
    def frames(noise_db: float) -> list[bytes]:
        """A second of the microphone."""
        step = int(MICROPHONE_RATE * FRAME_SECONDS)
        samples = speech.noise(step * 50, noise_db, seed=1)
        pieces = (samples[start : start + step] for start in range(0, step * 50, step))
        return [frame(2, MICROPHONE_HEADER + piece.astype("<i2").tobytes()) for piece in pieces]

    def greet(self) -> None:
        """The first message."""
        start = StartSession(
            sample_rate=MICROPHONE_RATE, playout_reports=True, echo_cancelled=self._request.echo_cancelled
        )
        self.send_text(encode(start))

    def read(self, text: bytes, now: float) -> None:
        """A message."""
        if text.startswith(b'{"type":"started"'):
            self.started.set()
        elif text.startswith((b'{"type":"reply"', b'{"type":"error"', b'{"type":"reply_end"')):
            body = json.loads(text)
            if body["type"] == "error":
                self.errors.append(body["message"])
                self.started.set()
            elif body["type"] == "reply":
                self.utterance_id = body["utterance_id"]
            else:
                self.speak()

    def speak(self) -> None:
        """Make the agent talk."""
        self.send_text(encode(SayDelta(self._request.text)))
        self.send_text(encode(SayEnd()))

    def report(self) -> None:
        """What a player would say that it has played."""
        if self.arrivals and self.utterance_id:
            self.send_text(encode(PlayoutReport(self.utterance_id, max(0, self._reached - FRAME_SAMPLES))))

    def send(self, data: bytes) -> None:
        if not self.lost:
            self._transport.write(data)

    def send_text(self, text: str) -> None:
        self.send(frame(1, text.encode()))

    def close(self) -> None:
        self._transport.close()

    def _shake_hands(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self._buffer.startswith(b"HTTP/1.1 101"):
            self.errors.append(self._buffer[:60].decode(errors="replace").splitlines()[0])
            self.started.set()
            self._transport.close()
            return False
        del self._buffer[: end + 4]
        self._shaken = True
        self.greet()
        return True


class RealtimeParticipant(Participant):
    """One that speaks OpenAI's Realtime interface, and has a story told."""

    @staticmethod
    def frames(noise_db: float) -> list[bytes]:
        """A second of the microphone."""
        step = int(REALTIME_RATE * FRAME_SECONDS)
        samples = speech.noise(step * 50, noise_db, seed=1)
        sounds = (
            base64.b64encode(samples[start : start + step].astype("<i2").tobytes())
            for start in range(0, step * 50, step)
        )
        return [frame(1, b'{"type":"input_audio_buffer.append","audio":"%s"}' % sound) for sound in sounds]

    def greet(self) -> None:
        """Who is asked for stands in the address."""

    def read(self, text: bytes, now: float) -> None:
        """An event."""
        kind = text[:80]
        if b'"response.output_audio.delta"' in kind:
            sound = json.loads(text)["delta"]
            self.arrivals.append((now, self._reached, len(base64.b64decode(sound)) / 2 / REALTIME_RATE))
        elif b'"session.created"' in kind:
            self.started.set()
        elif b'"response.created"' in kind:
            self._reached += 1
        elif b'"response.done"' in kind:
            self.speak()
        elif b'"error"' in kind:
            self.errors.append(json.loads(text)["error"]["message"])
            self.started.set()

    def speak(self) -> None:
        """Make the agent talk."""
        content = [{"type": "input_text", "text": self._request.text}]
        item = {"type": "message", "role": "user", "content": content}
        self.send_text(json.dumps({"type": "conversation.item.create", "item": item}))
        self.send_text('{"type":"response.create"}')

    def report(self) -> None:
        """Clients of this interface do not say what they play."""


def frame(opcode: int, payload: bytes) -> bytes:
    """One WebSocket frame of a client, its mask all zeros."""
    size = len(payload)
    if size > 0xFFFF:
        raise ValueError("a client of the benchmark sends no such long messages")
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    else:
        head = struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
    return head + b"\0\0\0\0" + payload


async def run_load(request: LoadRequest, running: Any = None) -> LoadResult:
    """Open the sessions, let them run, and gather what they noticed. ``running(True)`` marks the measured window."""
    parts = urlsplit(request.url)
    loop = asyncio.get_running_loop()
    kind = RealtimeParticipant if request.realtime else Participant
    people: list[Participant] = []
    microphone = _Microphone(kind.frames(request.noise_db), people)
    sending = asyncio.create_task(microphone.run())
    try:
        for _ in range(request.sessions):
            _, person = await loop.create_connection(lambda: kind(request), parts.hostname or "", parts.port or 80)
            await asyncio.wait_for(person.started.wait(), 20)
            person.speak()
            people.append(person)
            await asyncio.sleep(_RAMP)
        await asyncio.sleep(2.0)
        began, cpu = time.perf_counter(), time.process_time()
        microphone.late.clear()
        if running is not None:
            running(True)
        await asyncio.sleep(request.seconds)
        ended = time.perf_counter()
        if running is not None:
            running(False)
        cpu = time.process_time() - cpu
    finally:
        sending.cancel()
        for person in people:
            person.close()
    return _gather(request, people, microphone.late, began, ended, cpu)


class _Microphone:
    """Sends everybody's frames, spread over each 20 ms so that they do not come in one burst."""

    def __init__(self, frames: list[bytes], people: list[Participant]) -> None:
        self.late: list[float] = []
        self._frames = frames
        self._people = people

    async def run(self) -> None:
        people, slots = self._people, 10
        began = time.perf_counter()
        tick = 0
        while True:
            due = began + tick * FRAME_SECONDS / slots
            delay = due - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            slot, index = tick % slots, tick // slots
            self.late.append(1000 * max(0.0, time.perf_counter() - due))
            data = self._frames[index % len(self._frames)]
            for person in people[slot::slots]:
                person.send(data)
                if index % _REPORT_EVERY == 0:
                    person.report()
            tick += 1


def _gather(
    request: LoadRequest, people: list[Participant], sent_late: list[float], began: float, ended: float, cpu: float
) -> LoadResult:
    result = LoadResult(request.sessions, ended - began, 0, [], [], sent_late, cpu)
    for person in people:
        result.errors += person.errors
        if person.lost:
            result.errors.append("the server hung up")
        jitter, late = timing(person.arrivals, began, ended)
        result.jitter += jitter
        result.late += late
        result.frames += len(late)
        result.silent_sessions += not late
    return result


def timing(arrivals: list[Arrival], began: float, ended: float) -> tuple[list[float], list[float]]:
    """Jitter and lateness of each piece of sound in the window, in milliseconds."""
    jitter: list[float] = []
    late: list[float] = []
    if not arrivals:
        return jitter, late
    before, number, lasted = arrivals[0]
    ends = before + lasted
    for at, utterance, lasts in arrivals[1:]:
        if utterance == number:
            if began <= at <= ended:
                jitter.append(1000 * abs(at - before - lasted))
                late.append(1000 * max(0.0, at - ends))
            ends = max(ends, at) + lasts
        else:
            ends = at + lasts
        before, number, lasted = at, utterance, lasts
    return jitter, late


def main() -> None:
    request = LoadRequest(**json.loads(sys.stdin.readline()))

    def running(now: bool) -> None:
        print(json.dumps({"running": now}), flush=True)

    if sys.platform != "win32":
        import uvloop

        result = uvloop.run(run_load(request, running))
    else:
        result = asyncio.run(run_load(request, running))
    body = asdict(result)
    for name in ("jitter", "late", "microphone_late"):
        body[name] = np.round(body[name], 3).tolist()
    print(json.dumps(body), flush=True)


def complete(url: str) -> str:
    """The address with its path, as ``LoadRequest`` wants it."""
    return session_url(url)


if __name__ == "__main__":
    main()
