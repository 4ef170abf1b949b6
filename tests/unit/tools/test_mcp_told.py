"""What an MCP server says of its tools, as a model is told it: checked, bounded, and under a safe contract."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import (
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)

from parley.errors import InvalidRequest
from parley.session.decide.arguments import read_arguments
from parley.tools import McpContract, McpServer
from parley.tools.mcp import told
from parley.values import ToolInfo

OBJECT: dict[str, Any] = {"type": "object", "properties": {}}


def info(hints: ToolAnnotations | None = None, schema: Any = OBJECT, **settings: Any) -> ToolInfo:
    one = Tool(name="do", description="Do it.", input_schema=schema, annotations=hints)
    return told.info_of(one, McpServer("house", ("x",), **settings))


@pytest.mark.parametrize(
    ("hints", "contract", "effect", "confirm"),
    [
        (None, McpContract(), "write", False),
        (ToolAnnotations(read_only_hint=True), McpContract(), "read", False),
        (ToolAnnotations(read_only_hint=False), McpContract(), "write", False),
        (ToolAnnotations(destructive_hint=True), McpContract(), "write", True),
        (ToolAnnotations(destructive_hint=True), McpContract(confirm=False), "write", False),
        (ToolAnnotations(read_only_hint=True, destructive_hint=True), McpContract(), "read", False),
        (ToolAnnotations(read_only_hint=True), McpContract(effect="write"), "write", False),
        (ToolAnnotations(read_only_hint=True), McpContract(confirm=True), "write", True),
        (ToolAnnotations(destructive_hint=True), McpContract(effect="read"), "read", False),
    ],
)
def test_only_what_says_that_it_reads_is_taken_to_read(
    hints: ToolAnnotations | None, contract: McpContract, effect: str, confirm: bool
) -> None:
    found = info(hints, contract=contract)
    assert (found.effect, found.confirm) == (effect, confirm)


def test_a_tool_s_own_contract_counts_instead_of_its_server_s() -> None:
    own = info(contract=McpContract(timeout=3), tools={"do": McpContract(timeout=60, background=True)})
    assert (own.timeout, own.background) == (60, True)
    assert info(contract=McpContract(timeout=3)).timeout == 3


@given(st.text(max_size=32), st.text(max_size=200))
def test_every_name_becomes_one_that_a_model_may_be_told(server: str, tool: str) -> None:
    name = told.name_of(server, tool)
    assert ToolInfo(name, "").name == name


def test_names_that_had_to_be_changed_stay_different() -> None:
    names = {told.name_of("house", tool) for tool in ("a.b", "a b", "a_b", "x" * 90, "x" * 91)}
    assert len(names) == 5
    assert told.name_of("house", "a_b") == "house_a_b"


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "array"}, "no object"),
        ({"type": "object", "properties": []}, "is none"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "is none"),
        ({"type": "object", "required": "a"}, "is none"),
        ({"type": "object", "description": "x" * 70_000}, "too large"),
    ],
)
def test_a_schema_that_is_none_is_refused(schema: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        info(schema=schema)


def test_a_schema_without_end_is_refused() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(100):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(ValueError, match="too large"):
        info(schema=schema)


SIMPLE = st.sampled_from(["string", "integer", "object", "array", "boolean", "null"])
SCHEMAS = st.recursive(
    st.fixed_dictionaries({}, optional={"type": SIMPLE, "enum": st.lists(st.integers(), max_size=2)}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": SIMPLE | st.lists(SIMPLE, max_size=2, unique=True),
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("ab"), inner | st.booleans(), max_size=2),
            "required": st.lists(st.sampled_from("ab"), max_size=2),
            "additionalProperties": inner | st.booleans(),
        },
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@given(SCHEMAS, st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2))
def test_arguments_are_checked_against_every_schema_that_is_let_in(schema: Any, arguments: Any) -> None:
    import json

    try:
        found = info(schema={**schema, "type": "object"})
    except ValueError:
        return
    try:
        assert read_arguments(json.dumps(arguments), found.parameters) == arguments
    except InvalidRequest:
        return


def test_a_description_is_bounded() -> None:
    one = Tool(name="do", description="x" * 10_000, input_schema=OBJECT)
    assert told.info_of(one, McpServer("house", ("x",))).description == "x" * 4_096 + " (cut off)"


def test_an_answer_is_told_in_words() -> None:
    blocks: list[Any] = [
        TextContent(text="One."),
        ImageContent(data="AAAA", mime_type="image/png"),
        EmbeddedResource(resource=TextResourceContents(uri="file:///a", text="Two.")),
        ResourceLink(name="three", uri="file:///b"),
    ]
    said = told.text_of(CallToolResult(content=blocks, structured_content={"a": 1}))
    assert said.splitlines() == [
        "One.",
        "(it answers with image, of which no words can be told)",
        "Two.",
        "(a link: three, file:///b)",
    ]
    assert told.text_of(CallToolResult(content=[], structured_content={"ä": 1})) == '{"ä": 1}'
    assert told.text_of(CallToolResult(content=[])) == ""
