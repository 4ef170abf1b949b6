"""The microphone and the loudspeaker of this machine, with echo cancellation between them.

PortAudio calls back every 10 ms on a thread of its own: what is heard and what is said pass
through there together, so that the echo canceller sees both on one clock.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from parley.audio.frame import SAMPLE_RATE
from parley.errors import ConfigError, UnavailableError
from parley.hints import install

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import TracebackType

    from parley.client.session import SessionClient
    from parley.transports.binary import AgentAudio

BLOCK = SAMPLE_RATE // 100
"""Samples of one callback: 10 ms, which is also what the echo canceller takes."""
SILENT_FOR = 4.0
"""Seconds of digital silence from the start after which a microphone is switched off, or not the one spoken into."""
_MAX_WAITING = 50
"""Microphone blocks kept when the network stalls: half a second, then the oldest go."""


class Loudspeaker:
    """A ``Listener`` that is really heard; ``fill`` is called from the sound card's thread."""

    def __init__(self) -> None:
        self.latency = 0.0
        """Seconds between handing a sample to the card and hearing it."""
        self._lock = threading.Lock()
        self._queue: deque[AgentAudio] = deque()
        self._offset = 0
        self._paused = False
        self._cleared = 0
        self._number = 0
        self._sample = 0
        self._played = 0

    @property
    def paused(self) -> bool:
        return self._paused

    def push(self, frame: AgentAudio, now: float) -> None:
        with self._lock:
            if frame.number > self._cleared:
                self._queue.append(frame)

    def pause(self, now: float) -> int:
        with self._lock:
            self._paused = True
            return self._reached()

    def resume(self, now: float) -> None:
        with self._lock:
            self._paused = False

    def clear(self, now: float, number: int = 0) -> int:
        with self._lock:
            last = self._queue[-1].number if self._queue else self._number
            self._cleared = max(self._cleared, number or last)
            self._queue = deque(frame for frame in self._queue if frame.number > self._cleared)
            self._offset = 0
            self._paused = False
            return self._reached()

    def position(self, now: float) -> tuple[int, int]:
        with self._lock:
            return self._number, self._reached()

    def silent(self, now: float) -> bool:
        with self._lock:
            return self._paused or not self._queue

    def fill(self, count: int) -> bytes:
        """The next ``count`` samples to be heard; silence where there is nothing to say."""
        parts: list[bytes] = []
        wanted = 2 * count
        with self._lock:
            while wanted and self._queue and not self._paused:
                frame = self._queue[0]
                if frame.number != self._number:
                    self._number, self._played = frame.number, 0
                part = frame.pcm[self._offset : self._offset + wanted]
                parts.append(part)
                wanted -= len(part)
                self._offset += len(part)
                self._played += len(part) // 2
                self._sample = frame.start_sample + self._offset // 2
                if self._offset >= len(frame.pcm):
                    self._queue.popleft()
                    self._offset = 0
        return b"".join(parts) + bytes(wanted)

    def _reached(self) -> int:
        """The sample at the ear: what the card still holds has not been heard."""
        return max(0, self._sample - min(self._played, int(self.latency * SAMPLE_RATE)))


class SoundDevice:
    """Both directions of the sound card; use as a context manager, then ``run`` to send."""

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        *,
        echo_cancellation: bool = True,
        instead: str = "--text or --wav",
        microphone: str = "",
        loudspeaker: str = "",
    ) -> None:
        """``instead``: what a command does without one. Raises ConfigError where something is not installed.

        ``microphone``, ``loudspeaker``: a name, a part of one, or a number of ``list_devices``; empty for the usual.
        """
        self.speaker = Loudspeaker()
        self._sound = _import_sounddevice(instead)
        self._echo = _EchoCanceller() if echo_cancellation else None
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque(maxlen=_MAX_WAITING)
        self._arrived = asyncio.Event()
        self._stream: Any = None
        self._chosen = (_choice(microphone), _choice(loudspeaker))
        self._silent_blocks = 0
        self._heard = False

    def __enter__(self) -> Self:
        try:
            self._stream = self._sound.RawStream(
                samplerate=SAMPLE_RATE,
                blocksize=BLOCK,
                channels=1,
                dtype="int16",
                latency="low",
                device=self._chosen,
                callback=self._callback,
            )
            self._stream.start()
        except self._sound.PortAudioError as error:
            raise ConfigError(f"The microphone or the loudspeaker cannot be opened ({error}).") from error
        except ValueError as error:  # none is called so
            raise ConfigError(f"{error}; `parley chat --devices` lists those there are.") from error
        self.speaker.latency = float(self._stream.latency[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()

    async def blocks(self) -> AsyncGenerator[bytes]:
        """What the microphone gives, 10 ms at a time, for as long as the caller wants it; ``run`` sends the rest."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                yield self._waiting.popleft()

    async def run(self, client: SessionClient, *, silent: Callable[[], None] = lambda: None) -> None:
        """Send the microphone, block by block, until cancelled or the server has gone.

        ``silent`` is called once where it has given nothing but zeros since it was opened.
        """
        told = False
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if not told and not self._heard and self._silent_blocks * BLOCK >= SILENT_FOR * SAMPLE_RATE:
                told = True
                silent()
            while self._waiting:
                try:
                    await client.send_microphone(self._waiting.popleft())
                except UnavailableError:
                    return

    def _callback(self, said: Any, heard: Any, count: int, times: Any, status: Any) -> None:
        audio = self.speaker.fill(count)
        heard[:] = audio
        pcm = bytes(said)
        if not self._heard:
            self._heard = pcm.count(0) < len(pcm)
            self._silent_blocks += 1
        if self._echo is not None:
            pcm = self._echo.clean(pcm, audio, self.speaker.latency)
        self._waiting.append(pcm)
        self._loop.call_soon_threadsafe(self._arrived.set)


def list_devices(instead: str = "--text or --wav") -> list[str]:
    """A line for each microphone and loudspeaker, with the number and the name by which it can be chosen.

    Raises ConfigError where PortAudio is missing, or knows of none.
    """
    sound = _import_sounddevice(instead)
    usual = tuple(sound.default.device)
    lines = [
        f"{number}: {device['name']} ({', '.join(_directions(device))})" + (" (usual)" if number in usual else "")
        for number, device in enumerate(sound.query_devices())
        if _directions(device)
    ]
    if not lines:
        raise ConfigError(f"This machine has neither microphone nor loudspeaker that PortAudio can see; use {instead}.")
    return lines


def _directions(device: Any) -> list[str]:
    counts = {"microphone": device["max_input_channels"], "loudspeaker": device["max_output_channels"]}
    return [name for name, count in counts.items() if count]


def _choice(name: str) -> int | str | None:
    return int(name) if name.isdecimal() else name or None


class _EchoCanceller:
    """The WebRTC audio processing module: removes what the loudspeaker says from the microphone."""

    def __init__(self) -> None:
        try:
            from livekit import rtc
        except ImportError as error:
            raise ConfigError(
                f"Echo cancellation needs an extra package; run `{install('mic')}`, "
                "or wear headphones and say --no-echo-cancellation."
            ) from error
        self._frame = rtc.AudioFrame
        self._module = rtc.AudioProcessingModule(
            echo_cancellation=True, noise_suppression=True, high_pass_filter=True, auto_gain_control=False
        )

    def clean(self, said: bytes, heard: bytes, latency: float) -> bytes:
        """Both are 10 ms; returns what the person said."""
        samples = len(said) // 2
        self._module.process_reverse_stream(self._frame(heard, SAMPLE_RATE, 1, samples))
        self._module.set_stream_delay_ms(round(2000 * latency))
        frame = self._frame(bytearray(said), SAMPLE_RATE, 1, samples)
        self._module.process_stream(frame)
        return bytes(frame.data)


def _import_sounddevice(instead: str) -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise ConfigError(
            f"The microphone needs an extra package; run `{install('mic')}`, or use {instead}."
        ) from error
    except OSError as error:
        raise ConfigError(
            "PortAudio is not installed, so there is neither microphone nor loudspeaker; "
            f"install it (Debian: `apt install libportaudio2`), or use {instead}."
        ) from error
    return sounddevice
