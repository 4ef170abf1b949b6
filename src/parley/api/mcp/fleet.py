"""The voices and the ears of a server, for its MCP clients."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.api.encoding import FORMATS, RATE, Pcm
from parley.api.mcp.asked import Heard, Models, Said
from parley.api.names import voice_of, voices_in
from parley.api.places import Places
from parley.api.recordings import Recording
from parley.api.transcription import heard_in
from parley.audio.wav import wav_bytes
from parley.errors import InvalidRequest
from parley.text.sentences import Sentences
from parley.text.speech.normaliser import has_words
from parley.values import Wording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from parley.api.encoding import Encoder
    from parley.api.mcp.asked import Listen, Say
    from parley.api.mcp.server import Progress
    from parley.api.settings import ApiSettings, McpSettings
    from parley.interfaces import Recognizer, Synthesizer
    from parley.server.at_work import AtWork

_FIRST_CLAUSE = 24
"""Characters after which the first clause may end at a comma, so that the first sound is early."""
_FRAME = 0.02
_REPORT = 0.5
"""Seconds of sound between two words about how far it is."""


class FleetBackend:
    """Texts become files, recordings become words. ``forget``: called with a session's id when the last is said."""

    aloud = False

    def __init__(
        self,
        settings: McpSettings,
        api: ApiSettings,
        voices: Synthesizer,
        recognizer: Recognizer,
        speakers: Callable[[], Mapping[str, Collection[str]]],
        in_use: Callable[[], Mapping[str, str]],
        forget: Callable[[str], Any],
        at_work: AtWork | None = None,
    ) -> None:
        self.longest_text = settings.longest_text
        self.largest_recording = settings.largest_message * 3 // 4
        self._settings, self._names = settings, api.names
        self._voices, self._recognizer = voices, recognizer
        self._speakers, self._in_use, self._forget = speakers, in_use, forget
        self._places = Places(settings.at_once, "texts and recordings", "mcp.at_once", at_work)

    async def say(self, asked: Say, progress: Progress) -> Said:
        if not has_words(asked.text):
            raise InvalidRequest("There is nothing to say: no word in the text.")
        voice = voice_of(asked.model, asked.voice, self._speakers(), self._names)
        self._voices.check(voice)
        session = f"mcp-{uuid.uuid4().hex}"
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._places.one())
            stack.push_async_callback(self._forget, session)
            synthesis = self._voices.synthesize(
                _clauses(asked.text), voice=voice, session_id=session, utterance_id=session, wording=Wording()
            )
            await stack.enter_async_context(aclosing(synthesis))
            encoder: Encoder = await asyncio.to_thread(Pcm if asked.format == "wav" else FORMATS[asked.format])
            sound, seconds, next_report = bytearray(), 0.0, _REPORT
            async for frame in synthesis:
                sound += await asyncio.to_thread(encoder.add, frame.pcm)
                seconds += _FRAME
                if len(sound) > self._settings.largest_sound:
                    raise InvalidRequest(
                        f"The sound of this text has more than {self._settings.largest_sound} bytes "
                        "(mcp.largest_sound): say it in parts, or as opus."
                    )
                if seconds >= next_report:
                    await progress(round(seconds, 2), f"{seconds:.1f} s spoken")
                    next_report += _REPORT
            sound += await asyncio.to_thread(encoder.finish)
        if asked.format == "wav":
            return self._said(asked, seconds, wav_bytes(np.frombuffer(bytes(sound), np.int16), RATE), "audio/wav")
        return self._said(asked, seconds, bytes(sound), encoder.content_type)

    def _said(self, asked: Say, seconds: float, sound: bytes, content_type: str) -> Said:
        voice = voice_of(asked.model, asked.voice, self._speakers(), self._names)
        used = voice.model or self._in_use().get("voice", "")
        return Said(len(asked.text), seconds, used, voice.speaker, sound, content_type)

    async def listen(self, asked: Listen, progress: Progress) -> Heard:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._places.one())
            recording = Recording(self._settings.longest_audio)
            stack.push_async_callback(recording.aclose)
            await recording.open(asked.recording)
            texts: list[str] = []
            language = asked.language
            heard = heard_in(recording, self._recognizer.for_session(), asked.language)
            async with aclosing(heard):
                async for _, end, said in heard:
                    if said.final:
                        texts.append(said.text.strip())
                        language = language or said.language
                        await progress(round(end, 2), f"{end:.1f} of {recording.duration:.1f} s heard")
            return Heard(" ".join(text for text in texts if text), recording.duration, language)

    async def models(self) -> Models:
        return Models(voices_in(self._speakers()), self._in_use())


async def _clauses(text: str) -> AsyncIterator[str]:
    splitter = Sentences("", first_clause=_FIRST_CLAUSE)
    for clause in (*splitter.add(text), *splitter.finish()):
        yield clause
