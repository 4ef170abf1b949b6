"""What an utterance speaks of its text, and how its marks count in what was written."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest

from parley.audio.frame import AudioFrame
from parley.errors import InvalidRequest
from parley.testing.adapters import make_utterance
from parley.values import ModelInfo, Voice, Wording
from parley.worker.adapters.tone import ToneAdapter
from parley.worker.engine_pool import EnginePool, build_pool
from parley.worker.pack import VoicePack

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool() -> AsyncGenerator[EnginePool, None]:
    info = ModelInfo("tone", "tone", ("en-US",), concurrency=16)
    made = build_pool(info, lambda: ToneAdapter(VoicePack(info)), slots=1, isolated=False)
    await made.load()
    yield made
    await made.unload()


async def spoken(pool: EnginePool, *texts: str, normalize: bool = True) -> list[AudioFrame]:
    utterance = make_utterance(pool, normaliser=pool.normaliser(Voice(), Wording(normalize)))
    for text in texts:
        utterance.add_text(text)
    utterance.end_text()
    frames: list[AudioFrame] = []
    while not (frames and frames[-1].final):
        frames += await utterance.next_frames(50)
    return frames


def marked(frames: list[AudioFrame], text: str) -> list[str]:
    return [text[mark.text_start : mark.text_end] for frame in frames for mark in frame.marks]


async def test_marks_count_in_the_written_text(pool: EnginePool) -> None:
    text = "**Dr. Smith** paid $1,234.50 on Sept. 3, 2026, see [the docs](http://a.b) 😀."
    frames = await spoken(pool, text)
    assert marked(frames, text) == ["Dr.", "Smith", "paid", "$1,234.50", "on", "Sept. 3, 2026", "see", "the",
                                    "docs](http://a.b)"]  # fmt: skip


async def test_all_the_words_of_a_number_are_one_mark(pool: EnginePool) -> None:
    text = "It is 1,234,567 today."
    marks = [mark for frame in await spoken(pool, text) for mark in frame.marks]
    assert [(mark.text_start, mark.text_end) for mark in marks] == [(0, 2), (3, 5), (6, 15), (16, 21)]
    assert all(a.end_sample == b.start_sample for a, b in pairwise(marks))
    assert marks[2].end_sample - marks[2].start_sample > 5 * (marks[3].end_sample - marks[3].start_sample)


async def test_marks_of_later_texts_count_from_the_first_one(pool: EnginePool) -> None:
    texts = ("It is 5 p.m. today. ", "*** ", "Call 555-123-4567.")
    frames = await spoken(pool, *texts)
    assert marked(frames, "".join(texts)) == ["It", "is", "5 p.m.", "today", "Call", "555-123-4567"]


async def test_a_piece_without_words_reaches_no_voice(pool: EnginePool) -> None:
    frames = await spoken(pool, "One. ... *** 😀 Two.")
    assert marked(frames, "One. ... *** 😀 Two.") == ["One", "Two"]


async def test_an_utterance_of_marks_alone_is_one_silent_frame(pool: EnginePool) -> None:
    for normalize in (True, False):
        (frame,) = await spoken(pool, "...", " 😀", normalize=normalize)
        assert frame.final
        assert not any(frame.pcm)


async def test_an_utterance_of_white_space_is_refused(pool: EnginePool) -> None:
    utterance = make_utterance(pool)
    utterance.add_text("  \n")
    with pytest.raises(InvalidRequest, match="no text"):
        utterance.end_text()


async def test_text_may_be_spoken_as_it_stands(pool: EnginePool) -> None:
    text = "Dr. 1,234 **x**"
    assert marked(await spoken(pool, text, normalize=False), text) == ["Dr", "1,234", "x"]


async def test_the_instrument_of_tests_speaks_text_as_it_stands_unless_told_otherwise(pool: EnginePool) -> None:
    assert pool.normaliser(Voice(), Wording()) is None
    assert pool.normaliser(Voice(), Wording(normalize=True)) is not None


async def test_a_lexicon_of_the_utterance_counts_before_that_of_the_voice(pool: EnginePool) -> None:
    from parley.text.speech.lexicon import parse_lexicon

    pool.lexicon = parse_lexicon("GIF = gif; TLA = tee")
    normaliser = pool.normaliser(Voice(), Wording(normalize=True, lexicon="GIF = jif"))
    assert normaliser is not None
    assert normaliser.piece("A GIF, a TLA.").text == "A jif, a tee."
