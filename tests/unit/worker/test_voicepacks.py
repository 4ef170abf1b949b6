"""The catalog: packs on disk, their mistakes, changes, aliases, families from other packages."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

from parley.errors import ConfigError, NotFound
from parley.worker import adapters
from parley.worker.known_voices import read_known_voices
from parley.worker.pack import PackFile
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "languages: [en-US]\nlicence: MIT\n"


def write(root: Path, path: str, text: str = GOOD) -> Path:
    file = root / path / "metadata.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def problem(tmp_path: Path, text: str, family: str = "piper") -> str:
    file = write(tmp_path, f"{family}/voice", text)
    problems = VoicePackCatalog((tmp_path,)).problems()
    message = str(problems["voice"])
    assert message.startswith(str(file))
    return message


def test_a_pack_is_found_by_its_folders(tmp_path: Path) -> None:
    write(tmp_path, "piper/amy", GOOD + "tags: [cpu_ok]\nmemory_mb: 63\nspeakers: [a, b]\ndefault_speaker: b\n")
    info = next(info for info in VoicePackCatalog((tmp_path,)).models() if info.model_id == "amy")
    assert info.family == "piper"
    assert info.memory_bytes == 63_000_000
    assert info.speakers == ("a", "b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("langauges: [en]\nlicence: MIT\n", "there is no key 'langauges' (did you mean 'languages'?); allowed are"),
        ("licence: MIT\n", "the key 'languages' is missing"),
        ("languages: [en]\n", "the key 'licence' is missing"),
        ("languages: []\nlicence: MIT\n", "key 'languages' is empty"),
        ("languages: [en_US]\nlicence: MIT\n", "(did you mean 'en-US'?)"),
        ("languages: en\nlicence: MIT\n", "key 'languages' is 'en'; it must be a list of texts"),
        (GOOD + "needs_gpu: sometimes\n", "key 'needs_gpu' is 'sometimes'; it must be true or false"),
        (GOOD + "sample_rate: 8\n", "key 'sample_rate' is 8; it must be at least 8000 Hz"),
        (GOOD + "memory_mb: lots\n", "key 'memory_mb' is 'lots'; it must be a whole number"),
        (GOOD + "speakers: [a]\ndefault_speaker: c\n", "key 'default_speaker' is 'c'; it must be one of a"),
        (GOOD + "files: {modle: x.onnx}\n", "there is no key 'files.modle' (did you mean 'model'?)"),
        (GOOD + "options: {thread: 2}\n", "there is no key 'options.thread' (did you mean 'threads'?)"),
        (GOOD + "options: {threads: many}\n", "key 'options.threads' is 'many'; it must be a whole number"),
        (GOOD + "options: {threads: 99}\n", "key 'options.threads' is 99; it must be at most 64"),
        (GOOD + "reference: seed.wav\n", "key 'reference' is 'seed.wav'; it must be a mapping"),
        (GOOD + "reference: {adio: x.wav}\n", "there is no key 'reference.adio' (did you mean 'audio'?)"),
        ("languages: [en\n", "line 2, column 1: this is not YAML"),
        ("- a\n", "it must be a mapping"),
    ],
)
def test_a_mistake_is_named_with_file_key_value_and_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(tmp_path, text)


def test_a_choice_says_what_there_is_to_choose(tmp_path: Path) -> None:
    said = problem(tmp_path, GOOD + "options: {type: tacotron}\n", "sherpa")
    assert "key 'options.type' is 'tacotron'; it must be one of vits, matcha, kokoro, kitten" in said


def test_a_broken_pack_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path, "piper/good")
    write(tmp_path, "piper/bad", "nonsense: 1\n")
    catalog = VoicePackCatalog((tmp_path,), builtins=())
    assert [info.model_id for info in catalog.models()] == ["good"]
    with pytest.raises(ConfigError, match="there is no key 'nonsense'"):
        catalog.create("bad")


def test_a_folder_without_metadata_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "piper" / "amy").mkdir(parents=True)
    assert "metadata.yaml is missing" in str(VoicePackCatalog((tmp_path,)).problems()["amy"])


def test_an_unknown_family_lists_those_there_are(tmp_path: Path) -> None:
    write(tmp_path, "pipper/amy")
    said = str(VoicePackCatalog((tmp_path,)).problems()["amy"])
    assert "'pipper'" in said
    assert "piper" in said
    assert adapters.ENTRY_POINT_GROUP in said


def test_two_packs_of_one_id_are_refused_by_the_second_ones_name(tmp_path: Path) -> None:
    write(tmp_path, "kokoro/amy")
    write(tmp_path, "piper/amy")
    catalog = VoicePackCatalog((tmp_path,))
    assert catalog.pack("amy").info.family == "kokoro"
    assert "taken by the family kokoro" in str(catalog.problems()["piper/amy"])


def test_hidden_folders_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "piper/.amy.part")
    assert VoicePackCatalog((tmp_path,), builtins=()).models() == []


def test_an_unknown_model_says_what_there_is_and_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=rf"no model called 'zoe'; there are .*tone.*{tmp_path}"):
        VoicePackCatalog((tmp_path,)).resolve("zoe")


def test_a_known_voice_that_is_not_here_says_how_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"parley models pull kokoro-v1.0"):
        VoicePackCatalog((tmp_path,)).resolve("kokoro-v1.0")


def test_an_alias_leads_to_its_model_and_a_pin_is_known(tmp_path: Path) -> None:
    (tmp_path / "model_catalog.yaml").write_text("aliases: {beep: tone}\npins: [tone]\n", "utf-8")
    catalog = VoicePackCatalog((tmp_path,))
    assert catalog.resolve("beep") == "tone"
    assert catalog.pins == {"tone"}


def test_a_mistake_in_the_catalog_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_catalog.yaml").write_text("voices: {a: {famly: piper}}\n", "utf-8")
    with pytest.raises(ConfigError, match=r"no key 'voices.a.famly' \(did you mean 'family'\?\)"):
        VoicePackCatalog((tmp_path,))


def test_refresh_tells_what_was_added_changed_and_removed(tmp_path: Path) -> None:
    catalog = VoicePackCatalog((tmp_path,))
    file = write(tmp_path, "piper/amy")
    assert catalog.refresh().added == {"amy"}
    assert not catalog.refresh()
    weights = file.parent / "model.onnx"
    weights.write_bytes(b"1")
    assert catalog.refresh().changed == {"amy"}
    os.utime(weights, ns=(1, 1))
    assert catalog.refresh().changed == {"amy"}
    weights.unlink()
    file.unlink()
    file.parent.rmdir()
    assert catalog.refresh().removed == {"amy"}


def test_a_mended_pack_works_after_refresh(tmp_path: Path) -> None:
    write(tmp_path, "piper/amy", "oops")
    catalog = VoicePackCatalog((tmp_path,))
    assert catalog.problems()
    write(tmp_path, "piper/amy")
    catalog.refresh()
    assert not catalog.problems()
    assert catalog.create("amy").info.model_id == "amy"


def test_a_missing_file_is_named_with_what_it_holds_and_how_to_get_it(tmp_path: Path) -> None:
    write(tmp_path, "piper/amy")
    pack = VoicePackCatalog((tmp_path,)).pack("amy")
    with pytest.raises(ConfigError, match=r"amy/\*\.onnx is missing: .* expects the voice .*parley models pull amy"):
        pack.file("model", PackFile("the voice", "*.onnx"))


def test_several_files_for_one_role_ask_which(tmp_path: Path) -> None:
    folder = write(tmp_path, "piper/amy").parent
    (folder / "a.onnx").touch()
    (folder / "b.onnx").touch()
    with pytest.raises(ConfigError, match=r"several files could be the model \(a.onnx, b.onnx\)"):
        VoicePackCatalog((tmp_path,)).pack("amy").file("model", PackFile("the voice", "*.onnx"))


def test_a_file_outside_the_pack_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "piper/amy", GOOD + "files: {model: ../../secret.onnx}\n")
    with pytest.raises(ConfigError, match="points outside the pack's folder"):
        VoicePackCatalog((tmp_path,)).pack("amy").file("model", PackFile("the voice", "*.onnx"))


def test_every_known_voice_names_a_family_and_a_licence() -> None:
    voices = read_known_voices().of_kind("voice")
    assert voices
    for voice in voices.values():
        assert voice.engine in adapters.FAMILIES
        assert voice.metadata["licence"]


def test_listing_models_imports_no_engine(tmp_path: Path) -> None:
    for family in adapters.FAMILIES:
        write(tmp_path, f"{family}/{family}-voice")
    code = (
        "import sys; from pathlib import Path; from parley.worker.voicepacks import VoicePackCatalog;"
        f"catalog = VoicePackCatalog((Path({str(tmp_path)!r}),));"
        "[catalog.create(info.model_id) for info in catalog.models()];"
        "print([name for name in ('torch', 'onnxruntime', 'piper', 'kokoro_onnx', 'sherpa_onnx', 'pocket_tts')"
        " if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


class _Points:
    """Stands in for what other packages have installed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
        found = [EntryPoint(name, value, adapters.ENTRY_POINT_GROUP) for name, value in points]

        def entry_points(group: str) -> list[EntryPoint]:
            return found if group == adapters.ENTRY_POINT_GROUP else []

        monkeypatch.setattr(adapters, "entry_points", entry_points)


@pytest.fixture(autouse=True)
def _fresh_families() -> Any:
    adapters.forget_outside_families()
    yield
    adapters.forget_outside_families()


def test_another_package_adds_a_family(monkeypatch: pytest.MonkeyPatch) -> None:
    _Points(monkeypatch, ("chimes", "parley.worker.adapters.tone:ToneAdapter"))
    assert "chimes" in adapters.family_names()
    assert adapters.adapter_class("chimes").__name__ == "ToneAdapter"


def test_another_package_can_not_take_a_built_in_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _Points(monkeypatch, ("piper", "somewhere:Else"))
    with pytest.raises(ConfigError, match="a family called 'piper', which is built in"):
        adapters.family("nothing")


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _Points(monkeypatch, ("chimes", "one:A"), ("chimes", "two:B"))
    with pytest.raises(ConfigError, match=r"Both .* and .* offer a family called 'chimes'"):
        adapters.family("chimes")


def test_an_adapter_that_can_not_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _Points(monkeypatch, ("chimes", "no_such_package.chimes:Adapter"))
    with pytest.raises(ConfigError, match=r"adapter of the family chimes .* can not be imported"):
        adapters.adapter_class("chimes")


def test_a_voice_that_comes_or_goes_is_a_speaker_and_no_reason_to_read_the_model_again(tmp_path: Path) -> None:
    write(tmp_path, "pocket/me")
    catalog = VoicePackCatalog((tmp_path,), cloning=True)
    assert catalog.pack("me").info.tags == ("cloning",)
    voices = tmp_path / "pocket" / "me" / "voices"
    voices.mkdir()
    (voices / "anna.wav").write_bytes(b"RIFF")
    (voices / ".bert.wav.new").write_bytes(b"half of it")
    (voices / "not a name.wav").write_bytes(b"RIFF")
    assert not catalog.refresh()
    assert catalog.pack("me").info.speakers == ("anna",)
    (voices / "anna.wav").unlink()
    assert not catalog.refresh()
    assert catalog.pack("me").info.speakers == ()


def test_who_does_not_allow_it_has_no_model_that_is_said_to_clone(tmp_path: Path) -> None:
    write(tmp_path, "pocket/me")
    write(tmp_path, "piper/amy")
    assert VoicePackCatalog((tmp_path,)).pack("me").info.tags == ()
    assert VoicePackCatalog((tmp_path,), cloning=True).pack("amy").info.tags == ()
