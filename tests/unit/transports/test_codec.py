"""The codec: every message survives the wire, and nothing else gets through."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import string
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley import messages
from parley.errors import InvalidRequest
from parley.transports.codec import decode_client, decode_server, encode
from parley.values import Voice

CLIENT_TYPES: tuple[type[Any], ...] = get_args(messages.ClientMessage)
SERVER_TYPES: tuple[type[Any], ...] = get_args(messages.ServerMessage)

text = st.text(max_size=20)
voices = st.builds(Voice, model=text, speaker=text, language=text, speed=st.floats(0.25, 4), lora=text)
for cls, strategy in {Voice: voices, str: text}.items():
    st.register_type_strategy(cls, strategy)
finite = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, finite)
st.register_type_strategy(int, st.integers(-(2**53), 2**53))


@pytest.mark.parametrize("cls", CLIENT_TYPES + SERVER_TYPES, ids=lambda cls: cls.__name__)
def test_every_message_survives_the_wire(cls: type[Any]) -> None:
    decode = decode_client if cls in CLIENT_TYPES else decode_server

    if cls in (messages.StartSession, messages.TextInput, messages.PlayoutReport):
        return  # their values have bounds; the tests below visit them

    @given(st.builds(cls))
    def survives(message: Any) -> None:
        assert decode(encode(message)) == message

    survives()


@pytest.mark.parametrize("cls", CLIENT_TYPES + SERVER_TYPES, ids=lambda cls: cls.__name__)
def test_every_message_carries_its_type_first_and_all_its_fields(cls: type[Any]) -> None:
    values = {f.name: "x" for f in dataclasses.fields(cls) if f.default is f.default_factory}
    body = json.loads(encode(cls(**values)))
    assert list(body) == ["type", *(f.name for f in dataclasses.fields(cls))]
    assert body["type"] == cls.type


def test_types_are_unique_on_the_wire() -> None:
    names = [cls.type for cls in CLIENT_TYPES + SERVER_TYPES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "must be a JSON object, not a list"),
        ("null", "must be a JSON object, not null"),
        ("{}", '"type"'),
        ('{"type": 3}', '"type"'),
        ('{"type": "sing"}', 'no message type "sing"; known are start, text'),
        ('{"type": "started", "session_id": "x"}', 'no message type "started"'),
        ('{"type": "text"}', 'Message "text": field "text" is missing'),
        ('{"type": "text", "text": 3}', 'field "text" must be a string, not a number'),
        ('{"type": "start", "language": "\\ud800"}', "valid Unicode"),
        ('{"type": "text", "text": "a", "loud": true}', 'no field "loud" (its fields: text)'),
        ('{"type": "end", "why": ""}', "its fields: none"),
        ('{"type": "ping", "id": true}', "must be a whole number, not a boolean"),
        ('{"type": "ping", "id": 1.5}', "must be a whole number"),
        ('{"type": "ping", "id": 1e999}', "must be a whole number"),
        ('{"type": "ping", "id": 99999999999999999999}', "too large"),
        ('{"type": "ping", "id": NaN}', "not valid JSON"),
        ('{"type": "start", "echo_cancelled": 1}', "must be true or false"),
        ('{"type": "start", "voice": "amy"}', 'field "voice" must be an object, not a string'),
        ('{"type": "start", "voice": {"pitch": 1}}', 'field "voice" there is no field "pitch"'),
        ('{"type": "start", "voice": {"speed": "fast"}}', 'field "speed" must be a number'),
        ('{"type": "start", "voice": {"speed": 1e999}}', "must be a finite number"),
        ('{"type": "start", "settings": {"a": [1]}}', 'field "settings" does not take a list'),
        ('{"type": "start", "settings": []}', 'field "settings" must be an object'),
    ],
)
def test_a_wrong_message_is_refused_in_one_sentence(wire: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_client(wire)
    assert says in caught.value.message
    assert caught.value.message.endswith(".")
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "message",
    [
        messages.StartSession(),
        messages.StartSession(sample_rate=16_000, voice=Voice("m", "s", "de-DE", 1.5, "l"), settings={"a.b": 2.5}),
        messages.TextInput("Grüß Gott 👋"),
        messages.PlayoutReport("u1", 960),
    ],
)
def test_a_bounded_message_survives_the_wire(message: messages.ClientMessage) -> None:
    assert decode_client(encode(message)) == message


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        ('{"type": "start", "protocol": 2}', "speaks protocol 1, not 2"),
        ('{"type": "start", "sample_rate": 44100}', "must be 16000 or 48000 Hz, not 44100"),
        ('{"type": "start", "voice": {"speed": 9}}', "between 0.25 and 4"),
        ('{"type": "set_voice", "voice": {"speed": 0}}', "between 0.25 and 4"),
        ('{"type": "text", "text": " \\n"}', "text is empty"),
        ('{"type": "playout", "utterance_id": "u", "sample": -1}', "cannot be negative"),
    ],
)
def test_a_value_out_of_bounds_is_refused_in_one_sentence(wire: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_client(wire)
    assert says in caught.value.message


def test_a_literal_takes_only_its_choices() -> None:
    with pytest.raises(InvalidRequest, match="must be one of silent, speaking"):
        decode_server('{"type": "state", "participant": "shouting", "agent": "idle"}')


def test_settings_keep_the_types_of_their_values() -> None:
    wire = '{"type": "start", "settings": {"a": 1, "b": 1.0, "c": true, "d": "x"}}'
    message = decode_client(wire)
    assert isinstance(message, messages.StartSession)
    assert [type(value) for value in message.settings.values()] == [int, float, bool, str]


@pytest.mark.parametrize("kind", ["say", "text"])
def test_a_delta_may_end_in_the_middle_of_a_character(kind: str) -> None:
    message = decode_client(json.dumps({"type": kind, "text": "Hi \ud83d"}))
    assert message.text == "Hi \ud83d"  # type: ignore[union-attr]


@given(st.text())
def test_no_text_does_anything_but_decode_or_be_refused(wire: str) -> None:
    with contextlib.suppress(InvalidRequest):
        decode_client(wire)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(string.printable, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([cls.type for cls in CLIENT_TYPES]), st.dictionaries(st.text(max_size=12), json_values))
def test_no_fields_do_anything_but_decode_or_be_refused(name: str, fields: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidRequest):
        decode_client(json.dumps({**fields, "type": name}))
