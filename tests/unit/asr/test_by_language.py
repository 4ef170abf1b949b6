"""Each language is heard by ears that know it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from parley.asr import AsrSettings
from parley.asr.by_language import ByLanguage
from parley.audio.frame import AudioFrame
from parley.values import Transcript

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence

    from parley.interfaces import Recognizer

pytestmark = pytest.mark.anyio


class Ears:
    """Hears its own name, and how many turns this session has had."""

    def __init__(self, name: str) -> None:
        self.name, self.turns, self.closed = name, 0, False

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        async for _ in audio:
            pass
        self.turns += 1
        yield Transcript(f"{self.name} {language} {self.turns}", final=True)

    def for_session(self, hot_words: Sequence[str] = ()) -> Recognizer:
        return Ears(" ".join((self.name, *hot_words)))

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def made() -> list[Ears]:
    return []


@pytest.fixture
def ears(made: list[Ears]) -> ByLanguage:
    def make(settings: AsrSettings) -> Recognizer:
        made.append(Ears(settings.model))
        return made[-1]

    return ByLanguage(lambda language: AsrSettings(model="tiny.en" if language.startswith("en") else "base"), make)


async def heard(ears: Recognizer, language: str) -> str:
    async def audio() -> AsyncIterator[AudioFrame]:
        yield AudioFrame(bytes(640), 16_000, "", 0, 0)

    return [transcript.text async for transcript in ears.transcribe(audio(), language=language)][-1]


async def test_a_language_goes_to_the_ears_that_were_chosen_for_it(ears: ByLanguage) -> None:
    assert (await heard(ears, "en-GB"), await heard(ears, "de")) == ("tiny.en en-GB 1", "base de 1")


async def test_ears_are_opened_once_and_only_when_somebody_needs_them(ears: ByLanguage, made: list[Ears]) -> None:
    for language in ("en", "en-GB", "en-US"):
        await heard(ears, language)
    assert [one.name for one in made] == ["tiny.en"]


async def test_what_one_session_teaches_its_ears_is_its_own(ears: ByLanguage) -> None:
    one, other = ears.for_session(), ears.for_session()
    assert [await heard(one, "de"), await heard(one, "de"), await heard(other, "de")] == [
        "base de 1", "base de 2", "base de 1",
    ]  # fmt: skip


async def test_hot_words_of_a_session_are_told_to_all_its_ears_and_to_nobody_elses(ears: ByLanguage) -> None:
    told, other = ears.for_session(("Piper",)), ears.for_session()
    assert [await heard(told, "de"), await heard(told, "en"), await heard(other, "de")] == [
        "base Piper de 1", "tiny.en Piper en 1", "base de 1",
    ]  # fmt: skip


async def test_all_that_were_opened_are_closed(ears: ByLanguage, made: list[Ears]) -> None:
    await heard(ears, "en")
    await heard(ears, "fr")
    await ears.aclose()
    assert [one.closed for one in made] == [True, True]


async def test_nobody_else_waits_while_ears_are_chosen_from_files() -> None:
    read = threading.Event()

    def choose(language: str) -> AsrSettings:
        assert read.wait(10), "the loop was kept from everything else"
        return AsrSettings(model=language)

    ears = ByLanguage(choose, lambda settings: Ears(settings.model))
    both = asyncio.gather(heard(ears, "de"), heard(ears, "de"))
    asyncio.get_running_loop().call_soon(read.set)
    assert sorted(await both) == ["de de 1", "de de 2"]
