"""Parley's ears in LiveKit Agents: ``AgentSession(stt=livekit_stt.STT("http://localhost:8080"), ...)``.

Sound goes to a Parley server as it comes; words come back while somebody speaks, each utterance's last ones as soon
as it is over. The server finds where speech begins and ends.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import numpy as np

from parley.errors import ConfigError, ParleyError
from parley.hints import install
from parley.integrations.server import DEFAULT_URL, Heard, Hearing, Listening, Server, SpeechBegan

try:
    from livekit import rtc
    from livekit.agents import stt, utils
    from livekit.agents.language import LanguageCode
    from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions, NotGivenOr, TimedString
except ImportError as error:  # pragma: no cover
    raise ConfigError(f"LiveKit Agents is missing; install it with: {install('livekit')}.") from error

from parley.integrations.livekit_errors import translated

_RATE = 16_000
"""Hz: what recognisers hear; LiveKit brings every other rate there."""


class STT(stt.STT[Any]):
    """One Parley server as LiveKit Agents see ears.

    ``url`` and ``api_key`` are the server's; ``language`` is BCP 47, empty for the server's default. What somebody says
    is complete after ``silence`` seconds without a voice, or when LiveKit flushes. Nothing connects before the first
    use.
    """

    def __init__(self, url: str = DEFAULT_URL, *, api_key: str = "", language: str = "", silence: float = 0.5) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=True, aligned_transcript="word", manual_flush=True
            )
        )
        self._server = Server(url, api_key)
        self._language = language
        self._silence = silence

    @property
    def model(self) -> str:
        return "default"

    @property
    def provider(self) -> str:
        return "parley"

    def update_options(self, *, language: str | None = None, silence: float | None = None) -> None:
        """Listen so in the streams that begin from now on."""
        self._language = self._language if language is None else language
        self._silence = self._silence if silence is None else silence

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> RecognizeStream:
        return RecognizeStream(self, language, conn_options)

    async def _recognize_impl(
        self, buffer: utils.AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        whole = rtc.combine_audio_frames(buffer)
        try:
            async with self.listening(whole.sample_rate, language, conn_options) as ears:
                sending = asyncio.create_task(_send_all(ears, _mono(whole)))
                try:
                    finals = [heard async for heard in ears if isinstance(heard, Heard) and heard.final and heard.text]
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
        except ParleyError as error:
            raise translated(error) from error
        data = _joined(finals, self.language_of(language))
        return stt.SpeechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, uuid.uuid4().hex, [data])

    def listening(self, sample_rate: int, language: NotGivenOr[str], conn_options: APIConnectOptions) -> Listening:
        """A stream to the server."""
        return Listening(
            self._server,
            sample_rate=sample_rate,
            language=self.language_of(language),
            silence=self._silence,
            timeout=conn_options.timeout,
        )

    def language_of(self, asked: NotGivenOr[str]) -> str:
        """The one that is asked for, else ours."""
        return asked if isinstance(asked, str) else self._language


class RecognizeStream(stt.RecognizeStream):
    """One stream of sound; LiveKit begins it anew when the connection breaks."""

    def __init__(self, owner: STT, language: NotGivenOr[str], conn_options: APIConnectOptions) -> None:
        super().__init__(stt=owner, conn_options=conn_options, sample_rate=_RATE)
        self._owner = owner
        self._language = language
        self._sent = 0
        """Samples since usage was told."""
        self._said = ""
        """What the open utterance was last understood as."""

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._said = ""
        try:
            async with self._owner.listening(_RATE, self._language, self._conn_options) as ears:
                self._report_connection_acquired(loop.time() - began, False)
                sending = asyncio.create_task(self._send(ears))
                try:
                    async for hearing in ears:
                        self._tell(hearing)
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
        except ParleyError as error:
            raise translated(error) from error

    async def _send(self, ears: Listening) -> None:
        async for item in self._input_ch:
            if isinstance(item, self._FlushSentinel):
                await ears.commit()
                continue
            pcm = _mono(item)
            self._sent += len(pcm) // 2
            await ears.send(pcm)
        await ears.end()

    def _tell(self, hearing: Hearing) -> None:
        if isinstance(hearing, SpeechBegan):
            self._event(stt.SpeechEventType.START_OF_SPEECH, speech_start_time=self.start_time + hearing.at)
        elif isinstance(hearing, Heard) and hearing.final:
            if hearing.text:
                self._event(stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[self._data(hearing)])
            self._said = ""
            usage, self._sent = stt.RecognitionUsage(self._sent / _RATE), 0
            self._event(stt.SpeechEventType.RECOGNITION_USAGE, recognition_usage=usage)
            # Behind the words, also where the silence was noticed first: LiveKit takes what it has for the turn.
            self._event(stt.SpeechEventType.END_OF_SPEECH, speech_end_time=self.start_time + hearing.end)
        elif isinstance(hearing, Heard) and hearing.text not in ("", self._said):
            self._said = hearing.text
            self._event(stt.SpeechEventType.INTERIM_TRANSCRIPT, alternatives=[self._data(hearing)])

    def _event(self, kind: stt.SpeechEventType, **fields: Any) -> None:
        self._event_ch.send_nowait(stt.SpeechEvent(kind, **fields))

    def _data(self, heard: Heard) -> stt.SpeechData:
        return _data(heard, self._owner.language_of(self._language), self.start_time_offset)


async def _send_all(ears: Listening, pcm: bytes) -> None:
    await ears.send(pcm)
    await ears.end()


def _mono(frame: rtc.AudioFrame) -> bytes:
    """The first channel, s16le."""
    samples = np.frombuffer(frame.data, np.int16)
    return samples[:: frame.num_channels].tobytes()


def _data(heard: Heard, language: str, offset: float = 0.0) -> stt.SpeechData:
    words = [
        TimedString(
            f"{word.text} ",
            start_time=offset + word.start,
            end_time=offset + word.end,
            confidence=word.confidence,
            start_time_offset=offset,
        )
        for word in heard.words
    ]
    return stt.SpeechData(
        LanguageCode(heard.language or language),
        heard.text,
        start_time=offset + heard.start,
        end_time=offset + heard.end,
        confidence=heard.confidence,
        words=words or None,
    )


def _joined(finals: list[Heard], language: str) -> stt.SpeechData:
    """One transcript of several utterances."""
    if not finals:
        return stt.SpeechData(LanguageCode(language), "")
    parts = [_data(heard, language) for heard in finals]
    return stt.SpeechData(
        parts[0].language,
        " ".join(part.text for part in parts),
        start_time=parts[0].start_time,
        end_time=parts[-1].end_time,
        confidence=min(part.confidence for part in parts),
        words=[word for part in parts for word in part.words or ()] or None,
    )
