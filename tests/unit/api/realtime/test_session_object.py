"""The session object: defaults are filled in, what is left out stays, and it means what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parley.api.realtime.errors import ClientError
from parley.api.realtime.session_object import SessionObject
from parley.values import ReplyOptions

SERVER_VAD = {
    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
    "idle_timeout_ms": None, "create_response": True, "interrupt_response": True,
}  # fmt: skip
TOOL = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}


def new(**patch: Any) -> SessionObject:
    return SessionObject.new("realtime", "gpt-realtime").updated({"type": "realtime", **patch})


def heard(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def test_what_was_never_set_reads_back_as_what_counts() -> None:
    shown = new().shown("sess_1")
    assert (shown["type"], shown["object"], shown["id"]) == ("realtime", "realtime.session", "sess_1")
    assert shown["output_modalities"] == ["audio"]
    assert shown["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert shown["audio"]["input"]["transcription"] is None
    turns = shown["audio"]["input"]["turn_detection"]
    assert (turns["create_response"], turns["interrupt_response"]) == (True, True)
    assert isinstance(shown["audio"]["output"]["voice"], str)


def test_what_an_update_leaves_out_stays_and_null_clears() -> None:
    session = new(instructions="Be kind.", **heard(transcription={"model": "whisper-1", "language": "de"}))
    session = session.updated(heard(turn_detection=None))
    assert session.data["instructions"] == "Be kind."
    assert session.heard["transcription"] == {"model": "whisper-1", "language": "de"}
    assert session.heard["turn_detection"] is None
    session = session.updated(heard(transcription=None, noise_reduction=None))
    assert session.heard["transcription"] is None
    assert session.updated({"instructions": None}).data["instructions"] == ""


def test_an_object_replaces_the_one_before_and_its_defaults_are_filled_in() -> None:
    session = new(**heard(turn_detection={**SERVER_VAD, "threshold": 0.9}))
    session = session.updated(heard(turn_detection={"type": "server_vad"}))
    assert session.heard["turn_detection"] == SERVER_VAD
    assert session.updated(heard(turn_detection={"type": "semantic_vad", "eagerness": "low"})).heard[
        "turn_detection"
    ] == {"type": "semantic_vad", "eagerness": "low", "create_response": True, "interrupt_response": True}


def test_a_refused_update_changes_nothing() -> None:
    session = new(instructions="Old.")
    with pytest.raises(ClientError):
        session.updated({"instructions": "New.", "voice": "alloy"})
    assert session.data["instructions"] == "Old."


@pytest.mark.parametrize(
    ("patch", "code", "param"),
    [
        ({"voice": "alloy"}, "unknown_parameter", "session.voice"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "song"}, "invalid_value", "session.type"),
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"instructions": 5}, "invalid_type", "session.instructions"),
        ({"tools": {}}, "invalid_type", "session.tools"),
        ({"tools": [{"type": "mcp", "server_label": "x y"}]}, "invalid_value", "session.tools[0].server_label"),
        ({"tools": [{**TOOL, "name": "not a name"}]}, "invalid_value", "session.tools[0].name"),
        ({"tools": [TOOL, TOOL]}, "invalid_value", "session.tools[1].name"),
        ({"tool_choice": "perhaps"}, "invalid_value", "session.tool_choice"),
        ({"max_output_tokens": 0}, "invalid_value", "session.max_output_tokens"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}},
         "invalid_value", "session.audio.input.format.rate"),
        ({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
         "invalid_value", "session.audio.input.turn_detection.threshold"),
        ({"audio": {"output": {"speed": 9}}}, "invalid_value", "session.audio.output.speed"),
        ({"audio": {"output": {"voice": 5}}}, "invalid_type", "session.audio.output.voice"),
        ({"audio": {"music": {}}}, "unknown_parameter", "session.audio.music"),
        ({"tool_choice": {"type": "function", "name": "n" * 65}}, "invalid_value", "session.tool_choice.name"),
        ({"include": {}}, "invalid_type", "session.include"),
        ({"parallel_tool_calls": "yes"}, "invalid_type", "session.parallel_tool_calls"),
        ({"include": ["x" * 5_000]}, "invalid_value", "session.include"),
        ({"prompt": {"id": "x" * 5_000}}, "invalid_value", "session.prompt"),
        ({"reasoning": {"effort": "x" * 5_000}}, "invalid_value", "session.reasoning"),
        ({"tracing": {"metadata": ["x"] * 5_000}}, "invalid_value", "session.tracing"),
        ({"truncation": "x" * 5_000}, "invalid_value", "session.truncation"),
        ({"audio": {"input": {"noise_reduction": {"type": "x" * 5_000}}}},
         "invalid_value", "session.audio.input.noise_reduction"),
        ({"audio": {"input": {"transcription": {"keywords": "Ecobee"}}}},
         "invalid_type", "session.audio.input.transcription.keywords"),
        ({"audio": {"input": {"transcription": {"keywords": ["x"] * 101}}}},
         "invalid_value", "session.audio.input.transcription.keywords"),
        ({"audio": {"input": {"transcription": {"languages": ["x" * 65]}}}},
         "invalid_value", "session.audio.input.transcription.languages"),
        ({"audio": {"input": {"transcription": {"delay": "none"}}}},
         "invalid_value", "session.audio.input.transcription.delay"),
        ({"audio": {"input": {"transcription": {"language": "x" * 65}}}},
         "invalid_value", "session.audio.input.transcription.language"),
        ({"tools": [{**TOOL, "parameters": {"required": 5}}]}, "invalid_value", "session.tools[0].parameters"),
        ({"tools": [{**TOOL, "parameters": {"properties": {"a": {"enum": 5}}}}]},
         "invalid_value", "session.tools[0].parameters"),
        ({"tools": [{**TOOL, "parameters": {"items": {"type": [[]]}}}]},
         "invalid_value", "session.tools[0].parameters"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(patch: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(ClientError) as caught:
        new(**patch)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_name_that_no_tool_can_have_is_not_said_in_full() -> None:
    with pytest.raises(ClientError) as caught:
        new(tools=[{**TOOL, "name": "n" * 10_000}])
    assert len(caught.value.message) < 200


def test_an_update_changes_nothing_of_the_object_before_it() -> None:
    session = new(tools=[TOOL], **heard(transcription={"model": "whisper-1"}))
    before, shown = json.dumps(session.data), session.shown("s")
    session.updated({"instructions": "New.", "audio": {"output": {"voice": "ash"}}, **heard_more()})
    session.speaking("echo")
    assert json.dumps(session.data) == before
    assert json.dumps({name: value for name, value in shown.items() if name in session.data}) == before


def heard_more() -> dict[str, Any]:
    return {"tools": [], "tool_choice": "none", "tracing": "auto"}


def test_tools_that_stay_are_not_copied() -> None:
    """They may be a hundred thousand characters, and a client may ask for updates all the time."""
    session = new(tools=[TOOL])
    assert session.updated({"instructions": "New."}).shown("s")["tools"] is session.data["tools"]


@pytest.mark.parametrize(
    ("turns", "answers", "interrupts", "detects"),
    [
        (None, False, False, False),
        ({"type": "semantic_vad"}, True, True, True),
        ({"type": "server_vad", "create_response": False}, False, True, True),
        ({"type": "server_vad", "interrupt_response": False}, True, False, True),
    ],
)
def test_turn_detection_says_who_answers_and_interrupts(
    turns: Any, answers: bool, interrupts: bool, detects: bool
) -> None:
    manner = new(**heard(turn_detection=turns)).manner()
    assert (manner.answers, manner.interrupts, manner.detects) == (answers, interrupts, detects)


def test_a_fixed_silence_ends_turns_where_the_client_asks_for_one() -> None:
    turns = {"type": "server_vad", "silence_duration_ms": 700, "threshold": 0.4, "prefix_padding_ms": 100}
    settings = new(**heard(turn_detection=turns)).manner().settings
    assert {settings[f"endpointing.{name}"] for name in ("min_delay", "delay", "doubtful_delay", "max_delay")} == {0.7}
    assert (settings["segmenter.start_threshold"], settings["segmenter.pre_roll"]) == (0.4, 0.1)
    assert settings["endpointing.semantic"] is False
    assert not new().manner().settings


def test_tools_and_limits_are_what_the_model_is_told() -> None:
    manner = new(tools=[TOOL], tool_choice={"type": "function", "name": "look"}, max_output_tokens=50).manner()
    assert [tool.name for tool in manner.tools] == ["look"]
    assert manner.options == ReplyOptions(50, tool="look", usage=True)
    assert new(instructions="Be kind.").manner().instructions == "Be kind."
    assert new().manner().instructions is None


def test_a_transcription_session_hears_and_says_nothing() -> None:
    session = SessionObject.new("transcription", "").updated({"type": "transcription"})
    manner = session.manner()
    assert (manner.answers, manner.interrupts) == (False, False)
    assert session.writes_down
    with pytest.raises(ClientError):
        session.updated({"instructions": "Speak."})


def test_what_is_likely_to_be_said_reaches_the_recogniser_keywords_first() -> None:
    def expected(**transcription: Any) -> tuple[str, ...]:
        return new(**heard(transcription=transcription)).manner().hot_words

    assert expected(prompt="Zürich, Ecobee\nthe blue umbrella") == ("Zürich", "Ecobee", "the blue umbrella")
    assert expected(prompt="Ecobee, Piper", keywords=["Piper", "Kokoro"]) == ("Piper", "Kokoro", "Ecobee")
    assert expected(model="whisper-1") == new().manner().hot_words == ()
    session = new(**heard(transcription={"prompt": "Ecobee"}))
    assert session.updated(heard(noise_reduction=None)).manner().hot_words == ("Ecobee",)
    assert session.updated(heard(transcription={"model": "whisper-1"})).manner().hot_words == ()


def test_of_several_languages_that_may_be_spoken_none_is_chosen() -> None:
    def spoken(**transcription: Any) -> str:
        return new(**heard(transcription=transcription)).manner().language

    assert spoken(languages=["de"]) == "de"
    assert spoken(languages=["de", "fr"]) == ""
    assert spoken(languages=["de", "fr"], language="it") == "it"


def test_all_that_is_said_of_a_transcription_reads_back() -> None:
    said = {"model": "gpt-live-transcribe", "keywords": ["Ecobee"], "languages": ["de", "fr"], "delay": "low"}
    assert new(**heard(transcription=said)).heard["transcription"] == said
