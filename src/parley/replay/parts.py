"""The seams of a session, played from a recording.

Each part gives what its original gave, when it gave it. With other settings the engine may ask earlier,
later, or for something that was never recorded; then answers move with the question, and where there is
none, there is silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parley import errors
from parley.audio import AudioFrame, WordMark
from parley.interfaces import Synthesis
from parley.messages import ClientMessage, ServerMessage
from parley.recording.format import Entry, Recording
from parley.testing.frames_synthesis import FramesSynthesis
from parley.transports.codec import decode_client
from parley.values import (
    ChangeVoice,
    ChatMessage,
    Deadlines,
    NothingToSay,
    PlayoutPosition,
    ReplyOptions,
    ReplyPart,
    Thinking,
    ToolCall,
    ToolInfo,
    Transcript,
    TranscriptWord,
    Usage,
    Voice,
    Wording,
)

MOVED = 0.05
"""Seconds by which a question may come off its recorded time before its answer moves with it."""


class Timeline:
    """Recorded times on the running loop's clock. Create it when the session begins."""

    def __init__(self) -> None:
        self._origin = asyncio.get_running_loop().time()

    def now(self) -> float:
        """Seconds since the session began."""
        return asyncio.get_running_loop().time() - self._origin

    def shift(self, recorded: int) -> float:
        """How far to move the answer to a question that was asked at ``recorded`` µs and is asked again now."""
        moved = self.now() - recorded / 1e6
        return moved if abs(moved) > MOVED else 0.0

    async def until(self, recorded: int, shift: float = 0.0) -> None:
        """Wait for a recorded time; at once when it has passed."""
        await asyncio.sleep(max(0.0, recorded / 1e6 + shift - self.now()))


class ReplayTransport:
    """The participant's side, as recorded."""

    kind = "replay"

    def __init__(self, recording: Recording, timeline: Timeline) -> None:
        self.input_rate = int(recording.header["input_rate"])
        self._timeline = timeline
        self._inputs = list(_inputs(recording))
        self._positions = [entry.data for entry in recording.of("position")]
        self._sent = PlayoutPosition("", 0)
        self.messages: list[ServerMessage] = []
        """What the engine told the participant."""

    async def __aiter__(self) -> AsyncIterator[AudioFrame | ClientMessage]:
        sequence = sample = 0
        for entry, pcm in self._inputs:
            await self._timeline.until(entry.at)
            if entry.kind == "mic":
                frame = AudioFrame(pcm, entry.data["rate"], sequence=sequence, start_sample=sample)
                sequence, sample = sequence + 1, frame.end_sample
                yield frame
            elif entry.kind == "message":
                yield decode_client(entry.data["wire"])

    async def send_audio(self, frame: AudioFrame) -> None:
        self._sent = PlayoutPosition(frame.utterance_id, frame.end_sample)

    async def pause_audio(self) -> PlayoutPosition:
        return self._position("pause")

    async def resume_audio(self) -> None:
        pass

    async def clear_audio(self) -> PlayoutPosition:
        return self._position("clear")

    def _position(self, call: str) -> PlayoutPosition:
        """The recorded answer to this call for this utterance; else what the send clock knows."""
        for index, data in enumerate(self._positions):
            if data["call"] == call and data["utterance_id"] == self._sent.utterance_id:
                del self._positions[index]
                return PlayoutPosition(data["utterance_id"], data["sample"], data["exact"])
        return self._sent

    async def send_message(self, message: ServerMessage) -> None:
        self.messages.append(message)

    async def aclose(self) -> None:
        pass


def _inputs(recording: Recording) -> Iterator[tuple[Entry, bytes]]:
    sounds = recording.pcm("mic")
    for entry in recording.of("mic", "message", "left"):
        yield next(sounds) if entry.kind == "mic" else (entry, b"")


@dataclass(slots=True)
class _Call:
    """One recorded question with its answers."""

    at: int
    answers: list[Entry] = field(default_factory=list)


def _calls(recording: Recording, name: str, *answers: str) -> list[_Call]:
    calls = [_Call(entry.at) for entry in recording.of("call") if entry.data["name"] == name]
    for entry in recording.of(*answers):
        calls[entry.data["call"]].answers.append(entry)
    return calls


class ReplayRecognizer:
    """What was understood, when it was understood."""

    def __init__(self, recording: Recording, timeline: Timeline) -> None:
        self._timeline = timeline
        self._calls = _calls(recording, "transcribe", "heard", "asr_error")

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        call = self._nearest()
        async with _drained(audio) as ended:
            for entry in call.answers if call else ():
                if entry.kind == "asr_error":
                    await self._timeline.until(entry.at)
                    raise _error(entry.data)
                transcript = _transcript(entry.data)
                if transcript.final:
                    await ended
                await self._timeline.until(entry.at)
                yield transcript
                if transcript.final:
                    return
            await ended
            yield Transcript("", final=True)

    def _nearest(self) -> _Call | None:
        """The recorded turn that was being listened to at this time, if any."""
        now = round(self._timeline.now() * 1e6)
        near = [call for call in self._calls if call.answers and call.at - 500_000 <= now <= call.answers[-1].at]
        return min(near, key=lambda call: abs(call.at - now), default=None)

    def for_session(self, hot_words: Sequence[str] = ()) -> ReplayRecognizer:
        """A recording has one session."""
        return self

    async def aclose(self) -> None:
        pass


class ReplayLanguageModel:
    """The recorded replies, in their order."""

    def __init__(self, recording: Recording, timeline: Timeline) -> None:
        self._timeline = timeline
        self._calls = _calls(recording, "reply", "delta", "llm_end")
        self._next = 0
        self.deadlines = Deadlines(**recording.header.get("deadlines", {}))

    async def reply(
        self,
        history: Sequence[ChatMessage],
        tools: Sequence[ToolInfo] = (),
        options: ReplyOptions = ReplyOptions(),  # noqa: B008  (frozen)
    ) -> AsyncGenerator[ReplyPart, None]:
        if self._next >= len(self._calls):
            return
        call = self._calls[self._next]
        self._next += 1
        shift = self._timeline.shift(call.at)
        said = False
        for entry in call.answers:
            await self._timeline.until(entry.at, shift)
            said = said or "text" in entry.data
            if entry.data.get("closed") and not said:
                await asyncio.get_running_loop().create_future()  # it was given up: nobody knows what would have come
            if entry.kind == "delta":
                yield _reply_part(entry.data)
            elif "code" in entry.data:
                raise _error(entry.data)

    async def aclose(self) -> None:
        pass


def _reply_part(data: Mapping[str, Any]) -> ReplyPart:
    if "voice" in data:
        return ChangeVoice(Voice(**data["voice"]))
    if "nothing" in data:
        return NothingToSay()
    if "asks" in data:
        return ToolCall(**data["asks"])
    if "used" in data:
        return Usage(**data["used"])
    return Thinking() if "thinking" in data else str(data["text"])


class ReplayTools:
    """What the recorded calls of tools came to: nothing is done again. Calls are known by name and order."""

    def __init__(self, recording: Recording, timeline: Timeline) -> None:
        self._timeline = timeline
        self._offered = [ToolInfo(**tool) for entry in recording.of("tools") for tool in entry.data["offered"]]
        self._calls: dict[str, list[_Call]] = {}
        named = [entry.data["tool"] for entry in recording.of("call") if entry.data["name"] == "tool"]
        for name, call in zip(named, _calls(recording, "tool", "tool_end"), strict=True):
            self._calls.setdefault(name, []).append(call)

    def offered(self) -> Sequence[ToolInfo]:
        return self._offered

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str) -> str:
        calls = self._calls.get(name) or []
        call = calls.pop(0) if calls else None
        if call is None or not call.answers or call.answers[-1].data.get("closed"):
            await asyncio.get_running_loop().create_future()  # nobody knows what would have come
        assert call is not None
        await self._timeline.until(call.answers[-1].at, self._timeline.shift(call.at))
        data = call.answers[-1].data
        if "code" in data:
            raise _error(data)
        return str(data["output"])

    async def aclose(self) -> None:
        pass


class ReplaySynthesizer:
    """The recorded voice: by the utterance's name, else in the recorded order."""

    def __init__(self, recording: Recording, timeline: Timeline) -> None:
        self._timeline = timeline
        self._utterances: dict[str, tuple[int, list[tuple[Entry, bytes]]]] = {}
        self._refused: dict[Voice, errors.ParleyError] = {}
        for entry in recording.of("call"):
            if entry.data["name"] == "synthesize":
                self._utterances[entry.data["utterance_id"]] = (entry.at, [])
            elif entry.data["name"] == "check":
                self._refused[Voice(**entry.data["voice"])] = _error(entry.data)
        sounds = recording.pcm("frame")
        for entry in recording.of("frame", "tts_end"):
            sound = next(sounds) if entry.kind == "frame" else (entry, b"")
            self._utterances[entry.data["utterance_id"]][1].append(sound)

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> Synthesis:
        name = utterance_id if utterance_id in self._utterances else next(iter(self._utterances), "")
        asked_at, sounds = self._utterances.pop(name, (0, []))
        return FramesSynthesis(_frames(text, sounds, utterance_id, asked_at, self._timeline))

    def check(self, voice: Voice) -> None:
        if voice in self._refused:
            raise self._refused[voice]

    async def aclose(self) -> None:
        pass


async def _frames(
    text: AsyncIterable[str],
    sounds: Sequence[tuple[Entry, bytes]],
    utterance_id: str,
    asked_at: int,
    timeline: Timeline,
) -> AsyncGenerator[AudioFrame, None]:
    shift = timeline.shift(asked_at)
    async with _drained(text):
        for entry, pcm in sounds:
            await timeline.until(entry.at, shift)
            if entry.kind == "tts_end":
                raise _error(entry.data)
            sequence = entry.data["sequence"]
            marks = tuple(WordMark(*mark) for mark in entry.data.get("marks", ()))
            yield AudioFrame(
                pcm,
                utterance_id=utterance_id,
                sequence=sequence,
                start_sample=sequence * (len(pcm) // 2),
                marks=marks,
                final=entry.data.get("final", False),
            )


class ReplayEchoGuard:
    """The microphone as it was after echo cancellation."""

    def __init__(self, recording: Recording) -> None:
        self._clean = (np.frombuffer(pcm, np.int16) for _, pcm in recording.pcm("clean"))
        self._likelihoods = (float(entry.data["value"]) for entry in recording.of("likelihood"))

    def played(self, frame: AudioFrame, at: float) -> None:
        pass

    def clean(self, samples: NDArray[np.int16], at: float) -> NDArray[np.int16]:
        return next(self._clean, samples)

    def likelihood(self) -> float:
        return next(self._likelihoods, 0.0)


class ReplayEndOfTurn:
    """The recorded judgements, in their order; undecided after the last."""

    def __init__(self, recording: Recording) -> None:
        self._values = (float(entry.data["value"]) for entry in recording.of("end_of_turn"))

    def probability(self, samples: NDArray[np.int16]) -> float:
        return next(self._values, 0.5)


class ReplayInterruption:
    """What was recorded of the interruption model, in its order; nothing after the last."""

    def __init__(self, recording: Recording) -> None:
        self._wishes = (entry.data["value"] for entry in recording.of("wish"))

    def begin(self) -> None:
        pass

    def end(self) -> None:
        pass

    def played(self, frame: AudioFrame, at: float) -> None:
        pass

    def hear(self, samples: NDArray[np.int16], now: float) -> None:
        pass

    def wish(self) -> float | None:
        return next(self._wishes, None)


@asynccontextmanager
async def _drained(stream: AsyncIterable[object]) -> AsyncIterator[asyncio.Task[None]]:
    """Take everything that is offered, as the original did; the task ends with the stream."""

    async def drain() -> None:
        async for _ in stream:
            pass

    task = asyncio.create_task(drain(), name="replay-drain")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _transcript(data: Mapping[str, Any]) -> Transcript:
    fields = {name: value for name, value in data.items() if name not in ("call", "words")}
    return Transcript(**fields, words=tuple(TranscriptWord(**word) for word in data["words"]))


def _error(data: Mapping[str, str]) -> errors.ParleyError:
    """The recorded failure, of the class that its code names."""
    return errors.from_code(data["code"], data["message"])
