"""Words for a voice over real gRPC: what a caller, a session, a pack and a worker say of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from parley.errors import InvalidRequest
from parley.values import Voice, Wording
from parley.worker.settings import ModelSettings
from parley.worker.voicepacks import VoicePackCatalog

pytestmark = pytest.mark.anyio
TEXT = "**It** is $1,234.50 at 5 p.m., see [the docs](http://a.b) 😀."


async def marked(bench: Any, client: Any, text: str, wording: Wording, utterance: str = "u") -> list[str]:
    async def once() -> AsyncIterator[str]:
        yield text

    synthesis = client.synthesize(once(), voice=Voice(), session_id="s", utterance_id=utterance, wording=wording)
    return [text[mark.text_start : mark.text_end] for frame in await bench.rest(synthesis) for mark in frame.marks]


async def test_marks_count_in_what_was_written(bench: Any) -> None:
    client = bench.client(await bench.worker())
    words = ["It", "is", "$1,234.50", "at", "5 p.m.", "see", "the", "docs](http://a.b)"]
    assert await marked(bench, client, TEXT, Wording(normalize=True)) == words


async def test_the_embedded_voice_puts_text_into_words_unless_told_otherwise(bench: Any) -> None:
    client = bench.client(await bench.worker(VoicePackCatalog(), ModelSettings(default_model="espeak")))
    words = ["It", "is", "$1,234.50", "at", "5 p.m.", "see", "the", "docs](http://a.b)"]
    assert await marked(bench, client, TEXT, Wording()) == words
    assert "http" in await marked(bench, client, TEXT, Wording(normalize=False), "as it stands")


async def test_a_lexicon_that_can_not_be_read_is_the_callers_mistake(bench: Any) -> None:
    client = bench.client(await bench.worker())
    with pytest.raises(InvalidRequest, match="The lexicon's entry 'nonsense'"):
        await marked(bench, client, "Hello.", Wording(lexicon="nonsense"))


async def test_text_that_says_nothing_is_one_silent_frame(bench: Any) -> None:
    client = bench.client(await bench.worker())
    (frame,) = await bench.speak(client, "...")
    assert frame.final
    assert not any(frame.pcm)
