"""sherpa-onnx's real library with transducers that hear a word per burst of sound."""

from pathlib import Path

import pytest

from parley.asr import AsrSettings, create_recognizer
from parley.asr.sherpa import TransducerDecoder
from parley.cli.compose import open_recognizer
from parley.config import load_settings
from parley.testing.bursts import bursts
from parley.testing.recognizers import frames, hear
from parley.testing.tiny_transducer import nemo_folder, transducer_folder

pytest.importorskip("sherpa_onnx")
pytestmark = pytest.mark.anyio
SENTENCES = {"en-US": "turn on the kitchen lights", "de-DE": "mach bitte die lampe an"}


def loaded(folder: Path, **more: object) -> TransducerDecoder:
    decoder = TransducerDecoder(str(folder), **more)  # type: ignore[arg-type]
    decoder.load()
    return decoder


@pytest.mark.parametrize(
    ("language", "text", "told"),
    [("en-US", "turn on the", "en-US"), ("de-AT", "mach bitte die", "de-AT"), ("fi", "turn on the", "")],
)
async def test_a_model_of_many_languages_is_told_which_one_to_listen_for(
    tmp_path: Path, language: str, text: str, told: str
) -> None:
    folder = nemo_folder(tmp_path, SENTENCES)
    recognizer = create_recognizer(AsrSettings(engine="sherpa", model=str(folder)))
    final = (await hear(recognizer, frames(bursts(3)), language=language))[-1]
    await recognizer.aclose()
    assert (final.text, final.language) == (text, told)


async def test_a_model_of_the_catalog_hears_by_its_name_alone(tmp_path: Path) -> None:
    nemo_folder(tmp_path / "ears" / "nemotron-3.5-streaming", SENTENCES)
    flags = {"store.folder": str(tmp_path), "asr.model": "nemotron-3.5-streaming"}
    recognizer = open_recognizer(load_settings(flags=flags, environ={}))
    final = (await hear(recognizer, frames(bursts(3)), language="de-DE"))[-1]
    await recognizer.aclose()
    assert final.text == "mach bitte die"


@pytest.mark.parametrize("build", [transducer_folder, nemo_folder])
def test_hot_words_are_searched_for_where_they_can_be_spelled(tmp_path: Path, build: object) -> None:
    folder = build(tmp_path, SENTENCES["en-US"])  # type: ignore[operator]
    words = SENTENCES["en-US"].split()
    (folder / "bpe.vocab").write_text("".join(f"\u2581{word}\t-{place}\n" for place, word in enumerate(words, 1)))
    decoder = loaded(folder, hot_words=["kitchen", "Zürich"])
    decoder.start("", "")
    partial = decoder.feed(bursts(5).tobytes())
    assert partial is not None
    assert partial.stable == 0  # other hypotheses are open
    assert decoder.finish().text == SENTENCES["en-US"]
    decoder.start("", "", ("lights :loud", "@home #2 / :", "Zürich"))  # the library would read numbers there
    decoder.feed(bursts(5).tobytes())
    assert decoder.finish().text == SENTENCES["en-US"]


def test_one_hypothesis_takes_back_no_word_but_the_last(tmp_path: Path) -> None:
    decoder = loaded(transducer_folder(tmp_path, SENTENCES["en-US"]))
    decoder.start("", "")
    partial = decoder.feed(bursts(5).tobytes())
    assert partial is not None
    assert partial.text[: partial.stable] == "turn on the kitchen"


def test_how_sure_a_transcript_is_comes_from_the_networks_own_probabilities(tmp_path: Path) -> None:
    said = {}
    for sure in (20.0, 2.0):
        decoder = loaded(transducer_folder(tmp_path / str(sure), SENTENCES["en-US"], sure=sure))
        decoder.start("", "")
        decoder.feed(bursts(5).tobytes())
        said[sure] = decoder.finish()
    assert said[20.0].text == said[2.0].text
    assert said[20.0].confidence > 0.99
    assert said[2.0].confidence < 0.6
    words = [word.probability for word in said[2.0].words]
    assert min(words) < said[2.0].confidence < max(words)


def test_what_the_network_has_not_come_to_is_not_covered(tmp_path: Path) -> None:
    decoder = loaded(nemo_folder(tmp_path, SENTENCES["en-US"], chunk=112))
    decoder.start("", "")
    partial = decoder.feed(bursts(4).tobytes())
    assert partial is not None
    assert partial.text == "turn on"
    assert partial.covered == pytest.approx(1.12 - 0.3)  # a word may be said so late
    assert decoder.pause().covered == pytest.approx(4 * 0.48)
    decoder.start("", "")
    decoder.feed(bursts(1)[:4_800].tobytes())
    assert 0 < decoder._transcript(final=False).covered < 0.01  # it does say, that it is nothing yet


def test_a_pause_in_the_middle_moves_no_word(tmp_path: Path) -> None:
    decoder = loaded(nemo_folder(tmp_path, SENTENCES["en-US"], chunk=112))
    starts = []
    for pauses in (False, True):
        decoder.start("", "")
        for count in (2, 3):
            decoder.feed(bursts(count).tobytes())
            if pauses:
                decoder.pause()
        starts.append([word.start for word in decoder.finish().words])
    assert starts[1] == pytest.approx(starts[0], abs=0.1)
