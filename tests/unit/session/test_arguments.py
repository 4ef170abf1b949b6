"""What a model wrote for a tool is read, or refused in a sentence that helps it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.errors import InvalidRequest
from parley.session.decide.arguments import LONGEST, canonical, read_arguments

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "unit": {"type": "string", "enum": ["C", "F"]},
        "where": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "maybe": {"type": ["string", "null"]},
    },
    "required": ["city"],
}


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Rome"}',
        ' {"city": "Rome", "days": 3, "unit": "C"} ',
        '{"city": "Rome", "days": 3.0, "where": {"lat": 1}, "tags": ["a"], "maybe": null}',
    ],
)
def test_arguments_that_fit_are_read(text: str) -> None:
    assert read_arguments(text, SCHEMA)["city"] == "Rome"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"city": "Ro', "not valid JSON"),
        ("Rome", "not valid JSON"),
        ('{"city": NaN}', "not valid JSON"),
        ("[" * 10_000, "not valid JSON"),
        ('["Rome"]', "JSON object"),
        ("", '"city" is missing'),
        ("null", '"city" is missing'),
        ('{"city": 5}', '"city" must be of type string'),
        ('{"city": "Rome", "days": true}', '"days" must be of type integer'),
        ('{"city": "Rome", "days": 2.5}', '"days" must be of type integer'),
        ('{"city": "Rome", "unit": "K"}', "one of C, F"),
        ('{"city": "Rome", "town": "Rome"}', 'no argument "town"; known are city'),
        ('{"city": "Rome", "where": {}}', '"where.lat" is missing'),
        ('{"city": "Rome", "tags": ["a", 1]}', '"tags[1]" must be of type string'),
        ('{"city": "' + "x" * LONGEST + '"}', "at most"),
    ],
)
def test_what_does_not_fit_is_said(text: str, told: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_arguments(text, SCHEMA)
    assert told in refused.value.message


def test_a_tool_without_parameters_takes_what_it_is_given() -> None:
    assert read_arguments("", {"type": "object"}) == {}
    assert read_arguments('{"a": 1}', {}) == {"a": 1}


@given(st.text(max_size=80) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(str))
def test_nothing_that_a_model_writes_breaks_the_reader(text: str) -> None:
    try:
        arguments = read_arguments(text, SCHEMA)
    except InvalidRequest:
        return
    assert isinstance(arguments, dict)


def test_the_same_arguments_are_the_same_however_they_were_written() -> None:
    one, other = (
        read_arguments('{"city":"Rome","days":1}', SCHEMA),
        read_arguments('{"days": 1, "city": "Rome"}', SCHEMA),
    )
    assert canonical(one) == canonical(other)
