"""Parley's ears and voices in Pipecat: ``ParleySTTService`` and ``ParleyTTSService`` over a Parley server.

Pipecat keeps its pipeline, its voice activity detector and its turns. Words come while somebody speaks, and at once
when Pipecat's detector says that they are silent; voices tell when each word is heard, so that what an interruption
cut off stands in the context as far as it was heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx2

from parley.errors import CapacityError, ConfigError, NotFound, ParleyError, RequestError, Unauthorized
from parley.hints import install_packages
from parley.integrations.server import (
    DEFAULT_URL,
    SPEECH_RATE,
    Heard,
    Hearing,
    Listening,
    Server,
    SpeechBegan,
    speak,
)
from parley.text.speech.normaliser import has_words

try:
    from pipecat.frames.frames import (
        EndFrame,
        ErrorFrame,
        Frame,
        InterimTranscriptionFrame,
        ProposedUserStartedSpeakingFrame,
        ProposedUserStoppedSpeakingFrame,
        STTMetadataFrame,
        TranscriptionFrame,
        TTSAudioRawFrame,
        VADUserStoppedSpeakingFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
    from pipecat.services.settings import NOT_GIVEN, NotGiven, STTSettings, TTSSettings
    from pipecat.services.stt_service import WebsocketSTTService
    from pipecat.services.tts_service import TTSService
    from pipecat.transcriptions.language import Language
    from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
    from pipecat.utils.errors import ErrorCategory
    from pipecat.utils.time import time_now_iso8601
except ImportError as error:  # pragma: no cover
    raise ConfigError(f"Pipecat is missing; install it with: {install_packages('pipecat-ai')}.") from error

__all__ = ["ParleySTTService", "ParleySTTSettings", "ParleyTTSService", "ParleyTTSSettings"]

_P99 = 0.5
"""Seconds from the end of speech to its final transcript that 99 of 100 do not exceed, with the embedded recogniser on
two cores; give your own as ``ttfs_p99_latency``."""
_LAST_WORDS = 10.0
"""Seconds between words for which a pipeline that ends waits for those that are still to come: a recording is handed
over faster than it is heard."""


# --- ears ------------------------------------------------------------------------------


@dataclass
class ParleySTTSettings(STTSettings):
    """``language`` (BCP 47; None for the server's default), and when what somebody says is complete."""

    silence: float | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    """Seconds without a voice, where Pipecat's own detector does not say so earlier."""


class ParleySTTService(WebsocketSTTService):
    """A stream to the ears of a Parley server.

    ``server_turns``: let the server say where turns begin and end, for pipelines without a detector of their own.
    """

    Settings = ParleySTTSettings
    _settings: ParleySTTSettings

    def __init__(
        self,
        *,
        url: str = DEFAULT_URL,
        api_key: str = "",
        server_turns: bool = False,
        sample_rate: int | None = None,
        ttfs_p99_latency: float | None = _P99,
        settings: ParleySTTSettings | None = None,
        **kwargs: Any,
    ) -> None:
        store = self.Settings(model=None, language=None, silence=0.5)
        if settings is not None:
            store.apply_update(settings)
        super().__init__(sample_rate=sample_rate, ttfs_p99_latency=ttfs_p99_latency, settings=store, **kwargs)
        self._server = Server(url, api_key)
        self._server_turns = server_turns
        self._ears: Listening | None = None
        self._receive_task: asyncio.Task[None] | None = None
        self._said = ""
        """What the open utterance was last understood as."""
        self._hearings = 0
        """That the server has told."""

    def can_generate_metrics(self) -> bool:
        return True

    def service_metadata_frame(self) -> STTMetadataFrame:
        frame = super().service_metadata_frame()
        if self._server_turns:
            frame.user_turn_strategies = ExternalUserTurnStrategies()
        return frame

    async def setup(self, setup: FrameProcessorSetup) -> None:
        await super().setup(setup)
        await self._connect()

    async def stop(self, frame: EndFrame) -> None:
        """Words that were said before the end are still told."""
        if self._ears is not None:
            await self._ears.end()
            if self._receive_task is not None:
                self._disconnecting = True  # the server closes when it has said all: nothing to connect to again
                if not await self._heard_out(self._receive_task):
                    await self.push_error(f"The last words did not come within {_LAST_WORDS:g} seconds.")
        await super().stop(frame)

    async def _heard_out(self, reading: asyncio.Task[None]) -> bool:
        """Wait until the server has said all, as long as it says anything."""
        known = -1
        while not reading.done() and known != self._hearings:
            known = self._hearings
            await asyncio.wait([reading], timeout=_LAST_WORDS)
        return reading.done()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and self._ears is not None:
            await self._ears.commit()

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        if self._ears is not None:
            await self._ears.send(audio)
        yield None

    async def _update_settings(self, delta: STTSettings) -> dict[str, Any]:
        changed: dict[str, Any] = await super()._update_settings(delta)
        if changed:
            await self._request_reconnect()
        return changed

    # --- the connection ----------------------------------------------------------------

    async def _connect(self) -> None:
        await self._connect_websocket()
        await super()._connect()
        # Also where nobody answered: the base's loop then tries again.
        if not self._receive_task:
            self._receive_task = self.create_task(self._receive_task_handler(self._report_error))

    async def _disconnect(self) -> None:
        await super()._disconnect()
        if self._receive_task:
            await self.cancel_task(self._receive_task)
            self._receive_task = None
        await self._disconnect_websocket()

    async def _connect_websocket(self) -> None:
        ears = Listening(
            self._server,
            sample_rate=self.sample_rate,
            language=self._settings.language or "",
            silence=self._settings.silence,
        )
        try:
            await ears.__aenter__()
        except ParleyError as error:
            await self.push_error(error.message, exception=error, category=_category(error))
            return
        self._ears, self._websocket, self._said = ears, ears.connection, ""
        await self._call_event_handler("on_connected")

    async def _disconnect_websocket(self) -> None:
        ears, self._ears, self._websocket = self._ears, None, None
        if ears is not None:
            await ears.aclose()
            await self._call_event_handler("on_disconnected")

    async def _receive_messages(self) -> None:
        if self._ears is None:
            raise ConnectionError("there is no connection to the ears")
        try:
            async for hearing in self._ears:
                await self._tell(hearing)
        except ParleyError as error:
            await self.push_error(error.message, exception=error, category=_category(error))
            raise ConnectionError(error.message) from error

    # --- what is heard -----------------------------------------------------------------

    async def _tell(self, hearing: Hearing) -> None:
        self._hearings += 1
        if isinstance(hearing, SpeechBegan):
            if self._server_turns:
                await self.broadcast_frame(ProposedUserStartedSpeakingFrame)
        elif isinstance(hearing, Heard) and hearing.final:
            self._said = ""
            await self.emit_stt_usage_metrics()
            if hearing.text:
                await self.push_frame(self._frame(TranscriptionFrame, hearing, finalized=True))
            if self._server_turns:
                await self.broadcast_frame(ProposedUserStoppedSpeakingFrame)
        elif isinstance(hearing, Heard) and hearing.text not in ("", self._said):
            self._said = hearing.text
            await self.push_frame(self._frame(InterimTranscriptionFrame, hearing))

    def _frame(self, kind: type[Frame], heard: Heard, **fields: Any) -> Frame:
        language = _language(heard.language or self._settings.language or "")
        return kind(heard.text, self._user_id, time_now_iso8601(), language, result=heard, **fields)


# --- voices ----------------------------------------------------------------------------


@dataclass
class ParleyTTSSettings(TTSSettings):
    """``model`` and ``voice`` as ``GET /v1/audio/voices`` lists them, ``language`` (BCP 47); None for the defaults."""

    speed: float | NotGiven = field(default_factory=lambda: NOT_GIVEN)
    """0.25 to 4; 1 is the voice's own."""


class ParleyTTSService(TTSService):
    """The voices of a Parley server, sentence by sentence, each with the times of its words."""

    Settings = ParleyTTSSettings
    _settings: ParleyTTSSettings

    def __init__(
        self,
        *,
        url: str = DEFAULT_URL,
        api_key: str = "",
        sample_rate: int | None = None,
        settings: ParleyTTSSettings | None = None,
        **kwargs: Any,
    ) -> None:
        store = self.Settings(model=None, voice=None, language=None, speed=1.0)
        if settings is not None:
            store.apply_update(settings)
        super().__init__(
            sample_rate=sample_rate,
            push_text_frames=False,
            push_start_frame=True,
            push_stop_frames=True,
            settings=store,
            **kwargs,
        )
        self._server = Server(url, api_key)
        self._client = httpx2.AsyncClient()
        self._spoken: dict[str, float] = {}
        """Seconds of sound of each context that is being spoken: where its next sentence begins."""

    def can_generate_metrics(self) -> bool:
        return True

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._client.aclose()

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        self._spoken.pop(context_id, None)
        await super().on_audio_context_interrupted(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        self._spoken.pop(context_id, None)
        await super().on_audio_context_completed(context_id)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Say a text. Pipecat cancels this when somebody interrupts, which ends the work at the server."""
        if not has_words(text):
            return
        settings = self._settings
        begin = self._spoken.get(context_id, 0.0)
        samples = 0
        await self.start_tts_usage_metrics(text)
        sound = speak(
            self._client,
            self._server,
            text,
            model=settings.model or "",
            voice=settings.voice or "",
            language=settings.language or "",
            speed=settings.speed,
        )
        try:
            async with aclosing(sound):
                async for spoken in sound:
                    if spoken.words:
                        times = [(word.text, begin + word.start) for word in spoken.words]
                        await self.add_word_timestamps(times, context_id)
                        continue
                    samples += len(spoken.pcm) // 2
                    pcm = await self._resampler.resample(spoken.pcm, SPEECH_RATE, self.sample_rate)
                    if pcm:
                        yield TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)
        except ParleyError as error:
            yield ErrorFrame(error.message, exception=error, category=_category(error))
        finally:
            self._spoken[context_id] = begin + samples / SPEECH_RATE


def _category(error: ParleyError) -> ErrorCategory:
    """What Pipecat decides by whether another try is worth it."""
    if isinstance(error, Unauthorized):
        return ErrorCategory.AUTHENTICATION
    if isinstance(error, CapacityError):
        return ErrorCategory.RATE_LIMIT
    if isinstance(error, NotFound):
        return ErrorCategory.INVALID_REQUEST
    if isinstance(error, RequestError):  # this text alone: the next one may be said
        return ErrorCategory.APPLICATION
    return ErrorCategory.CONNECTIVITY if error.retryable else ErrorCategory.SERVER


def _language(name: str) -> Language | None:
    try:
        return Language(name)
    except ValueError:
        return None
