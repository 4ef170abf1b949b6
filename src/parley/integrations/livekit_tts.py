"""Parley's voices in LiveKit Agents: ``AgentSession(tts=livekit_tts.TTS("localhost:50051"), ...)``.

Text goes to a Parley worker clause by clause as the language model writes it, audio comes back
as it is made, and with it the place of each word. When the agent is interrupted the stream is
closed, which ends the synthesis on the worker at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from parley.audio.frame import SAMPLE_RATE
from parley.errors import ConfigError, ParleyError
from parley.hints import install
from parley.integrations.livekit_errors import translated
from parley.rpc.client import GrpcSynthesizer, WorkerAccess
from parley.text.sentences import Sentences
from parley.text.timed_words import TimedWord, TimedWords
from parley.values import Voice, Wording

if TYPE_CHECKING:
    from parley.interfaces import Synthesizer

try:
    from livekit.agents import tts
    from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, TimedString
except ImportError as error:  # pragma: no cover
    raise ConfigError(f"LiveKit Agents is missing; install it with: {install('livekit')}.") from error

_FRAME_MS = 20
_FIRST_CLAUSE = 12
"""Characters after which the first clause may end at a comma, so that the voice starts early."""


class TTS(tts.TTS[Any]):
    """One Parley worker as LiveKit Agents see a voice.

    ``address`` is the worker's host:port; model, speaker, language and speed are those of
    ``parley models list``, empty for the worker's defaults; ``normalize`` and ``lexicon`` say how text becomes words
    (``parley.values.Wording``). ``synthesizer`` replaces the connection
    (a routed pool, a fake). Nothing connects before the first use.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:50051",
        *,
        model: str = "",
        speaker: str = "",
        language: str = "",
        speed: float = 1.0,
        normalize: bool | None = None,
        lexicon: str = "",
        access: WorkerAccess | None = None,
        synthesizer: Synthesizer | None = None,
    ) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True, aligned_transcript=True),
            sample_rate=SAMPLE_RATE,
            num_channels=1,
        )
        self._address = address
        self._access = access or WorkerAccess()
        self._wording = Wording(normalize, lexicon)
        self._voice = Voice(model=model, speaker=speaker, language=language, speed=speed)
        self._given = synthesizer
        self._synthesizer = synthesizer
        self._session_id = f"livekit-{uuid.uuid4().hex[:8]}"
        self._warming: asyncio.Task[None] | None = None

    @property
    def model(self) -> str:
        return self._voice.model or "default"

    @property
    def provider(self) -> str:
        return "parley"

    def update_options(
        self,
        *,
        model: str | None = None,
        speaker: str | None = None,
        language: str | None = None,
        speed: float | None = None,
    ) -> None:
        """Change the voice from the next utterance on."""
        given = {"model": model, "speaker": speaker, "language": language, "speed": speed}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        self._voice = dataclasses.replace(self._voice, **changes)

    def prewarm(self) -> None:
        """Connect, and have the model loaded, before the first word is needed."""
        synthesizer = self.connection()
        if isinstance(synthesizer, GrpcSynthesizer) and self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._warm(synthesizer))

    async def _warm(self, synthesizer: GrpcSynthesizer) -> None:
        try:
            await synthesizer.prepare(voice=self._voice, session_id=self._session_id)
        except ParleyError:
            return  # the first utterance meets the same error, and somebody is there to hear of it

    def connection(self) -> Synthesizer:
        """The connection to the worker, opened on first use."""
        if self._synthesizer is None:
            self._synthesizer = GrpcSynthesizer(self._address, self._access)
        return self._synthesizer

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> SynthesizeStream:
        return SynthesizeStream(self, conn_options)

    async def aclose(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        if self._synthesizer is not None and self._given is None:
            await self._synthesizer.aclose()
            self._synthesizer = None

    @property
    def text_language(self) -> str:
        """The language (BCP 47) of its text, as far as the voice says."""
        return self._voice.language

    def _speak(self, pieces: AsyncIterator[str], utterance_id: str) -> Any:
        return self.connection().synthesize(
            pieces,
            voice=self._voice,
            session_id=self._session_id,
            utterance_id=utterance_id,
            wording=self._wording,
        )


class SynthesizeStream(tts.SynthesizeStream):
    """One utterance of the agent: one stream to the worker, opened with the first text."""

    def __init__(self, owner: TTS, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=owner, conn_options=conn_options)
        self._owner = owner

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=uuid.uuid4().hex,
            sample_rate=SAMPLE_RATE,
            num_channels=1,
            mime_type="audio/pcm",
            frame_size_ms=_FRAME_MS,
            stream=True,
        )
        text = _text(self._input_ch, self._FlushSentinel)
        first = await anext(text, "")
        while first and not first.strip():
            first = await anext(text, "")
        if not first:
            return
        try:
            await self._speak(output_emitter, _with(first, text))
        except ParleyError as error:
            raise translated(error) from error

    async def _speak(self, emitter: tts.AudioEmitter, text: AsyncIterator[str]) -> None:
        utterance_id = uuid.uuid4().hex
        emitter.start_segment(segment_id=utterance_id)
        self._mark_started()
        words = TimedWords()
        synthesis = self._owner._speak(_noted(words, _sentences(text, self._owner.text_language)), utterance_id)
        async with aclosing(synthesis):
            async for frame in synthesis:
                for word in words.due(frame.marks):
                    emitter.push_timed_transcript(_timed(word))
                emitter.push(frame.pcm)
        for word in words.last():
            emitter.push_timed_transcript(_timed(word))
        emitter.end_segment()


async def _text(channel: Any, flush: type) -> AsyncIterator[str]:
    """What is to be said: everything up to the flush or the end."""
    async for item in channel:
        if isinstance(item, flush):
            return
        yield str(item)


async def _with(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for item in rest:
        yield item


async def _sentences(text: AsyncIterator[str], language: str) -> AsyncIterator[str]:
    """Deltas of any size to pieces that can be spoken, with their spaces."""
    splitter = Sentences(language, first_clause=_FIRST_CLAUSE)
    async for delta in text:
        for piece in splitter.add(delta):
            yield piece
    for piece in splitter.finish():
        yield piece


async def _noted(words: TimedWords, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Pass the pieces on, and remember the text that marks count in."""
    async for piece in pieces:
        words.add(piece)
        yield piece


def _timed(word: TimedWord) -> TimedString:
    start, end = word.start_sample / SAMPLE_RATE, word.end_sample / SAMPLE_RATE
    return TimedString(word.text, start_time=start, end_time=end)
