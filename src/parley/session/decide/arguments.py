"""The arguments that a model wrote for a tool: JSON that fits its schema, or a sentence that says why not (pure).

Of JSON Schema this checks what models get wrong: types, what must be there, choices, and names that do not exist.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from parley.errors import InvalidRequest

LONGEST = 16_000
"""Characters of arguments that are read."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def read_arguments(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as a dict; none at all are an empty one. Raises InvalidRequest, in words for the model."""
    if len(text) > LONGEST:
        raise InvalidRequest(f"The arguments have {len(text)} characters; at most {LONGEST} are read.")
    try:
        arguments = json.loads(text or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The arguments are not valid JSON ({error}); call again with a JSON object.") from None
    arguments = {} if arguments is None else arguments
    if not isinstance(arguments, dict):
        raise InvalidRequest("The arguments must be a JSON object.")
    _check_object(arguments, schema, "")
    return arguments


def canonical(arguments: Mapping[str, Any]) -> str:
    """The same text for the same arguments, however they were written."""
    return json.dumps(arguments, sort_keys=True, separators=(",", ":"))


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def fault_of(schema: Any) -> str:
    """What is wrong with a schema, among the parts of it that are checked here; empty where nothing is."""
    if schema is None or isinstance(schema, bool):
        return ""
    if not isinstance(schema, Mapping):
        return "a schema is an object"
    kinds, required, known = schema.get("type"), schema.get("required"), schema.get("properties")
    if kinds is not None and not (isinstance(kinds, str) or _is_texts(kinds)):
        return "type is a text, or a list of them"
    if required is not None and not _is_texts(required):
        return "required is a list of names"
    if not isinstance(schema.get("enum"), list | None):
        return "enum is a list"
    if known is not None and not isinstance(known, Mapping):
        return "properties is an object"
    items = schema.get("items")
    inner = [*(known or {}).values(), *(items if isinstance(items, list) else [items])]
    return next(filter(None, map(fault_of, [*inner, schema.get("additionalProperties")])), "")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


# What is no schema forbids nothing: tools come from strangers, and their first call is no time to find out.


def _check_object(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> None:
    known = schema.get("properties")
    known = known if isinstance(known, Mapping) else {}
    for name in _texts(schema.get("required")):
        if name not in value:
            raise InvalidRequest(f'The argument "{where}{name}" is missing.')
    for name, inner in value.items():
        if name in known:
            _check(inner, known[name], where + name)
        elif known and schema.get("additionalProperties", False) is False:
            raise InvalidRequest(f'There is no argument "{where}{name}"; known are {", ".join(known)}.')


def _check(value: Any, schema: Any, name: str) -> None:
    if not isinstance(schema, Mapping):
        return
    wanted = schema.get("type")
    kinds = [wanted] if isinstance(wanted, str) else _texts(wanted)
    if kinds and not any(_is(value, kind) for kind in kinds):
        raise InvalidRequest(f'The argument "{name}" must be of type {" or ".join(kinds)}.')
    choices = schema.get("enum")
    if isinstance(choices, list) and choices and value not in choices:
        raise InvalidRequest(f'The argument "{name}" must be one of {", ".join(map(str, choices))}.')
    if isinstance(value, dict):
        _check_object(value, schema, f"{name}.")
    if isinstance(value, list):
        for number, inner in enumerate(value):
            _check(inner, schema.get("items"), f"{name}[{number}]")


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float) and value.is_integer() and kind == "integer":
        return True
    return isinstance(value, _TYPES.get(kind, (object,)))
