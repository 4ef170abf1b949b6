"""``POST /v1/audio/speech`` and ``GET /v1/audio/voices``: text in, a sound file out while it is spoken."""

from __future__ import annotations

import asyncio
import base64
import uuid
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any

import structlog
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley.api.encoding import FORMATS
from parley.api.errors import described, guarded
from parley.api.names import voice_of, voices_in
from parley.api.places import Places
from parley.api.requests import speech_request
from parley.api.streams import EVENTS, Streamed, event, until_gone
from parley.audio.frame import SAMPLE_RATE
from parley.errors import InvalidRequest, ParleyError
from parley.server.http import json_body
from parley.text.sentences import Sentences
from parley.text.speech.normaliser import has_words
from parley.text.timed_words import TimedWord, TimedWords
from parley.values import Wording

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping

    from starlette.requests import Request

    from parley.api.encoding import Encoder
    from parley.api.requests import SpeechRequest
    from parley.api.settings import ApiSettings
    from parley.audio.frame import AudioFrame
    from parley.interfaces import Synthesis, Synthesizer
    from parley.server.at_work import AtWork
    from parley.server.http import Gate

log = structlog.get_logger(__name__)

_FIRST_CLAUSE = 24
"""Characters after which the first clause may end at a comma, so that the first sound is early."""
_TOGETHER = 5
"""Frames of 20 ms that are encoded in one go, behind the first."""
_NOTHING = "There is nothing to say: no word in the input."
_NO_STORE = {"Cache-Control": "no-store"}


class Speech:
    """The routes over a pool of voices.

    ``speakers`` tells each model that is known with those of its speakers it lists; ``forget`` is called with a
    session's id when the last is said.
    """

    def __init__(
        self,
        gate: Gate,
        settings: ApiSettings,
        voices: Synthesizer,
        speakers: Callable[[], Mapping[str, Collection[str]]],
        forget: Callable[[str], Any],
        at_work: AtWork | None = None,
    ) -> None:
        self._settings, self._voices, self._speakers, self._forget = settings, voices, speakers, forget
        self._places = Places(settings.speech_at_once, "texts", "api.speech_at_once", at_work)
        self.routes = [
            Route("/v1/audio/speech", guarded(gate, self._speech), methods=["POST"]),
            Route("/v1/audio/voices", guarded(gate, self._voice_list)),
        ]

    async def _voice_list(self, _: Request) -> Response:
        voices = [{"id": name, "name": name} for name in voices_in(self._speakers())]
        return JSONResponse({"voices": voices}, headers=_NO_STORE)

    async def _speech(self, request: Request) -> Response:
        asked = speech_request(
            await json_body(request, 8 * self._settings.longest_text + 65_536), self._settings.longest_text
        )
        if not has_words(asked.text):
            raise InvalidRequest(_NOTHING)
        return await until_gone(request, self._answer(asked))

    async def _answer(self, asked: SpeechRequest) -> Response:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._places.one())
            words = TimedWords()
            synthesis = self._begin(asked, words, stack)
            await stack.enter_async_context(aclosing(synthesis))
            encoder = await asyncio.to_thread(FORMATS[asked.format])
            # What the worker refuses is refused here with its status, not in the middle of a file.
            first = await anext(synthesis, None)
            if first is None:
                raise InvalidRequest(_NOTHING)
            timed = words.due(first.marks)
            pieces = _encoded(first.pcm, _noting(synthesis, words, timed), encoder)
            if asked.stream == "sse":
                told = timed if asked.words else None
                return Streamed(_events(pieces, len(asked.text), told), EVENTS, stack.pop_all())
            return Streamed(pieces, encoder.content_type, stack.pop_all())

    def _begin(self, asked: SpeechRequest, words: TimedWords, stack: AsyncExitStack) -> Synthesis:
        voice = voice_of(asked.model, asked.voice, self._speakers(), self._settings.names)
        voice = type(voice)(voice.model, voice.speaker, asked.language, asked.speed)
        self._voices.check(voice)
        session = f"speech-{uuid.uuid4().hex}"
        stack.push_async_callback(self._forget, session)
        return self._voices.synthesize(
            _clauses(asked, words), voice=voice, session_id=session, utterance_id=session, wording=Wording()
        )


async def _clauses(asked: SpeechRequest, words: TimedWords) -> AsyncIterator[str]:
    splitter = Sentences(asked.language, first_clause=_FIRST_CLAUSE)
    for clause in (*splitter.add(asked.text), *splitter.finish()):
        words.add(clause)
        yield clause


async def _noting(
    frames: AsyncIterator[AudioFrame], words: TimedWords, timed: list[TimedWord]
) -> AsyncIterator[AudioFrame]:
    """Pass the frames on, and put the words that are known with them into ``timed``."""
    async for frame in frames:
        timed += words.due(frame.marks)
        yield frame
    timed += words.last()


async def _encoded(first: bytes, frames: AsyncIterator[AudioFrame], encoder: Encoder) -> AsyncGenerator[bytes, None]:
    """Pieces of the file, as they are ready."""
    held = [first]
    async for frame in frames:
        if len(held) >= (_TOGETHER if first == b"" else 1):
            if piece := await asyncio.to_thread(encoder.add, b"".join(held)):
                yield piece
            held, first = [], b""
        held.append(frame.pcm)
    if piece := await asyncio.to_thread(lambda: encoder.add(b"".join(held)) + encoder.finish()):
        yield piece


async def _events(
    pieces: AsyncGenerator[bytes, None], characters: int, timed: list[TimedWord] | None
) -> AsyncGenerator[bytes, None]:
    """``timed`` fills up with words that nobody was told of; None where nobody asked for them."""
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if timed:
                    yield event(_words(timed))
                yield event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
        if timed:
            yield event(_words(timed))
    except ParleyError as error:
        log.warning("speech over HTTP ended early", code=error.code, reason=error.message)
        yield event({"type": "error", "error": described(error)})
        return
    usage = {"input_tokens": characters, "output_tokens": 0, "total_tokens": characters}
    yield event({"type": "speech.audio.done", "usage": usage})


def _words(timed: list[TimedWord]) -> dict[str, Any]:
    """All that are known, which are then told."""
    words = [
        {
            "word": word.text.strip(),
            "start": round(word.start_sample / SAMPLE_RATE, 3),
            "end": round(word.end_sample / SAMPLE_RATE, 3),
        }
        for word in timed
    ]
    timed.clear()
    return {"type": "speech.audio.words", "words": words}
