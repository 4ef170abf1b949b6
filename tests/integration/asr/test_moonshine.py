"""moonshine-voice's real library with a streaming model that hears a word per burst of sound."""

import copy
import gc
import json
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest

from parley.asr import AsrSettings, create_recognizer
from parley.asr.moonshine import MoonshineDecoder
from parley.errors import ConfigError
from parley.store import read_catalog
from parley.testing.bursts import bursts
from parley.testing.recognizers import RATE, frames, hear

pytest.importorskip("moonshine_voice")
from parley.testing.tiny_moonshine import moonshine_folder

pytestmark = pytest.mark.anyio
NUMBERS = " ".join(f"n{number}" for number in range(60))


def heard(count: int) -> str:
    return " ".join(NUMBERS.split()[:count])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return moonshine_folder(tmp_path, NUMBERS)


def loaded(folder: Path, **more: object) -> MoonshineDecoder:
    decoder = MoonshineDecoder(str(folder), share=1.0, **more)  # type: ignore[arg-type]
    decoder.load()
    return decoder


def feed(decoder: MoonshineDecoder, sound: np.ndarray) -> None:
    for start in range(0, sound.size, 4_800):
        decoder.feed(sound[start : start + 4_800].tobytes())


def test_after_a_while_a_pause_begins_a_new_line_and_loses_nothing(folder: Path) -> None:
    decoder = loaded(folder)
    decoder.start("en", "")
    feed(decoder, bursts(26))
    assert decoder.pause().text == heard(26)
    feed(decoder, bursts(3))  # a line counts its own bursts
    final = decoder.finish()
    assert final.text == f"{heard(26)} {heard(3)}"
    assert final.stable == len(final.text)
    assert final.covered == pytest.approx((bursts(26).size + bursts(3).size) / RATE)


def test_who_never_pauses_begins_a_new_line_at_last(folder: Path) -> None:
    decoder = loaded(folder)
    decoder.start("", "")
    feed(decoder, bursts(62))
    words = decoder.finish().text.split()
    assert words[:58] == heard(58).split()
    assert 62 <= len(words) <= 63  # the burst at the seam may be heard on both sides


def test_what_the_model_looks_ahead_is_not_covered(folder: Path) -> None:
    decoder = loaded(folder)
    decoder.start("", "")
    partial = decoder.feed(bursts(3).tobytes())
    assert partial is not None
    assert partial.covered == pytest.approx(1.44 - 0.32)
    assert decoder.pause().covered == pytest.approx(1.44)


def test_hot_words_are_told_to_the_library(folder: Path) -> None:
    decoder = loaded(folder, hot_words=["n3", "Zürich, Kreis 4"])
    decoder.start("", "")
    feed(decoder, bursts(5))
    assert decoder.finish().text == heard(5)


def test_terms_of_one_turn_are_told_before_each_of_its_decodings_and_to_no_other_turn(folder: Path) -> None:
    decoder = loaded(folder, hot_words=["n3"])
    library, told = decoder._library, []
    tell = library.set_keyterms
    library.set_keyterms = lambda terms: (told.append(tuple(terms)), tell(terms))
    one, other = copy.copy(decoder), copy.copy(decoder)
    one.start("", "", ("Zürich, Kreis 4",))
    other.start("", "")
    for turn in (one, other, one):
        feed(turn, bursts(2))
    assert told == [("n3", "Zürich  Kreis 4"), ("n3",), ("n3", "Zürich  Kreis 4")]
    assert one.finish().text == heard(4)


def test_the_librarys_stream_of_a_turn_that_was_left_is_freed(folder: Path) -> None:
    decoder = loaded(folder)
    decoder.start("", "")
    close = decoder._current().close
    assert close.alive
    decoder.start("", "")
    gc.collect()
    assert not close.alive


def test_the_catalog_says_of_moonshines_models_what_the_library_says_itself() -> None:
    from moonshine_voice.moonshine_api import moonshine_get_stt_dependencies_string

    catalog = read_catalog()
    for model, size in (("moonshine-tiny-en", 2), ("moonshine-small-en", 4)):
        entry = catalog.find(model)
        (group,) = json.loads(moonshine_get_stt_dependencies_string("en", {"model_arch": size}))["groups"]
        assert entry.sources[0].place == group["base_url"]
        stated = {file["name"]: f"crc32c:{b64decode(file['checksum']).hex()}" for file in group["files"]}
        assert entry.checksums == stated
        assert set(entry.files) == set(stated)
        assert entry.size_mb == pytest.approx(sum(file["size"] for file in group["files"]) / 1e6, abs=1)


async def test_a_damaged_model_is_one_sentence(folder: Path) -> None:
    (folder / "encoder.ort").write_bytes(b"nothing")
    recognizer = create_recognizer(AsrSettings(engine="moonshine", model=str(folder)))
    with pytest.raises(ConfigError, match=r"cannot be loaded"):
        await hear(recognizer, frames(bursts(1)))
    await recognizer.aclose()


def test_a_folder_without_a_part_is_refused_before_anybody_speaks(folder: Path) -> None:
    (folder / "cross_kv.ort").unlink()
    (folder / "frontend.ort").unlink()
    with pytest.raises(ConfigError, match=r"cross_kv\.ort, frontend\.model\.ort is missing"):
        create_recognizer(AsrSettings(engine="moonshine", model=str(folder)))


def test_a_configuration_that_says_too_little_is_named(folder: Path) -> None:
    (folder / "streaming_config.json").write_text(json.dumps({"depth": 1}))
    with pytest.raises(ConfigError, match="total_lookahead"):
        create_recognizer(AsrSettings(engine="moonshine", model=str(folder)))
