"""Wraps the seams of one session and writes down what passes through them.

The engine does not know that it is recorded: it is given a transport, a recogniser, a language model
and a synthesizer that behave as the ones inside them. A thread does the writing, so that a slow disk
never delays a frame; when the disk cannot keep up, the recording ends and says so, the session goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import structlog
from numpy.typing import NDArray

from parley import __version__
from parley.audio import AudioFrame
from parley.errors import ParleyError
from parley.interfaces import (
    EchoGuard,
    EndOfTurnModel,
    InterruptionModel,
    LanguageModel,
    Recognizer,
    Synthesis,
    Synthesizer,
    Tools,
    Transport,
)
from parley.messages import ClientMessage, ServerMessage, SessionStarted
from parley.orders import Order
from parley.recording.format import CLEAN, EVENTS, FORMAT, MICROPHONE, VOICE, Entry
from parley.session.log import LogEntry, Observer
from parley.transports.codec import encode
from parley.values import (
    ChangeVoice,
    ChatMessage,
    NothingToSay,
    PlayoutPosition,
    ReplyOptions,
    ReplyPart,
    Thinking,
    ToolCall,
    ToolInfo,
    Transcript,
    Usage,
    Voice,
    Wording,
)

log = structlog.get_logger(__name__)

BACKLOG = 4_000_000
"""Bytes that may wait for the disk: about fifteen seconds of a lively session."""
_ENTRY = 400
"""Bytes that an entry holds in memory besides its text and its sound."""


class SessionRecorder:
    """Writes one session. Use as a context manager around the engine's run."""

    def __init__(self, folder: Path, *, session_id: str, input_rate: int, details: Mapping[str, Any]) -> None:
        self._folder = folder / session_id
        self._header = {
            "format": FORMAT,
            "parley": __version__,
            "session_id": session_id,
            "input_rate": input_rate,
            **details,
        }
        self._loop: asyncio.AbstractEventLoop | None = None
        self._origin = 0.0
        self._queue: queue.SimpleQueue[tuple[Entry, bytes] | None] = queue.SimpleQueue()
        self._backlog = _Backlog()
        self._writer: threading.Thread | None = None
        self._calls = {"asr": 0, "llm": 0, "tool": 0}
        self.complete = True
        """False once the disk failed or could not keep up, and the rest of the session was not written."""

    def __enter__(self) -> SessionRecorder:
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time()
        # No daemon: a server that stops waits for the last lines.
        self._writer = threading.Thread(target=self._write, name="recorder")
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(None)

    @property
    def backlog(self) -> int:
        """About how many bytes wait for the disk; at most ``BACKLOG``."""
        return self._backlog.bytes

    @property
    def writing(self) -> bool:
        """True until the last line is on disk."""
        return self._writer is not None and self._writer.is_alive()

    def join(self) -> None:
        """Wait until everything is on disk; blocks. Call after the context has ended."""
        if self._writer is not None:
            self._writer.join()

    def note(self, kind: str, data: Mapping[str, Any], pcm: bytes = b"") -> None:
        """Write down that something happened now. Never blocks; may be called from any thread."""
        if self._loop is None or not self.complete:
            return
        # Not clock.now(): a turn model is asked in a thread, which has no loop of its own.
        entry = Entry(round((self._loop.time() - self._origin) * 1e6), kind, data)
        if self._backlog.add(_weight(entry, pcm)):
            self._queue.put((entry, pcm))
        else:
            self._break_off("the disk cannot keep up")

    def call(self, kind: str) -> int:
        """Number the calls of the recogniser, of the language model and of tools: 0, 1, 2 ..."""
        self._calls[kind] += 1
        return self._calls[kind] - 1

    def _break_off(self, reason: str) -> None:
        """The session goes on without its recording."""
        if self.complete:
            self.complete = False
            log.error("recording broke off, the conversation goes on", folder=str(self._folder), reason=reason)

    def _write(self) -> None:
        try:
            self._write_files()
        except OSError as error:  # the disk is full, read-only or gone
            self._break_off(error.strerror or str(error))

    def _write_files(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.ExitStack() as files:
            events: IO[str] = files.enter_context(
                # half a surrogate pair becomes the escape that JSON has for it
                (self._folder / EVENTS).open("w", encoding="utf-8", errors="backslashreplace")
            )
            sounds = {
                "mic": files.enter_context((self._folder / MICROPHONE).open("wb")),
                "frame": files.enter_context((self._folder / VOICE).open("wb")),
                "clean": files.enter_context((self._folder / CLEAN).open("wb")),
            }
            events.write(json.dumps(self._header, ensure_ascii=False) + "\n")
            while (item := self._queue.get()) is not None:
                entry, pcm = item
                events.write(entry.line() + "\n")
                if pcm:
                    sounds[entry.kind].write(pcm)
                self._backlog.remove(_weight(entry, pcm))
            if not self.complete:
                events.write(Entry(0, "incomplete").line() + "\n")

    # --- the seams -----------------------------------------------------------------------

    def transport(self, inner: Transport) -> Transport:
        """The transport, recorded."""
        return _RecordedTransport(inner, self)

    def recognizer(self, inner: Recognizer) -> Recognizer:
        """The recogniser, recorded."""
        return _RecordedRecognizer(inner, self)

    def language_model(self, inner: LanguageModel) -> LanguageModel:
        """The language model, recorded."""
        return _RecordedLanguageModel(inner, self)

    def tools(self, inner: Tools) -> Tools:
        """The tools, recorded."""
        return _RecordedTools(inner, self)

    def synthesizer(self, inner: Synthesizer) -> Synthesizer:
        """The synthesizer, recorded."""
        return _RecordedSynthesizer(inner, self)

    def echo(self, inner: EchoGuard) -> EchoGuard:
        """The echo guard, recorded."""
        return _RecordedEchoGuard(inner, self)

    def end_of_turn(self, inner: EndOfTurnModel) -> EndOfTurnModel:
        """The turn model, recorded."""
        return _RecordedEndOfTurn(inner, self)

    def interruption(self, inner: InterruptionModel) -> InterruptionModel:
        """The interruption model, recorded."""
        return _RecordedInterruption(inner, self)

    def observer(self, inner: Observer) -> Observer:
        """The observer, which also writes down what the session decided."""
        return _RecordingObserver(inner, self)


class _Backlog:
    """How many bytes wait for the disk; counted from several threads."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> bool:
        """False when there is no room for so much."""
        with self._lock:
            if self.bytes + size > BACKLOG:
                return False
            self.bytes += size
            return True

    def remove(self, size: int) -> None:
        with self._lock:
            self.bytes -= size


def _weight(entry: Entry, pcm: bytes) -> int:
    """About how many bytes an entry holds in memory."""
    return _ENTRY + len(pcm) + sum(len(value) for value in entry.data.values() if isinstance(value, str))


class _RecordedTransport:
    def __init__(self, inner: Transport, recorder: SessionRecorder) -> None:
        self._inner, self._recorder = inner, recorder
        self.kind, self.input_rate = inner.kind, inner.input_rate

    async def __aiter__(self) -> AsyncIterator[AudioFrame | ClientMessage | Order]:
        async for item in self._inner:
            if isinstance(item, AudioFrame):
                self._recorder.note("mic", {"bytes": len(item.pcm), "rate": item.sample_rate}, item.pcm)
            elif isinstance(item, Order):  # not on the wire: only that there was one, and of what kind
                self._recorder.note("order", {"kind": type(item).__name__})
            else:
                self._recorder.note("message", {"wire": encode(item)})
            yield item
        self._recorder.note("left", {})

    async def send_audio(self, frame: AudioFrame) -> None:
        await self._inner.send_audio(frame)

    async def pause_audio(self) -> PlayoutPosition:
        return self._position("pause", await self._inner.pause_audio())

    async def resume_audio(self) -> None:
        self._recorder.note("call", {"name": "resume"})
        await self._inner.resume_audio()

    async def clear_audio(self) -> PlayoutPosition:
        return self._position("clear", await self._inner.clear_audio())

    def _position(self, call: str, position: PlayoutPosition) -> PlayoutPosition:
        self._recorder.note("position", {"call": call, **asdict(position)})
        return position

    async def send_message(self, message: ServerMessage) -> None:
        if isinstance(message, SessionStarted):
            message = replace(message, recorded=self._recorder.complete)
        self._recorder.note("sent", {"wire": encode(message)})
        await self._inner.send_message(message)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _RecordedRecognizer:
    def __init__(self, inner: Recognizer, recorder: SessionRecorder) -> None:
        self._inner, self._recorder = inner, recorder

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        call = self._recorder.call("asr")
        self._recorder.note("call", {"name": "transcribe", "call": call})
        try:
            async with aclosing(self._inner.transcribe(audio, language=language)) as transcripts:
                async for transcript in transcripts:
                    self._recorder.note("heard", {"call": call, **asdict(transcript)})
                    yield transcript
        except ParleyError as error:
            self._recorder.note("asr_error", {"call": call, "code": error.code, "message": error.message})
            raise

    def for_session(self, hot_words: Sequence[str] = ()) -> _RecordedRecognizer:
        return _RecordedRecognizer(self._inner.for_session(hot_words), self._recorder)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _RecordedLanguageModel:
    def __init__(self, inner: LanguageModel, recorder: SessionRecorder) -> None:
        self._inner, self._recorder = inner, recorder
        self.deadlines = inner.deadlines

    async def reply(
        self,
        history: Sequence[ChatMessage],
        tools: Sequence[ToolInfo] = (),
        options: ReplyOptions = ReplyOptions(),  # noqa: B008  (frozen)
    ) -> AsyncGenerator[ReplyPart, None]:
        call = self._recorder.call("llm")
        self._recorder.note("call", {"name": "reply", "call": call})
        end: Mapping[str, Any] = {"closed": True}
        try:
            more = () if options == ReplyOptions() else (options,)
            async with aclosing(self._inner.reply(history, tools, *more)) as parts:
                async for part in parts:
                    self._recorder.note("delta", {"call": call, **_part(part)})
                    yield part
            end = {}
        except ParleyError as caught:
            end = _failure(caught)
            raise
        finally:
            self._recorder.note("llm_end", {"call": call, **end})

    async def aclose(self) -> None:
        await self._inner.aclose()


class _RecordedTools:
    def __init__(self, inner: Tools, recorder: SessionRecorder) -> None:
        self._inner, self._recorder = inner, recorder
        self._recorder.note("tools", {"offered": [asdict(tool) for tool in inner.offered()]})

    def offered(self) -> Sequence[ToolInfo]:
        return self._inner.offered()

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str) -> str:
        call = self._recorder.call("tool")
        self._recorder.note("call", {"name": "tool", "call": call, "tool": name, "arguments": arguments})
        end: Mapping[str, Any] = {"closed": True}
        try:
            output = await self._inner.call(name, arguments, key=key)
            end = {"output": output}
        except ParleyError as error:
            end = _failure(error)
            raise
        finally:
            self._recorder.note("tool_end", {"call": call, **end})
        return output

    async def aclose(self) -> None:
        await self._inner.aclose()


class _RecordedSynthesizer:
    def __init__(self, inner: Synthesizer, recorder: SessionRecorder) -> None:
        self._inner, self._recorder = inner, recorder

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> Synthesis:
        self._recorder.note("call", {"name": "synthesize", "utterance_id": utterance_id, "voice": asdict(voice)})
        synthesis = self._inner.synthesize(
            text, voice=voice, session_id=session_id, utterance_id=utterance_id, wording=wording
        )
        return _RecordedSynthesis(synthesis, utterance_id, self._recorder)

    def check(self, voice: Voice) -> None:
        try:
            self._inner.check(voice)
        except ParleyError as error:
            self._recorder.note("call", {"name": "check", "voice": asdict(voice), **_failure(error)})
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()


class _RecordedSynthesis:
    def __init__(self, inner: Synthesis, utterance_id: str, recorder: SessionRecorder) -> None:
        self._inner, self._utterance_id, self._recorder = inner, utterance_id, recorder

    @property
    def opened(self) -> bool:
        return self._inner.opened

    def __aiter__(self) -> AsyncIterator[AudioFrame]:
        return self

    async def __anext__(self) -> AudioFrame:
        try:
            frame = await self._inner.__anext__()
        except ParleyError as error:
            self._recorder.note("tts_end", {"utterance_id": self._utterance_id, **_failure(error)})
            raise
        self._recorder.note("frame", _frame(frame), frame.pcm)
        return frame

    async def pause(self) -> int:
        return await self._inner.pause()

    async def resume(self) -> None:
        await self._inner.resume()

    async def aclose(self) -> None:
        await self._inner.aclose()


class _RecordedEchoGuard:
    def __init__(self, inner: EchoGuard, recorder: SessionRecorder) -> None:
        self._inner, self._recorder = inner, recorder

    def played(self, frame: AudioFrame, at: float) -> None:
        self._inner.played(frame, at)

    def clean(self, samples: NDArray[np.int16], at: float) -> NDArray[np.int16]:
        cleaned = self._inner.clean(samples, at)
        self._recorder.note("clean", {"bytes": 2 * len(cleaned)}, cleaned.tobytes())
        return cleaned

    def likelihood(self) -> float:
        likelihood = self._inner.likelihood()
        self._recorder.note("likelihood", {"value": likelihood})
        return likelihood


class _RecordedEndOfTurn:
    def __init__(self, inner: EndOfTurnModel, recorder: SessionRecorder) -> None:
        self._inner, self._recorder = inner, recorder

    def probability(self, samples: NDArray[np.int16]) -> float:
        probability = self._inner.probability(samples)
        self._recorder.note("end_of_turn", {"value": probability})
        return probability


class _RecordedInterruption:
    def __init__(self, inner: InterruptionModel, recorder: SessionRecorder) -> None:
        self._inner, self._recorder = inner, recorder

    def begin(self) -> None:
        self._inner.begin()

    def end(self) -> None:
        self._inner.end()

    def played(self, frame: AudioFrame, at: float) -> None:
        self._inner.played(frame, at)

    def hear(self, samples: NDArray[np.int16], now: float) -> None:
        self._inner.hear(samples, now)

    def wish(self) -> float | None:
        wish = self._inner.wish()
        self._recorder.note("wish", {"value": wish})
        return wish


class _RecordingObserver:
    def __init__(self, inner: Observer, recorder: SessionRecorder) -> None:
        self._inner, self._recorder = inner, recorder

    def logged(self, entry: LogEntry) -> None:
        self._recorder.note("log", {"entry": type(entry).__name__, **asdict(entry)})
        self._inner.logged(entry)

    def frame_sent(self, lateness: float) -> None:
        self._inner.frame_sent(lateness)


def _frame(frame: AudioFrame) -> dict[str, Any]:
    data: dict[str, Any] = {"utterance_id": frame.utterance_id, "sequence": frame.sequence, "bytes": len(frame.pcm)}
    if frame.marks:
        data["marks"] = [[m.text_start, m.text_end, m.start_sample, m.end_sample] for m in frame.marks]
    if frame.final:
        data["final"] = True
    return data


def _part(part: ReplyPart) -> dict[str, Any]:
    match part:
        case ChangeVoice():
            return {"voice": asdict(part.voice)}
        case Thinking():
            return {"thinking": True}
        case NothingToSay():
            return {"nothing": True}
        case ToolCall():
            return {"asks": asdict(part)}
        case Usage():
            return {"used": asdict(part)}
    return {"text": part}


def _failure(error: ParleyError | None) -> dict[str, str]:
    return {} if error is None else {"code": error.code, "message": error.message}
