"""What a model wrote for a tool is read, or refused in a sentence that helps it."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.errors import InvalidRequest
from parley.session.decide.arguments import LONGEST, canonical, fault_of, read_arguments

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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
SCHEMAS = st.recursive(
    JSON,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": JSON | st.sampled_from(["object", "array", ["string", "null"]]),
            "properties": JSON | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "required": JSON | st.lists(st.sampled_from("ab"), max_size=2),
            "enum": JSON,
            "items": inner,
            "additionalProperties": inner,
        },
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abc"), JSON | st.dictionaries(st.sampled_from("ab"), JSON)), SCHEMAS)
def test_whatever_stands_in_place_of_a_schema_breaks_no_call(arguments: dict[str, object], schema: object) -> None:
    text = json.dumps(arguments)
    for known in (schema, {"properties": {"a": schema, "b": {"properties": {"a": schema}}}}):
        fault = fault_of(known)
        assert isinstance(fault, str)
        if isinstance(known, dict):
            with contextlib.suppress(InvalidRequest):
                assert read_arguments(text, known) == json.loads(text)


@pytest.mark.parametrize(
    "schema",
    [
        {"required": 5}, {"enum": 5}, {"type": 5}, {"type": [[1]]}, {"properties": []}, {"properties": {"a": 5}},
        {"items": 5}, {"additionalProperties": "no"}, {"required": [5]},
    ],
)  # fmt: skip
def test_what_is_no_schema_is_found_out_and_forbids_nothing(schema: dict[str, object]) -> None:
    assert fault_of(schema)
    assert fault_of({"properties": {"deep": {"items": schema}}})
    nested = {"properties": {"deep": schema}}
    assert read_arguments('{"deep": {"a": [1]}}', nested) == {"deep": {"a": [1]}}


def test_schemas_as_clients_write_them_have_no_fault() -> None:
    assert fault_of(SCHEMA) == ""
    assert fault_of({"properties": None, "items": [{"type": "string"}, True], "required": None, "enum": None}) == ""


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
