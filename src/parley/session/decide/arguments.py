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


def _check_object(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> None:
    known = schema.get("properties") or {}
    for name in schema.get("required") or ():
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
    kinds = [wanted] if isinstance(wanted, str) else list(wanted or ())
    if kinds and not any(_is(value, kind) for kind in kinds):
        raise InvalidRequest(f'The argument "{name}" must be of type {" or ".join(kinds)}.')
    choices = schema.get("enum")
    if choices and value not in choices:
        raise InvalidRequest(f'The argument "{name}" must be one of {", ".join(map(str, choices))}.')
    if isinstance(value, dict):
        _check_object(value, schema, f"{name}.")
    if isinstance(value, list):
        for number, inner in enumerate(value):
            _check(inner, schema.get("items"), f"{name}[{number}]")


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float) and value.is_integer() and kind == "integer":
        return True
    return isinstance(value, _TYPES.get(kind, (object,)))
