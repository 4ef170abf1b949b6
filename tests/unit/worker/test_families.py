"""What the families with files say about files that are missing, broken or of another kind, and how they speak."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from parley import hints
from parley.errors import ConfigError, InvalidRequest, NotFound
from parley.interfaces import TtsAdapter
from parley.testing import tiny_models
from parley.testing.adapters import joined, speak
from parley.values import Voice
from parley.worker.adapters import FAMILIES, adapter_class
from parley.worker.adapters.kokoro import KokoroAdapter
from parley.worker.adapters.pocket import PocketAdapter
from parley.worker.engine_pool import build_pool
from parley.worker.metadata import read_pack
from parley.worker.words import words


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packs")
    tiny_models.piper_pack(root)
    tiny_models.piper_pack(root, "piper-two", speakers=("ann", "bob"))
    tiny_models.piper_pack(root, "piper-bare", alignments=False)
    tiny_models.kokoro_pack(root)
    tiny_models.kokoro_pack(root, "kokoro-untimed", timings=False)
    tiny_models.kokoro_pack(root, "kokoro-published", timings=False, lengths="/encoder/Clip_output_0")
    tiny_models.sherpa_pack(root)
    tiny_models.sherpa_pack(root, "sherpa-three", speakers=3)
    return root


@pytest.fixture
def packs(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "packs"))


def adapter(folder: Path, **metadata: Any) -> TtsAdapter:
    if metadata:
        file = folder / "metadata.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | metadata))
    made: TtsAdapter = adapter_class(folder.parent.name)(read_pack(folder))
    return made


def loaded(folder: Path, **metadata: Any) -> TtsAdapter:
    made = adapter(folder, **metadata)
    made.load()
    return made


def complaint(folder: Path, **metadata: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, **metadata)
    return str(caught.value)


@pytest.mark.parametrize(
    ("pack", "file", "said"),
    [
        ("piper/piper-tiny", "model.onnx", "expects the voice as an ONNX file there"),
        ("piper/piper-tiny", "model.onnx.json", "expects the voice's JSON"),
        ("kokoro/kokoro-tiny", "model.onnx", "expects the model as an ONNX file there"),
        ("kokoro/kokoro-tiny", "voices.bin", "expects the speakers' styles"),
        ("sherpa/sherpa-tiny", "model.onnx", "expects the model as an ONNX file with sherpa-onnx's metadata there"),
        ("sherpa/sherpa-tiny", "tokens.txt", "expects the symbols"),
    ],
)
def test_a_missing_file_is_named_with_what_it_holds(packs: Path, pack: str, file: str, said: str) -> None:
    (packs / pack / file).unlink()
    message = complaint(packs / pack)
    assert str(packs / pack) in message
    assert said in message
    assert "parley models pull" in message


@pytest.mark.parametrize(
    ("pack", "file"),
    [
        ("piper/piper-tiny", "model.onnx"),
        ("piper/piper-tiny", "model.onnx.json"),
        ("kokoro/kokoro-tiny", "model.onnx"),
        ("kokoro/kokoro-tiny", "voices.bin"),
        ("sherpa/sherpa-tiny", "model.onnx"),
        ("sherpa/sherpa-tiny", "tokens.txt"),
    ],
)
def test_a_broken_file_is_named_before_the_engine_can_end_the_process(packs: Path, pack: str, file: str) -> None:
    path = packs / pack / file
    path.write_bytes(b"\x00\xff broken " * 20)
    assert str(path) in complaint(packs / pack)


def test_a_piper_model_in_a_kokoro_pack_is_told_apart(packs: Path) -> None:
    shutil.copy(packs / "piper/piper-tiny/model.onnx", packs / "kokoro/kokoro-tiny/model.onnx")
    assert "no Kokoro model: its inputs are input" in complaint(packs / "kokoro/kokoro-tiny")


def test_a_kokoro_model_in_a_piper_pack_is_told_apart(packs: Path) -> None:
    shutil.copy(packs / "kokoro/kokoro-tiny/model.onnx", packs / "piper/piper-tiny/model.onnx")
    assert "no Piper voice: it lacks the inputs input" in complaint(packs / "piper/piper-tiny")


def test_a_piper_model_without_sherpas_metadata_is_told_apart(packs: Path) -> None:
    shutil.copy(packs / "piper/piper-tiny/model.onnx", packs / "sherpa/sherpa-tiny/model.onnx")
    assert "its metadata lacks n_speakers, sample_rate" in complaint(packs / "sherpa/sherpa-tiny")


def test_a_json_of_another_voice_is_named(packs: Path) -> None:
    path = packs / "piper/piper-tiny/model.onnx.json"
    path.write_text(json.dumps({"audio": {"sample_rate": 22_050}}))
    assert f"{path} is not a Piper voice's JSON: KeyError" in complaint(packs / "piper/piper-tiny")


@pytest.mark.parametrize("family", ["piper", "kokoro", "sherpa", "pocket"])
def test_an_engine_that_is_not_installed_says_how_to_install_it(
    packs: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = packs / family / f"{family}-tiny"
    if family == "pocket":
        folder.mkdir(parents=True)
        (folder / "metadata.yaml").write_text(
            "languages: [en]\nlicence: x\nreference: {audio: a.wav}\noptions: {base: english}\n"
        )
    monkeypatch.setitem(sys.modules, FAMILIES[family].module, None)
    monkeypatch.setattr("parley.worker.adapters.pocket.find_spec", lambda name: None)
    assert f"install it with: {hints.install(family)}." in complaint(folder)


def test_a_pocket_pack_without_a_voice_to_imitate_says_what_is_missing(packs: Path) -> None:
    folder = packs / "pocket" / "mute"
    folder.mkdir(parents=True)
    (folder / "metadata.yaml").write_text("languages: [en]\nlicence: x\n")
    assert "needs a voice to imitate" in complaint(folder)
    assert PocketAdapter(read_pack(folder)).info.speakers == ()


def test_a_model_tells_its_speakers_before_it_is_loaded(built: Path) -> None:
    assert adapter(built / "piper/piper-two").info.speakers == ("ann", "bob")
    assert adapter(built / "kokoro/kokoro-tiny").info.speakers == ("af_one", "am_two")


@pytest.mark.parametrize("pack", ["piper/piper-two", "kokoro/kokoro-tiny", "sherpa/sherpa-three"])
def test_speakers_sound_different(built: Path, pack: str) -> None:
    voice = loaded(built / pack)
    one, other = voice.info.speakers[:2]
    first, second = (joined(speak(voice, "Hello there.", Voice(speaker=name))) for name in (one, other))
    length = min(first.size, second.size)
    assert np.abs(first[:length] - second[:length]).mean() > 0.01


def test_the_metadata_may_rename_speakers_and_choose_the_first(packs: Path) -> None:
    voice = loaded(packs / "piper/piper-two", speakers={"Anna": 0, "Robert": 1}, default_speaker="Robert")
    assert voice.info.speakers == ("Anna", "Robert")
    assert joined(speak(voice, "Hello.", Voice(speaker="Anna"))).size
    with pytest.raises(NotFound, match="it has Anna, Robert"):
        speak(voice, "Hello.", Voice(speaker="ann"))


def test_kokoro_takes_a_list_of_speakers_by_name(packs: Path) -> None:
    voice = loaded(packs / "kokoro/kokoro-tiny", speakers=["am_two"], default_speaker="am_two")
    assert joined(speak(voice, "Hello.")).size


def test_kokoro_refuses_a_speed_that_it_can_not_do(built: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"from 0.5 to 2, not at 3"):
        speak(loaded(built / "kokoro/kokoro-tiny"), "Hello.", Voice(speed=3))


def test_kokoro_refuses_a_language_that_it_can_not_pronounce(built: Path) -> None:
    with pytest.raises(InvalidRequest, match="no pronunciation for the language 'xx'"):
        speak(loaded(built / "kokoro/kokoro-tiny"), "Hello.", Voice(language="xx"))


def test_kokoro_speaks_a_sentence_longer_than_its_window(built: Path) -> None:
    text = "incomprehensibilities " * 13
    chunks = speak(loaded(built / "kokoro/kokoro-tiny"), text)
    assert len([mark for chunk in chunks for mark in chunk.marks]) == 13


@pytest.mark.parametrize(
    ("pack", "kind"),
    [
        ("piper/piper-tiny", "native"),
        ("piper/piper-bare", "native"),
        ("kokoro/kokoro-tiny", "native"),
        ("kokoro/kokoro-untimed", "proportional"),
        ("kokoro/kokoro-published", "native"),
        ("sherpa/sherpa-tiny", "proportional"),
    ],
)
def test_marks_are_the_engines_own_where_the_model_tells_them(built: Path, pack: str, kind: str) -> None:
    assert loaded(built / pack).info.word_marks == kind


def test_lengths_that_a_graph_computes_and_keeps_give_the_marks_of_those_that_it_gives_out(built: Path) -> None:
    given, kept = (
        [mark for chunk in speak(loaded(built / f"kokoro/{name}"), "One two three.") for mark in chunk.marks]
        for name in ("kokoro-tiny", "kokoro-published")
    )
    assert kept == given


@pytest.mark.parametrize("pack", ["piper/piper-bare", "kokoro/kokoro-published"])
def test_exact_marks_can_be_left_out(packs: Path, pack: str) -> None:
    voice = loaded(packs / pack, options={"alignments": False})
    assert voice.info.word_marks == "proportional"
    assert len([mark for chunk in speak(voice, "One two three.") for mark in chunk.marks]) == 3


def test_native_marks_follow_the_words_through_numbers_and_abbreviations(built: Path) -> None:
    text = "Dr. Smith pays 42 dollars; of the rest, nothing. Fine."
    marks = [mark for chunk in speak(loaded(built / "piper/piper-tiny"), text) for mark in chunk.marks]
    assert [(mark.text_start, mark.text_end) for mark in marks] == words(text)


def test_a_sentence_leaves_in_slices_so_that_its_first_frames_need_not_wait(built: Path) -> None:
    chunks = speak(loaded(built / "piper/piper-tiny"), "The quick brown fox jumps over the lazy dog.")
    assert len(chunks) > 3
    assert chunks[0].samples.size == round(0.2 * 22_050)


def test_the_language_of_a_kokoro_speaker_is_in_its_name() -> None:
    from parley.worker.adapters.kokoro import _language

    assert _language(Voice(), "bf_emma") == "en-gb"
    assert _language(Voice(), "ff_siwis") == "fr-fr"
    assert _language(Voice(language="de-DE"), "af_heart") == "de"
    assert _language(Voice(), "someone") == "en-us"
    assert KokoroAdapter.concurrency > 1


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("fr", "Le site web (nouveau) de Microsoft Windows.", "lə sˈit wˈɛb “nuvˈo” də mikʁosˈɔft wˈɪndəʊz."),
        ("it", "Ho visto il weekend (bello) su YouTube.", "o vˈisto il wˌikˈend “bˈɛllo” sʊ jʊː tjˈuːb."),
        ("de", "Das Meeting war cool.", "das mˈeːtɪŋ vɑːɾ kˈuːl."),
    ],
)
def test_kokoro_speaks_foreign_words_without_the_marks_of_a_changed_language(
    built: Path, language: str, text: str, spoken: str
) -> None:
    from parley.worker.adapters.kokoro import _language, _phonemes

    engine = loaded(built / "kokoro/kokoro-tiny")._engine  # type: ignore[attr-defined]
    assert _phonemes(engine, text, _language(Voice(language=language), "af_heart")) == spoken


@pytest.mark.parametrize(
    ("pack", "tag"), [("kokoro/kokoro-tiny", "zh-CN"), ("kokoro/kokoro-tiny", "no"), ("sherpa/sherpa-tiny", "en_GB")]
)
def test_a_language_is_found_under_its_other_tags(built: Path, pack: str, tag: str) -> None:
    assert joined(speak(loaded(built / pack), "1 2 3", Voice(language=tag))).size


def test_sherpa_refuses_a_language_that_it_can_not_pronounce(built: Path) -> None:
    with pytest.raises(InvalidRequest, match="has no language 'xx'"):
        speak(loaded(built / "sherpa/sherpa-tiny"), "Hello.", Voice(language="xx"))


@pytest.mark.parametrize(("pack", "rest"), [("kokoro/kokoro-tiny", 0.25), ("sherpa/sherpa-tiny", 0.2)])
def test_a_family_rests_between_sentences_as_its_page_says(built: Path, pack: str, rest: float) -> None:
    pool = build_pool(read_pack(built / pack).info, lambda: adapter(built / pack), slots=1, isolated=False)
    assert pool.sentence_pause == rest


def test_a_pack_may_choose_its_rest_and_its_language(packs: Path) -> None:
    made = adapter(packs / "kokoro/kokoro-tiny", options={"sentence_pause": 0.5}, default_speaker="am_two")
    pool = build_pool(made.info, lambda: made, slots=1, isolated=False)
    assert pool.sentence_pause == 0.5
    assert pool.language(Voice()) == "en-us"
    assert pool.language(Voice(speaker="ff_siwis")) == "fr-fr"
    assert pool.language(Voice(language="de")) == "de"
