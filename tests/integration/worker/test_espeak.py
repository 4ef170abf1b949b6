"""The embedded voice: the real library in its own process."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parley.audio.levels import samples_of
from parley.audio.loudness import loudness
from parley.errors import NotFound
from parley.values import Voice
from parley.worker.adapters.espeak import LANGUAGES, SPEAKERS, EspeakAdapter
from parley.worker.voicepacks import VoicePackCatalog

pytestmark = pytest.mark.anyio
TEXT = "Hello there, my friend. It costs 125 dollars, doesn't it?"


@pytest.fixture
def adapter() -> Iterator[EspeakAdapter]:
    adapter = VoicePackCatalog().create("espeak")
    assert isinstance(adapter, EspeakAdapter)
    adapter.load()
    yield adapter
    adapter.unload()


def spoken(adapter: EspeakAdapter, text: str, **voice: Any) -> np.ndarray[Any, Any]:
    return np.concatenate([audio.samples for audio in adapter.synthesize(text, voice=Voice(**voice))])


@pytest.fixture
async def client(bench: Any) -> Any:
    return bench.client(await bench.worker(VoicePackCatalog()))


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no files in memory")
def test_the_library_of_its_own_leaves_no_file_that_would_outlive_a_killed_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    adapter = VoicePackCatalog().create("espeak")
    adapter.load()
    try:
        assert list(tmp_path.iterdir()) == []
    finally:
        adapter.unload()


async def test_it_speaks_with_the_loudness_of_all_voices(bench: Any, client: Any) -> None:
    frames = await bench.speak(client, TEXT, model="espeak")
    samples = samples_of(b"".join(frame.pcm for frame in frames))
    assert abs(loudness(samples, 48_000) + 16) < 2


async def test_marks_are_the_words_of_the_text(bench: Any, client: Any) -> None:
    frames = await bench.speak(client, TEXT, model="espeak")
    marks = [mark for frame in frames for mark in frame.marks]
    assert [TEXT[mark.text_start : mark.text_end] for mark in marks] == [
        "Hello", "there", "my", "friend", "It", "costs", "125", "dollars", "doesn't", "it",
    ]  # fmt: skip
    assert all(mark.start_sample < mark.end_sample for mark in marks)
    assert marks[-1].end_sample <= frames[-1].end_sample


async def test_the_same_text_gives_the_same_bytes_whatever_was_spoken_before(bench: Any, client: Any) -> None:
    first = await bench.speak(client, TEXT, model="espeak", utterance="1")
    await bench.speak(client, "Something else altogether.", model="espeak", utterance="2")
    again = await bench.speak(client, TEXT, model="espeak", utterance="3")
    assert [frame.pcm for frame in again] == [frame.pcm for frame in first]


async def test_sessions_side_by_side_get_what_they_get_alone(bench: Any, client: Any) -> None:
    texts = [f"Session number {n} speaks." for n in range(6)]
    alone = [await bench.speak(client, text, model="espeak", utterance="a") for text in texts]
    together = await asyncio.gather(
        *(bench.speak(client, text, model="espeak", session=f"s{n}") for n, text in enumerate(texts))
    )
    assert [[f.pcm for f in frames] for frames in together] == [[f.pcm for f in frames] for frames in alone]


async def test_a_closed_utterance_frees_the_engine_for_the_next(bench: Any, client: Any) -> None:
    long = bench.start(client, "This goes on and on. " * 100, model="espeak", utterance="1")
    await bench.take(long, 2)
    await long.aclose()
    assert (await bench.speak(client, "Done.", model="espeak", utterance="2"))[-1].final


@pytest.mark.parametrize("voice", [Voice("espeak", language="xx-YY"), Voice("espeak", speaker="nobody")])
async def test_an_unknown_language_or_speaker_is_refused(bench: Any, client: Any, voice: Voice) -> None:
    with pytest.raises(NotFound):
        await bench.speak(client, "Hello.", voice=voice)


def test_closing_the_generator_stops_the_engine_within_a_block(adapter: EspeakAdapter) -> None:
    audio = adapter.synthesize("This goes on and on. " * 500, voice=Voice())
    next(audio)
    audio.close()
    assert spoken(adapter, "Done.").size > 0


def test_two_adapters_in_one_process_do_not_share_their_state(adapter: EspeakAdapter) -> None:
    other = EspeakAdapter(VoicePackCatalog().pack("espeak"))
    other.load()
    expected = spoken(adapter, TEXT)
    interleaved = adapter.synthesize(TEXT, voice=Voice())
    first = next(interleaved).samples
    spoken(other, "Another text at the same time.", language="de")
    rest = [audio.samples for audio in interleaved]
    assert np.array_equal(np.concatenate([first, *rest]), expected)
    other.unload()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_announced_language_speaks(adapter: EspeakAdapter, language: str) -> None:
    assert spoken(adapter, "1 2 3", language=language).size > 2_000


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_every_announced_speaker_speaks(adapter: EspeakAdapter, speaker: str) -> None:
    assert spoken(adapter, "Hello.", speaker=speaker).size > 2_000


@pytest.mark.parametrize("tag", ["en-AU", "en_GB", "zh", "zh-CN", "de-AT", "pt-PT", "no", "nn", "iw", "zh-HK", "deu"])
def test_related_language_tags_find_their_voice(adapter: EspeakAdapter, tag: str) -> None:
    assert spoken(adapter, "1 2", language=tag).size > 2_000


def test_a_faster_voice_is_shorter(adapter: EspeakAdapter) -> None:
    assert spoken(adapter, TEXT, speed=2.0).size < 0.7 * spoken(adapter, TEXT).size


PAUSED = "One, twentytwo, three thousand, four, incomprehensibilities, six."


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
async def test_no_mark_comes_after_the_sound_of_its_word_has_begun(bench: Any, client: Any, speed: float) -> None:
    text = f"{TEXT} {PAUSED}"
    frames = await bench.speak(client, text, voice=Voice("espeak", speed=speed))
    assert [mark.start_sample // 960 for frame in frames for mark in frame.marks] == [
        frame.sequence for frame in frames for _ in frame.marks
    ]


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
async def test_marks_stand_where_the_sound_of_their_words_begins(bench: Any, client: Any, speed: float) -> None:
    frames = await bench.speak(client, PAUSED, voice=Voice("espeak", speed=speed))
    samples = np.abs(samples_of(b"".join(frame.pcm for frame in frames)).astype(np.float32))
    loud = np.convolve(samples > 300, np.ones(480), "same") > 0
    marks = [mark for frame in frames for mark in frame.marks if PAUSED[mark.text_start - 2 : mark.text_start] == ", "]
    assert len(marks) == 5
    onsets = np.flatnonzero(np.diff(loud.astype(np.int8)) > 0)
    for mark in marks:
        assert np.abs(onsets - mark.start_sample).min() < 3_360  # 70 ms: a word may begin with a stop's silence
