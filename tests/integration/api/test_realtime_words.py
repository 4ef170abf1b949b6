"""What the model is told of a truncated reply are the words that were heard: counted in the sound itself."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.integration.api.realtime_client import Body, Mind, mind, talking

from parley.bench.report import BenchOptions
from parley.bench.stack import running_parley

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(180)]
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
RATE = 24_000
WORD, BLOCK, GAP = RATE // 4, RATE // 500, 10
"""Samples of each word (a tone and the silence behind it), and of what is looked at at once; more than so many silent
ones lie between two words."""
SESSIONS, CUTS = 8, 5


@pytest.fixture(scope="module")
def thinking() -> Generator[Mind, None, None]:
    with mind() as it:
        yield it


@pytest.fixture(scope="module")
def url(thinking: Mind) -> Generator[str, None, None]:
    model = {"llm.engine": "openai", "llm.openai.base_url": thinking.url, "llm.openai.system_prompt": ""}
    with running_parley(BenchOptions(), worker="tone-words", settings=model) as parley:
        yield parley.url.replace("ws", "http", 1).removesuffix("/v1/session")


def onsets(pcm: np.ndarray) -> list[int]:
    """Where each word begins to sound, in samples."""
    level = np.abs(pcm[: pcm.size // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.int32)).max(axis=1)
    voiced = np.flatnonzero(level > 500)
    return [int(place) * BLOCK for place in voiced[np.flatnonzero(np.diff(voiced, prepend=-GAP - 1) > GAP)]]


async def test_forty_cuts_at_random_leave_the_words_that_sounded(url: str, thinking: Mind) -> None:
    def answer(body: Body) -> str:
        """As many words as there are, beginning with one of its own for each question."""
        _, session, cut = body["messages"][-1]["content"].split()
        order = WORDS[:]
        random.Random(f"{session} {cut}").shuffle(order)
        return " ".join(order)

    thinking.answer = answer

    async def talk_through(session: int) -> list[int]:
        chance, errors = random.Random(session), []
        async with talking(url, "any") as talk:
            for cut in range(CUTS):
                response = await talk.say(f"Count {session} {cut}")
                item = response.output[0]
                pcm = np.frombuffer(talk.heard(response.id), "<i2")
                words = onsets(pcm)
                assert len(words) == len(WORDS)
                end = chance.randrange(100, len(pcm) // 24)
                await talk.send("conversation.item.truncate", item_id=item.id, content_index=0, audio_end_ms=end)
                await talk.until("conversation.item.truncated", cut + 1)
                await talk.say(f"And {session} {cut}")
                told = told_of(session, cut)
                assert item.content[0].transcript.startswith(told)
                errors.append(len(told.split()) - sum(2 * (end * 24 - onset) > WORD for onset in words))
        return errors

    def told_of(session: int, cut: int) -> str:
        """The reply that stands before this question, as the model was told of it."""
        asked = f"And {session} {cut}"
        (body,) = (body for body in thinking.bodies if body["messages"][-1]["content"] == asked)
        last = body["messages"][-2]
        return str(last["content"]) if last["role"] == "assistant" else ""

    errors = [error for each in await asyncio.gather(*map(talk_through, range(SESSIONS))) for error in each]
    assert len(errors) == SESSIONS * CUTS
    assert max(map(abs, errors)) <= 1, errors
    assert sum(error == 0 for error in errors) >= 0.9 * len(errors), errors
