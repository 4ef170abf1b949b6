"""How a word is said: by the pack of a voice, by the worker, by who asks; heard in the sound that leaves a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from parley.values import Voice, Wording
from parley.worker.settings import ModelSettings, TextSettings
from parley.worker.voicepacks import VoicePackCatalog

pytestmark = pytest.mark.anyio


def packs(root: Path, lexicon: str = "") -> VoicePackCatalog:
    """The embedded engine as a pack of its own: the same words are the same samples."""
    folder = root / "espeak" / "named"
    folder.mkdir(parents=True)
    words = f"lexicon:\n  {lexicon}\n" if lexicon else ""
    (folder / "metadata.yaml").write_text(f"languages: [en]\nlicence: MIT\nsample_rate: 22050\n{words}", "utf-8")
    return VoicePackCatalog((root,))


async def sound(bench: Any, client: Any, text: str, wording: Wording | None = None) -> bytes:
    async def once() -> AsyncIterator[str]:
        yield text

    voice = Voice("named", language="en")
    made = client.synthesize(once(), voice=voice, session_id="s", utterance_id="u", wording=wording or Wording())
    return b"".join(frame.pcm for frame in await bench.rest(made))


async def speaker(bench: Any, catalog: VoicePackCatalog, lexicon: str = "") -> Any:
    models = ModelSettings(default_model="named")
    return bench.client(await bench.worker(catalog, models, text=TextSettings(lexicon=lexicon)))


async def test_the_lexicon_of_a_pack_is_heard(bench: Any, tmp_path: Path) -> None:
    client = await speaker(bench, packs(tmp_path, "Nguyen: Win"))
    assert await sound(bench, client, "Ask Nguyen now.") == await sound(bench, client, "Ask Win now.")


async def test_without_a_lexicon_the_words_sound_different(bench: Any, tmp_path: Path) -> None:
    client = await speaker(bench, packs(tmp_path))
    assert await sound(bench, client, "Ask Nguyen now.") != await sound(bench, client, "Ask Win now.")


async def test_the_lexicon_of_a_worker_is_heard_over_that_of_a_pack_and_a_callers_over_both(
    bench: Any, tmp_path: Path
) -> None:
    client = await speaker(bench, packs(tmp_path, "Nguyen: Win"), "Nguyen = Noon; Xu = Shoe")
    said = await sound(bench, client, "Ask Nguyen and Xu now.")
    assert said == await sound(bench, client, "Ask Noon and Shoe now.")
    said = await sound(bench, client, "Ask Nguyen and Xu now.", Wording(lexicon="Nguyen = When"))
    assert said == await sound(bench, client, "Ask When and Shoe now.")
