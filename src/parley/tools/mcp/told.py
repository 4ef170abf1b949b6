"""What an MCP server says of its tools and of calls, in the words of a tool of ours (pure).

What it says is not trusted: names, descriptions, schemas and answers are checked and bounded.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from parley.errors import ConfigError
from parley.nesting import deeper
from parley.values import ToolInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcp_types import CallToolResult, Tool, ToolAnnotations

    from parley.tools.settings import McpContract, McpServer

MOST_TOOLS = 128
"""Of one server that are offered."""
_DESCRIPTION = 4_096
_SCHEMA = 65_536
"""Characters of a schema, as JSON."""
_NAME = 64
_REMEMBERED = 2_048
_checked: dict[bytes, bool] = {}
"""Schemas by their digests, and whether they are some: many sessions have the same servers."""
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def name_of(server: str, tool: str) -> str:
    """How a model calls it: both names, with what no name may have replaced; the same one every time."""
    plain = _NO_NAME.sub("_", f"{server}_{tool}")
    if plain == f"{server}_{tool}" and len(plain) <= _NAME:
        return plain
    mark = hashlib.sha256(f"{server}\0{tool}".encode()).hexdigest()[:6]
    return f"{plain[: _NAME - 7]}_{mark}"


def info_of(told: Tool, settings: McpServer) -> ToolInfo:
    """A tool as a model is told of it, under the contract that the settings or its own hints give it.

    Only a tool that says of itself that it reads is taken at its word; every other one counts as one that writes, and
    one that says that it destroys is asked about first. Raises ValueError, in words, for what cannot be offered. Slow:
    a large schema takes a good part of a second, which no event loop has.
    """
    parameters = _checked_schema(told.input_schema)
    contract = settings.tools.get(told.name, settings.contract)
    effect, confirm = _manners(contract, told.annotations)
    said = (told.description or told.title or "").strip()
    return ToolInfo(
        name_of(settings.name, told.name),
        said if len(said) <= _DESCRIPTION else f"{said[:_DESCRIPTION]} (cut off)",
        parameters,
        effect,  # type: ignore[arg-type]
        contract.timeout,
        contract.interruption,
        contract.filler_after,
        confirm,
        contract.background,
    )


def check_contracts(settings: McpServer) -> None:
    """Raise ConfigError for a contract that no tool can have, before anything is started."""
    for name, contract in (("", settings.contract), *settings.tools.items()):
        try:
            effect, confirm = _manners(contract, None)
            ToolInfo("a", "", {}, effect, contract.timeout, contract.interruption, contract.filler_after, confirm)  # type: ignore[arg-type]
        except ValueError:
            which = f"its tool {name}" if name else "its tools"
            raise ConfigError(
                f"tools.mcp: the server {settings.name} gives {which} a contract that contradicts itself: a timeout "
                "is above 0 s and at most an hour, and what only reads has nothing to confirm."
            ) from None


def _manners(contract: McpContract, hints: ToolAnnotations | None) -> tuple[str, bool]:
    """Effect and confirmation."""
    if contract.effect != "auto":
        effect = contract.effect
    else:
        effect = "read" if hints is not None and hints.read_only_hint and not contract.confirm else "write"
    if contract.confirm is not None:
        return effect, contract.confirm
    return effect, effect == "write" and hints is not None and hints.destructive_hint is True


def _checked_schema(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise ValueError("its arguments are no object")
    if deeper(schema) or len(text := json.dumps(schema)) > _SCHEMA:
        raise ValueError("the schema of its arguments is too large")
    digest = hashlib.sha256(text.encode()).digest()
    fits = _checked.get(digest)
    if fits is None:
        fits = _fits(schema)
        if len(_checked) >= _REMEMBERED:
            _checked.clear()
        _checked[digest] = fits
    if not fits:
        raise ValueError("the schema of its arguments is none")
    kept = {name: value for name, value in schema.items() if name != "$schema"}
    return {"type": "object", "properties": {}, **kept}


def _fits(schema: Mapping[str, Any]) -> bool:
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return False
    return True


def unlike(told: Sequence[str], wanted: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Names in the settings that the server does not have."""
    return [name for name in wanted if name not in told]


def text_of(result: CallToolResult) -> str:
    """What a tool answered, in words: texts as they are, structure as JSON, and of the rest that it is there."""
    parts = [_words(block) for block in result.content]
    said = "\n".join(part for part in parts if part)
    if not said and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return said


def _words(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource":
        text = getattr(block.resource, "text", None)
        return text if isinstance(text, str) else f"(a file without text: {block.resource.uri})"
    if block.type == "resource_link":
        return f"(a link: {block.name}, {block.uri})"
    return f"(it answers with {block.type}, of which no words can be told)"
