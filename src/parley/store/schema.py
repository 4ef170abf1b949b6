"""YAML files that people write: each key checked, and the sentence that each mistake deserves."""

from __future__ import annotations

import difflib
import functools
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import yaml

from parley.errors import ConfigError
from parley.yaml_text import loaded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parley.settings import Setting

_hints = functools.cache(get_type_hints)


def read_mapping(path: Path, needed: str = "it is needed") -> dict[str, Any]:
    """The mapping in a YAML file; ``needed`` says what it is for. Raises ConfigError with the line of a mistake."""
    try:
        data = loaded(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: {needed}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can not be read: {error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise ConfigError(f"{path}:{where} this is not YAML ({getattr(error, 'problem', error)}).") from error
    except ValueError as error:  # a day that no month has, too deep, too much
        raise ConfigError(f"{path}: this is not YAML that can be read: {error}.") from None
    except RecursionError:
        raise ConfigError(f"{path}: this is not YAML that can be read: it nests too deeply.") from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ConfigError(f"{path}: it must be a mapping of keys to values, such as 'languages: [en-US]'.")
    return data


def check_keys(path: str, inside: str, raw: Mapping[str, Any], schema: type) -> dict[str, Any]:
    """``raw`` checked against a dataclass of Annotated fields. Raises ConfigError for the first mistake."""
    hints = _hints(schema, include_extras=True)
    for key in raw:
        if key not in hints:
            raise ConfigError(
                f"{path}: there is no key '{inside}{key}'{meant(key, hints)}; allowed are {', '.join(hints)}."
            )
    for item in fields(schema):
        if item.default is MISSING and item.default_factory is MISSING and item.name not in raw:
            setting = hints[item.name].__metadata__[0]
            raise ConfigError(f"{path}: the key '{inside}{item.name}' is missing. {setting.doc}")
    checked: dict[str, Any] = {}
    for key, value in raw.items():
        kind, setting = get_args(hints[key])[:2]
        checked[key] = check_value(path, inside + key, value, kind, setting)
    return checked


def check_value(path: str, key: str, value: Any, kind: Any, setting: Setting) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, dict):
            first = fields(kind)[0].name
            raise ConfigError(f"{path}: key '{key}' is {value!r}; it must be a mapping with the key '{first}'.")
        return check_keys(path, f"{key}.", value, kind)
    if key == "speakers" and isinstance(value, list):
        value = {str(name): number for number, name in enumerate(value)}
    wanted = _wanted(kind)
    if not _fits(value, kind):
        raise ConfigError(f"{path}: key '{key}' is {value!r}; it must be {wanted}.")
    try:
        setting.check(value)
    except ValueError as error:
        raise ConfigError(f"{path}: key '{key}' is {value!r}; it {error}.") from None
    return value


def _fits(value: Any, kind: Any) -> bool:
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    if kind in (str, bool):
        return isinstance(value, kind)
    if kind == list[str]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == list[Any]:
        return isinstance(value, list)
    if kind == dict[str, Any]:
        return isinstance(value, dict) and all(isinstance(name, str) for name in value)
    if kind == dict[str, str]:
        return isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair)
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(number, (int, str)) and not isinstance(number, bool)
        for name, number in value.items()
    )


_WANTED: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text (put it in quotes)",
    bool: "true or false",
    list[str]: "a list of texts, such as [a, b]",
    list[Any]: "a list",
    dict[str, str]: "a mapping of texts to texts",
    dict[str, Any]: "a mapping",
}


def _wanted(kind: Any) -> str:
    return _WANTED.get(kind, "a mapping of names to numbers or names, or a list of names")


def meant(key: str, allowed: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, list(allowed), 1)
    return f" (did you mean '{near[0]}'?)" if near else ""
