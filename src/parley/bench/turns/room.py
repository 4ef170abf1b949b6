"""A simulated room: the participant's ear and microphone as one transport, in virtual time.

The ear plays what is sent, sample after sample. The microphone hears the room's noise, the case's sounds
at their times and, where the case has an echo, what the ear's loudspeaker plays, through the room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import numpy as np
from numpy.typing import NDArray

from parley import clock
from parley.audio import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame
from parley.bench.turns.corpus import Case, room_noise, room_response
from parley.messages import ClientMessage, ServerMessage, TextInput
from parley.values import PlayoutPosition

TICK = FRAME_SAMPLES / SAMPLE_RATE


class Room:
    """A Transport. Iterates for ``seconds`` of the session's time; asks for a story first where the case needs one."""

    kind = "bench"
    input_rate = SAMPLE_RATE

    def __init__(self, case: Case, seconds: float, tell: Callable[[ServerMessage], None]) -> None:
        self._case = case
        self._ticks = round(seconds / TICK)
        self._tell = tell
        self._noise = room_noise(case, self._ticks * FRAME_SAMPLES).astype(np.float32)
        self._sounds: NDArray[np.float32] | None = None if case.agent_speaks else self._placed(0.0)
        self._echo = None if case.echo_db is None else room_response(case.seed) * 10 ** (case.echo_db / 20)
        self._queue: deque[tuple[str, int, NDArray[np.int16]]] = deque()
        self._played = np.zeros((self._ticks + 2) * FRAME_SAMPLES, np.float32)
        self._paused = False
        self._tick_at = 0.0
        self._tick_index = 0
        self._position = PlayoutPosition("", 0, exact=True)
        self.first_sound: float | None = None
        """When the agent's first sample was heard, on the loop's clock."""
        self.silences: list[tuple[float, float | None]] = []
        """Each time the reply was held: from when, until when (None: for good)."""
        self.starts: list[tuple[float, str]] = []
        """When each utterance's first sample was heard."""

        self.sounds_from: float | None = None
        """Loop time from which the times of the case's sounds count; None while the agent has not begun."""
        self.over = False
        """True once the participant has left: what ends after that was not lost."""

    def _placed(self, origin: float) -> NDArray[np.float32]:
        track = np.zeros(self._ticks * FRAME_SAMPLES, np.float32)
        for sound in self._case.sounds:
            start = round((origin + sound.begin) * SAMPLE_RATE)
            end = min(len(track), start + len(sound.samples))
            track[start:end] += sound.samples[: max(0, end - start)]
        return track

    # --- the microphone ------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[AudioFrame | ClientMessage]:
        origin = clock.now()
        if not self._case.agent_speaks:
            self.sounds_from = origin
        else:
            yield TextInput("tell me a long story")
        for index in range(self._ticks):
            self._tick_index, self._tick_at = index, origin + index * TICK
            await asyncio.sleep(max(0.0, self._tick_at - clock.now()))
            self._play(0, FRAME_SAMPLES)
            await asyncio.sleep(max(0.0, self._tick_at + TICK - clock.now()))
            if self._sounds is None and self.first_sound is not None:
                self.sounds_from = self.first_sound
                self._sounds = self._placed(self.first_sound - origin)
            yield AudioFrame(self._heard(index), sequence=index, start_sample=index * FRAME_SAMPLES)
        self.over = True

    def _heard(self, index: int) -> bytes:
        start, end = index * FRAME_SAMPLES, (index + 1) * FRAME_SAMPLES
        sound = self._noise[start:end].copy()
        if self._sounds is not None:
            sound += self._sounds[start:end]
        if self._echo is not None:
            past = self._played[max(0, end - FRAME_SAMPLES - len(self._echo)) : end]
            sound += np.convolve(past, self._echo)[: len(past)][-FRAME_SAMPLES:].astype(np.float32)
        return np.clip(sound, -32768, 32767).astype("<i2").tobytes()

    # --- the ear -------------------------------------------------------------------------

    def _play(self, low: int, high: int) -> None:
        """Take the samples ``low`` to ``high`` of the current tick from the queue."""
        base = self._tick_index * FRAME_SAMPLES
        while low < high and self._queue and not self._paused:
            utterance, start, samples = self._queue.popleft()
            taken = samples[: high - low]
            self._played[base + low : base + low + len(taken)] = taken
            if start == 0 and len(taken):
                at = self._tick_at + low / SAMPLE_RATE
                self.starts.append((at, utterance))
                self.first_sound = at if self.first_sound is None else self.first_sound
            self._position = PlayoutPosition(utterance, start + len(taken), exact=True)
            if len(taken) < len(samples):
                self._queue.appendleft((utterance, start + len(taken), samples[len(taken) :]))
            low += len(taken)

    def _unplay(self) -> None:
        """Give back what of the current tick has not sounded yet."""
        base = self._tick_index * FRAME_SAMPLES
        cut = min(FRAME_SAMPLES, max(0, round((clock.now() - self._tick_at) * SAMPLE_RATE)))
        rest = self._played[base + cut : base + FRAME_SAMPLES]
        utterance, sample = self._position.utterance_id, self._position.sample
        count = min(len(np.trim_zeros(rest, "b")), sample)
        if count:
            self._queue.appendleft((utterance, sample - count, rest[:count].astype(np.int16)))
            self._position = PlayoutPosition(utterance, sample - count, exact=True)
        self._played[base + cut : base + FRAME_SAMPLES] = 0

    async def send_audio(self, frame: AudioFrame) -> None:
        samples = np.frombuffer(frame.pcm, np.int16)
        idle = not self._queue and not self._paused
        self._queue.append((frame.utterance_id, frame.start_sample, samples))
        if idle and self._position.utterance_id != frame.utterance_id:
            # A new reply sounds at once, not at the next tick.
            self._play(min(FRAME_SAMPLES, round((clock.now() - self._tick_at) * SAMPLE_RATE)), FRAME_SAMPLES)

    async def pause_audio(self) -> PlayoutPosition:
        self._unplay()
        self._paused = True
        self.silences.append((clock.now(), None))
        return self._position

    async def resume_audio(self) -> None:
        self._paused = False
        if self.silences:
            self.silences[-1] = (self.silences[-1][0], clock.now())

    async def clear_audio(self) -> PlayoutPosition:
        if not self._paused and not self.over:
            self._unplay()
            self.silences.append((clock.now(), None))
        self._queue.clear()
        self._paused = False
        return self._position

    async def send_message(self, message: ServerMessage) -> None:
        if not self.over:
            self._tell(message)

    async def aclose(self) -> None:
        self._queue.clear()
