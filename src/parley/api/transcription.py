"""``POST /v1/audio/transcriptions``: a recording in, its words out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from parley.api import transcripts
from parley.api.errors import described, guarded
from parley.api.forms import form
from parley.api.names import is_their_hearing_model
from parley.api.places import Held, Memory, Places
from parley.api.recordings import RATE, Recording
from parley.api.requests import TranscriptionRequest, transcription_request
from parley.api.streams import EVENTS, Streamed, event, until_gone
from parley.api.transcripts import Segment, Written
from parley.audio.frame import AudioFrame
from parley.errors import CapacityError, NotFound, ParleyError

if TYPE_CHECKING:
    from starlette.requests import Request

    from parley.api.settings import ApiSettings
    from parley.interfaces import Recognizer
    from parley.server.at_work import AtWork
    from parley.server.http import Gate
    from parley.values import Transcript

log = structlog.get_logger(__name__)

_TRIES = 20
"""Times that a piece is given again to ears that were full: conversations come first."""
_UPLOADS = 4
"""Recordings that may be on their way for each that is written down; a slow sender keeps nobody waiting."""
_FRAME = RATE // 5
_SILENCE = RATE // 4
"""Samples behind a piece: a recording that was cut off at its last sound still ends."""
_NO_STORE = {"Cache-Control": "no-store"}


class Upload:
    """A file that is kept until its reader has it."""

    def __init__(self, held: Held, file: bytes) -> None:
        self._held, self._file = held, file

    async def give(self, reader: Callable[[bytes], Awaitable[None]]) -> None:
        """Let ``reader`` have it; from then on it is nobody else's."""
        file, self._file = self._file, b""
        await reader(file)
        del file
        self._held.give_back()


class Transcription:
    """The route over the ears that conversations use; ``in_use`` names models by their kind, for people."""

    def __init__(
        self,
        gate: Gate,
        settings: ApiSettings,
        recognizer: Recognizer,
        in_use: Callable[[], Mapping[str, str]],
        at_work: AtWork | None = None,
    ) -> None:
        self._settings, self._recognizer, self._in_use = settings, recognizer, in_use
        most = settings.transcriptions_at_once
        self._places = Places(most, "recordings", "api.transcriptions_at_once", at_work)
        self._memory = Memory(settings.uploads_memory, "api.uploads_memory")
        self._uploads = Places(_UPLOADS * most, "recordings on their way", "api.transcriptions_at_once")
        self.routes = [Route("/v1/audio/transcriptions", guarded(gate, self._transcribe), methods=["POST"])]

    async def _transcribe(self, request: Request) -> Response:
        with self._memory.held() as held:
            async with self._uploads.one():
                fields, file = await form(request, self._settings.largest_file, held.take)
            texts = {name: value for name, value in fields.items() if isinstance(value, str)}
            granularities = tuple(str(value) for value in fields.getlist("timestamp_granularities[]"))
            asked = transcription_request(texts, granularities)
            self._check_model(asked.model)
            upload = Upload(held, file)
            del file
            return await until_gone(request, self._answer(upload, asked))

    async def _answer(self, upload: Upload, asked: TranscriptionRequest) -> Response:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._places.one())
            recording = Recording(self._settings.longest_audio)
            stack.push_async_callback(recording.aclose)
            await upload.give(recording.open)
            if asked.stream:
                heard = self._heard(recording, asked)
                return Streamed(_events(heard, recording.duration), EVENTS, stack.pop_all())
            return await self._all(recording, asked)

    def _check_model(self, name: str) -> None:
        name = self._settings.names.get(name, name)
        ears = self._in_use().get("ears", "")
        if not is_their_hearing_model(name) and name not in ears.replace("(", " ").replace(")", " ").split():
            raise NotFound(f"There is no recogniser called {name!r} here; the one in use is {ears}.")

    async def _all(self, recording: Recording, asked: TranscriptionRequest) -> Response:
        segments: list[Segment] = []
        language = asked.language
        async with aclosing(self._heard(recording, asked)) as heard:
            async for start, end, said in heard:
                if said.final:
                    segments.append(_segment(start, end, said))
                    language = language or said.language
        written = Written(recording.duration, tuple(segment for segment in segments if segment.text), language)
        return _response(written, asked)

    def _heard(
        self, recording: Recording, asked: TranscriptionRequest
    ) -> AsyncGenerator[tuple[float, float, Transcript], None]:
        return heard_in(recording, self._recognizer.for_session(asked.hot_words), asked.language)


async def heard_in(
    recording: Recording, ears: Recognizer, language: str
) -> AsyncGenerator[tuple[float, float, Transcript], None]:
    """What is understood of each piece, with where it begins and ends; the last of a piece is final."""
    for index, (start, end) in enumerate(recording.pieces):
        pcm = await recording.samples(index)
        async for said in _patiently(ears, pcm, language):
            yield start, end, said


async def _patiently(ears: Recognizer, pcm: bytes, language: str) -> AsyncGenerator[Transcript, None]:
    for tries_left in reversed(range(_TRIES)):
        try:
            async with aclosing(ears.transcribe(_frames(pcm), language=language)) as transcripts:
                async for said in transcripts:
                    yield said
        except CapacityError as error:
            if not tries_left:
                raise
            await asyncio.sleep(error.retry_after)
        else:
            return


async def _frames(pcm: bytes) -> AsyncIterator[AudioFrame]:
    for number, start in enumerate(range(0, len(pcm), 2 * _FRAME)):
        yield AudioFrame(pcm[start : start + 2 * _FRAME], RATE, sequence=number, start_sample=start // 2)
    yield AudioFrame(bytes(2 * _SILENCE), RATE, start_sample=len(pcm) // 2, speaking=False)


def _segment(start: float, end: float, said: Transcript) -> Segment:
    words = tuple(replace(word, start=word.start + start, end=word.end + start) for word in said.words)
    return Segment(start, end, said.text.strip(), words, said.confidence)


def _response(written: Written, asked: TranscriptionRequest) -> Response:
    if asked.format == "text":
        return PlainTextResponse(written.text + "\n", headers=_NO_STORE)
    if asked.format == "srt":
        return PlainTextResponse(transcripts.srt(written), headers=_NO_STORE)
    if asked.format == "vtt":
        return Response(transcripts.vtt(written), media_type="text/vtt", headers=_NO_STORE)
    if asked.format == "verbose_json":
        said = transcripts.verbose(written, words=asked.words, segments=asked.segments)
        return JSONResponse(said, headers=_NO_STORE)
    return JSONResponse(transcripts.plain(written), headers=_NO_STORE)


async def _events(
    heard: AsyncGenerator[tuple[float, float, Transcript], None], duration: float
) -> AsyncGenerator[bytes, None]:
    whole, sent = "", 0
    try:
        async with aclosing(heard):
            async for _, _, said in heard:
                text = said.text.strip() if said.final else said.text[: said.stable].lstrip()
                piece = f" {text}" if whole and text else text
                if len(piece) > sent:
                    yield event({"type": "transcript.text.delta", "delta": piece[sent:]})
                    sent = len(piece)
                if said.final:
                    whole, sent = whole + piece, 0
    except ParleyError as error:
        log.warning("a recording was not written down to its end", code=error.code, reason=error.message)
        yield event({"type": "error", "error": described(error)})
        return
    yield event({"type": "transcript.text.done", "text": whole, "usage": transcripts.usage(duration)})
