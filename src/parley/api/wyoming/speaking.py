"""One text on its way to a Wyoming client's loudspeaker."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from parley.api.encoding import RATE, Pcm
from parley.api.wyoming.wire import Event
from parley.errors import InvalidRequest
from parley.text.sentences import Sentences
from parley.text.speech.normaliser import has_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from parley.interfaces import Synthesizer
    from parley.values import Voice

_FIRST_CLAUSE = 24
_TOGETHER = 5
"""Frames of 20 ms in a chunk, behind the first."""
FORMAT = {"rate": RATE, "width": 2, "channels": 1}


class Spoken:
    """Text that comes piece by piece, bounded in all."""

    def __init__(self, language: str, longest: int) -> None:
        self._splitter = Sentences(language, first_clause=_FIRST_CLAUSE)
        self._clauses: asyncio.Queue[str | None] = asyncio.Queue()  # bounded by the text's length
        self._longest, self._taken = longest, 0
        self.begun = asyncio.Event()
        """Set once there is something to do."""

    def language(self, language: str) -> None:
        """Of the text, before its first piece."""
        self._splitter = Sentences(language, first_clause=_FIRST_CLAUSE)

    def add(self, text: str) -> None:
        """The next piece. Raises InvalidRequest when the text has grown too long."""
        self._taken += len(text)
        self.begun.set()
        if self._taken > self._longest:
            raise InvalidRequest(f"The text has more than {self._longest} characters (wyoming.longest_text).")
        for clause in self._splitter.add(text):
            self._clauses.put_nowait(clause)

    def end(self) -> None:
        """That was all."""
        for clause in self._splitter.finish():
            self._clauses.put_nowait(clause)
        self._clauses.put_nowait(None)
        self.begun.set()

    async def clauses(self) -> AsyncIterator[str]:
        """What can be spoken, as soon as it can, from the first that has words."""
        silent = ""
        while (clause := await self._clauses.get()) is not None:
            silent += clause
            if not has_words(silent):
                continue
            yield silent
            break
        while clause is not None and (clause := await self._clauses.get()) is not None:
            yield clause


async def speak(
    voices: Synthesizer,
    voice: Voice,
    spoken: Spoken,
    send: Callable[[Event], Awaitable[None]],
    forget: Callable[[str], Awaitable[Any]],
) -> None:
    """Say it: ``audio-start``, chunks, ``audio-stop``; a text without words is a sound without samples.

    Raises what the voice raises; what was begun is then ended by whoever called.
    """
    clauses = spoken.clauses()
    first = await anext(clauses, None)
    await send(Event("audio-start", {**FORMAT, "timestamp": 0}))
    if first is not None:
        session = f"wyoming-{uuid.uuid4().hex}"
        synthesis = voices.synthesize(_with(first, clauses), voice=voice, session_id=session, utterance_id=session)
        try:
            async with aclosing(synthesis):
                await _send_all(synthesis, send)
        finally:
            await forget(session)
    await send(Event("audio-stop"))


async def _send_all(synthesis: Any, send: Callable[[Event], Awaitable[None]]) -> None:
    pcm, held, together = Pcm(), bytearray(), 1
    async for frame in synthesis:
        held += frame.pcm
        if len(held) >= together * len(frame.pcm) or frame.final:
            data = bytes(held)
            held.clear()
            together = _TOGETHER
            await _send_chunk(await asyncio.to_thread(pcm.add, data), send)
    await _send_chunk(pcm.finish(), send)


async def _send_chunk(samples: bytes, send: Callable[[Event], Awaitable[None]]) -> None:
    if samples:
        await send(Event("audio-chunk", dict(FORMAT), samples))


async def _with(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for clause in rest:
        yield clause
