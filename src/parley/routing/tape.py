"""The text of one utterance as it arrives, kept so that it can be read again from any place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from parley.text.speech.normaliser import has_words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable


class TextTape:
    """Reads its source once; hands it out as often as it is asked for."""

    def __init__(self, source: AsyncIterable[str]) -> None:
        self._pieces: list[str] = []
        self._ended = False
        self._error: BaseException | None = None
        self._more = asyncio.Event()
        self._reader = asyncio.get_running_loop().create_task(self._read(source), name="text tape")

    @property
    def text(self) -> str:
        """All that is known so far."""
        return "".join(self._pieces)

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self._ended

    @property
    def error(self) -> BaseException | None:
        """What the source raised, if it did."""
        return self._error

    async def read(self, position: int = 0) -> AsyncGenerator[str, None]:
        """The text from a character on, as it comes. Raises what the source raised.

        The first piece goes alone, since it is waited for; what has come meanwhile goes as one.
        """
        index = 0
        while True:
            while index < len(self._pieces):
                stop = index + 1 if index == 0 else len(self._pieces)
                piece = "".join(self._pieces[index:stop])
                index = stop
                if position < len(piece):
                    yield piece[position:]
                position = max(0, position - len(piece))
            if self._ended:
                break
            await self._more.wait()
        if self._error is not None:
            raise self._error

    async def words_from(self, position: int) -> bool:
        """Wait for something to speak from a character on; False when the text ends without."""
        while not has_words(self.text[position:]):
            if self._ended:
                return False
            await self._more.wait()
        return True

    async def aclose(self) -> None:
        """Stop reading."""
        if not self._reader.done():
            self._reader.cancel()
            await asyncio.wait((self._reader,))

    async def _read(self, source: AsyncIterable[str]) -> None:
        try:
            async for piece in source:
                if piece:
                    self._pieces.append(piece)
                    self._wake()
        except Exception as error:  # noqa: BLE001  (somebody else's code: whoever reads the tape is told)
            self._error = error
        finally:
            self._ended = True
            self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()
