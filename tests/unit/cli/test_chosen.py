"""What ``auto`` stands for, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import structlog
from tests.unit.vad.test_smart_turn import tiny_model

from parley.cli import chosen
from parley.cli.chosen import (
    TurnChoice,
    ears_for,
    in_words,
    interruption_model,
    models_named,
    named_ears,
    turn_model,
    what_would_be_better,
)
from parley.cli.compose import _open_end_of_turn, _open_interruption
from parley.cli.shelf import opened
from parley.config import Settings
from parley.config.loading import load_settings
from parley.errors import ConfigError
from parley.store import StoreSettings, choice, embedded
from parley.testing.tiny_turn_models import tiny_backchannel_detector, tiny_turn_1
from parley.vad.backchannel import Overhearing
from parley.vad.turn_1 import Turn1Mini

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with an empty store of the test's own."""
    return replace(Settings(), store=StoreSettings(folder=str(tmp_path / "store")))


def put(settings: Settings, *names: str) -> None:
    """Empty files in place of fetched models: nobody opens them to choose."""
    catalog, store = opened(settings)
    for name in names:
        entry = catalog.find(name)
        for file in entry.files:
            path = store.path(entry) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"{}")
        if entry.kind == "voice":
            (store.path(entry) / "metadata.yaml").write_text("languages: [en-US]\nlicence: CC0-1.0\n")


def with_turn(settings: Settings, engine: str, path: str = "") -> Settings:
    return replace(
        settings, turn=replace(settings.turn, engine=engine), smart_turn=replace(settings.smart_turn, path=path)
    )


# --- the end of turns --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "named", "taken"),
    [
        ("auto", False, "words"),  # none is measured to be better
        ("auto", True, "smart-turn"),  # who names a file wants it
        ("words", True, "words"),
        ("smart-turn", True, "smart-turn"),
        ("smart-turn", False, "smart-turn-v3.2"),
        ("turn-1-mini", False, "turn-1-mini"),
        ("turn-1-mini", True, "turn-1-mini"),  # that file is Smart Turn's
    ],
)
def test_what_judges_the_end_of_turns(settings: Settings, tmp_path: Path, engine: str, named: bool, taken: str) -> None:
    put(settings, "smart-turn-v3.2", "turn-1-mini")
    file = tmp_path / "mine.onnx"
    choice = turn_model(with_turn(settings, engine, str(file) if named else ""))
    assert choice.name == taken
    assert (choice.path is None) == (choice.name == "words")
    assert (choice.path == file) == (choice.name == "smart-turn")
    assert choice.name.startswith(choice.engine)


@pytest.mark.parametrize("engine", ["smart-turn", "turn-1-mini"])
def test_a_turn_model_of_ones_own_is_named_with_its_engine(settings: Settings, tmp_path: Path, engine: str) -> None:
    own = str(tmp_path / "mine.onnx")
    named = replace(settings, turn=replace(settings.turn, engine=engine, path=own))
    assert turn_model(named) == TurnChoice(engine, engine, tmp_path / "mine.onnx")
    for other in ("auto", "words"):
        with pytest.raises(ConfigError, match=r"set turn\.engine to smart-turn or turn-1-mini"):
            turn_model(replace(settings, turn=replace(settings.turn, engine=other, path=own)))


def test_auto_takes_a_turn_model_as_soon_as_one_is_measured_to_be_better(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "TURN_ENGINES_IN_AUTO", ("turn-1-mini", "smart-turn"))
    assert turn_model(settings).name == "words"
    put(settings, "smart-turn-v3.2")
    assert turn_model(settings).name == "smart-turn-v3.2"
    put(settings, "turn-1-mini")
    assert turn_model(settings).name == "turn-1-mini"


@pytest.mark.parametrize(("engine", "model"), [("smart-turn", r"smart-turn-v3\.2"), ("turn-1-mini", "turn-1-mini")])
def test_a_turn_model_that_is_asked_for_and_not_here_is_said_with_what_fetches_it(
    settings: Settings, engine: str, model: str
) -> None:
    with pytest.raises(ConfigError, match=f"pull {model}"):
        turn_model(with_turn(settings, engine))


@pytest.mark.parametrize("engine", ["faster-whisper", "auto"])
def test_a_recognisers_model_goes_by_its_name_in_the_catalog(settings: Settings, engine: str) -> None:
    settings = replace(settings, asr=replace(settings.asr, engine=engine, model="whisper-base"))
    with pytest.raises(ConfigError, match="pull whisper-base"):
        named_ears(settings)
    put(settings, "whisper-base", "whisper-tiny.en")
    catalog, store = opened(settings)
    named = named_ears(settings)
    assert (named.engine, named.model) == ("faster-whisper", str(store.path(catalog.find("whisper-base"))))
    assert models_named(settings)["ears"] == "whisper-base"
    assert "ears" not in what_would_be_better(settings)


def test_a_model_of_another_engine_is_refused_with_its_own(settings: Settings) -> None:
    settings = replace(settings, asr=replace(settings.asr, engine="faster-whisper", model="moonshine-tiny-en"))
    with pytest.raises(ConfigError, match=r"which moonshine runs; set asr\.engine to moonshine or auto"):
        named_ears(settings)


@pytest.mark.parametrize(
    ("here", "language", "taken"),
    [
        ([], "en", ""),
        (["whisper-tiny.en"], "en", "whisper-tiny.en"),
        (["whisper-tiny.en"], "de", ""),
        (["whisper-tiny.en", "whisper-base"], "de", "whisper-base"),
    ],
)
def test_whisperx_takes_the_best_whisper_model_that_is_here(
    settings: Settings, here: list[str], language: str, taken: str
) -> None:
    settings = replace(settings, asr=replace(settings.asr, engine="whisperx", language=language))
    put(settings, *here)
    catalog, store = opened(settings)
    assert named_ears(settings).model == (str(store.path(catalog.find(taken))) if taken else "")


def test_the_fetched_model_is_the_one_that_sessions_get(settings: Settings) -> None:
    catalog, store = opened(settings)
    folder = store.path(catalog.find("smart-turn-v3.2"))
    folder.mkdir(parents=True)
    tiny_model(folder / "model.onnx")
    assert _open_end_of_turn(with_turn(settings, "smart-turn")) is not None
    assert _open_end_of_turn(with_turn(settings, "words")) is None
    other = store.path(catalog.find("turn-1-mini"))
    other.mkdir(parents=True)
    tiny_turn_1(other / "model.onnx")
    assert isinstance(_open_end_of_turn(with_turn(settings, "turn-1-mini")), Turn1Mini)


@pytest.mark.parametrize(
    ("engine", "taken"), [("auto", "words"), ("words", "words"), ("backchannel-detector", "backchannel-detector")]
)
def test_what_judges_speech_over_a_reply(settings: Settings, engine: str, taken: str) -> None:
    put(settings, "backchannel-detector")
    settings = replace(settings, interruption=replace(settings.interruption, engine=engine))
    choice = interruption_model(settings)
    assert choice.name == taken
    assert models_named(settings).get("interruption", "words") == taken


def test_a_model_of_interruptions_is_fetched_or_named_with_its_engine(settings: Settings, tmp_path: Path) -> None:
    wanted = replace(settings.interruption, engine="backchannel-detector")
    with pytest.raises(ConfigError, match=r"pull backchannel-detector.* its file: interruption\.path"):
        interruption_model(replace(settings, interruption=wanted))
    own = tiny_backchannel_detector(tmp_path / "mine.onnx")
    with pytest.raises(ConfigError, match=r"set interruption\.engine to backchannel-detector"):
        interruption_model(replace(settings, interruption=replace(settings.interruption, path=str(own))))
    overhear = _open_interruption(replace(settings, interruption=replace(wanted, path=str(own))))
    assert isinstance(overhear(), Overhearing)
    assert _open_interruption(settings)() is None


def test_a_judge_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="words, smart-turn"):
        load_settings(flags={"turn.engine": "magic"}, environ={})


# --- ears --------------------------------------------------------------------------------


def test_english_only_ears_never_hear_another_language_and_it_is_said_who_does(settings: Settings) -> None:
    pytest.importorskip("faster_whisper")
    put(settings, "whisper-tiny.en")
    assert ears_for(settings, "en-GB").engine == "faster-whisper"
    with structlog.testing.capture_logs() as logs:
        assert ears_for(settings, "de-AT").engine == embedded.EARS
    (told,) = logs
    assert told["language"] == "de"
    assert told["mend"].endswith("pull whisper-base")


# --- what people are told ----------------------------------------------------------------


def test_with_nothing_fetched_everything_is_embedded_and_one_command_is_named(settings: Settings) -> None:
    named = models_named(settings)
    assert named == {"ears": "pocketsphinx", "voice": "espeak", "turn": "words", "llm": "script"}
    assert in_words(named).count("(embedded)") == 4
    better = what_would_be_better(settings)
    assert better.startswith("Better ears and a person's voice: `")
    assert "pull recommended`" in better
    assert "MB" in better


def test_what_is_here_is_used_and_nothing_better_is_named(settings: Settings) -> None:
    pytest.importorskip("faster_whisper")
    pytest.importorskip("piper")
    put(settings, "whisper-tiny.en", "en_US-joe-medium", "smart-turn-v3.2")
    named = models_named(settings)
    assert (named["ears"], named["voice"], named["turn"]) == ("whisper-tiny.en", "en_US-joe-medium", "words")
    assert "(embedded)" not in in_words(named).partition(", knows")[0]
    assert what_would_be_better(settings) == ""


def test_an_engine_that_is_missing_is_named_though_its_model_is_here(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from parley.store import engines

    monkeypatch.setattr(engines, "find_spec", lambda module: None)
    put(settings, "whisper-tiny.en", "en_US-joe-medium", "smart-turn-v3.2")
    assert models_named(settings)["ears"] == "pocketsphinx"
    assert "faster-whisper" in what_would_be_better(settings)


def test_another_language_is_recommended_its_own_ears(settings: Settings) -> None:
    german = replace(settings, asr=replace(settings.asr, language="de"))
    assert "pull whisper-base de_DE-thorsten-medium`" in what_would_be_better(german)


def test_who_chose_is_not_told_of_anything_better(settings: Settings) -> None:
    own = replace(settings, asr=replace(settings.asr, engine="pocketsphinx"))
    assert "ears" not in what_would_be_better(own)


async def nobody(*_: object) -> list[object]:
    raise AssertionError("who has a language model is not offered another")


@pytest.mark.anyio
async def test_who_has_a_language_model_is_not_offered_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parley.llm.nearby.find_nearby", nobody)
    own = replace(settings, llm=replace(settings.llm, engine="openai"))
    assert await chosen.language_models_nearby(own) == []
