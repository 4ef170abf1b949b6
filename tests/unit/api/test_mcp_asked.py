"""What an MCP client may ask for: each argument is checked, and what is wrong is said in one sentence."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from parley.api.mcp import asked
from parley.api.mcp.asked import Heard, Listen, Models, Said, Say
from parley.errors import InvalidRequest

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
NAMES = st.sampled_from(("text", "voice", "model", "format", "seconds", "language", "audio", "other"))


@settings(max_examples=1_000)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.booleans())
def test_any_arguments_are_a_request_or_are_refused(arguments: dict[str, Any], aloud: bool) -> None:
    with contextlib.suppress(InvalidRequest):
        said = asked.say_asked(arguments, aloud=aloud, longest_text=10)
        assert 0 < len(said.text) <= 10
    with contextlib.suppress(InvalidRequest):
        heard = asked.listen_asked(arguments, aloud=aloud, largest=10)
        assert asked.SHORTEST <= heard.seconds <= asked.LONGEST


@pytest.mark.parametrize(
    ("arguments", "aloud", "told"),
    [
        ({}, True, "text is empty"),
        ({"text": 5}, True, "text must be text"),
        ({"text": "x" * 11}, True, "text has 11 characters; 10 are allowed"),
        ({"text": "Hello.", "format": "wav"}, True, "no argument 'format'; known are text, voice, model"),
        ({"text": "Hello.", "format": "aiff"}, False, "format must be one of mp3"),
    ],
)
def test_a_text_that_cannot_be_said_is_refused(arguments: dict[str, Any], aloud: bool, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        asked.say_asked(arguments, aloud=aloud, longest_text=10)


@pytest.mark.parametrize(
    ("arguments", "aloud", "told"),
    [
        ({"seconds": 0}, True, "from 1 to 120"),
        ({"seconds": True}, True, "from 1 to 120"),
        ({"seconds": float("nan")}, True, "from 1 to 120"),
        ({"audio": "AAAA"}, True, "no argument 'audio'"),
        ({}, False, "no microphone behind this address"),
        ({"audio": "A" * 100}, False, "larger than 10 bytes"),
        ({"audio": "ä" * 8}, False, "no base64"),
    ],
)
def test_what_cannot_be_listened_to_is_refused(arguments: dict[str, Any], aloud: bool, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        asked.listen_asked(arguments, aloud=aloud, largest=10)


def test_what_is_left_out_has_its_usual_value() -> None:
    assert asked.say_asked({"text": "Hi."}, aloud=False, longest_text=10) == Say("Hi.", "", "", "mp3")
    assert asked.listen_asked({}, aloud=True, largest=0) == Listen(asked.USUAL)
    audio = base64.b64encode(b"sound").decode()
    assert asked.listen_asked({"audio": audio}, aloud=False, largest=10).recording == b"sound"


@pytest.mark.parametrize("aloud", [True, False])
def test_what_is_answered_fits_what_was_promised(aloud: bool) -> None:
    tools = {tool["name"]: tool for tool in asked.offered(aloud=aloud, longest_text=10)}
    answers = {"say": Said(3, 1.5), "listen": Heard("", 2.0), "models": Models(["espeak"], {"ears": "x"})}
    for name, tool in tools.items():
        Draft202012Validator.check_schema(tool["inputSchema"])
        Draft202012Validator(tool["outputSchema"]).validate(answers[name].structure)
        assert answers[name].told
