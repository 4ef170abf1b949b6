"""Fields of a JSON object, read with a sentence for whatever is wrong (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from parley.api.realtime.errors import ClientError

_SHOWN = 64


def objects(value: Any, where: str) -> dict[str, Any]:
    """It is an object."""
    if not isinstance(value, dict):
        raise ClientError(f"{where} must be an object.", "invalid_type", where)
    return value


def text(data: Mapping[str, Any], name: str, where: str = "", default: str | None = None) -> str:
    """A text; where it may be missing, ``default`` stands for it."""
    value = data.get(name)
    if value is None and default is not None:
        return default
    if value is None:
        raise ClientError(f"Missing required parameter: '{where}{name}'.", "missing_required_parameter", where + name)
    if not isinstance(value, str):
        raise ClientError(f"{where}{name} must be a text.", "invalid_type", where + name)
    return value


def number(data: Mapping[str, Any], name: str, lowest: float, highest: float, where: str = "") -> float:
    """A number within bounds."""
    value = data.get(name)
    if value is None:
        raise ClientError(f"Missing required parameter: '{where}{name}'.", "missing_required_parameter", where + name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise ClientError(f"{where}{name} must be a number from {lowest:g} to {highest:g}.", param=where + name)
    return value


def whole(data: Mapping[str, Any], name: str, lowest: int, highest: int, where: str = "") -> int:
    """A whole number within bounds."""
    value = number(data, name, lowest, highest, where)
    if value != int(value):
        raise ClientError(f"{where}{name} must be a whole number.", "invalid_type", where + name)
    return int(value)


def flag(data: Mapping[str, Any], name: str, default: bool, where: str = "") -> bool:
    """True or false."""
    value = data.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ClientError(f"{where}{name} must be true or false.", "invalid_type", where + name)
    return value


def one_of(value: Any, allowed: Collection[str], where: str) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in allowed:
        shown = f" {value[:_SHOWN]!r}" if isinstance(value, str) else ""
        raise ClientError(f"Invalid value{shown} for {where}: it must be one of {', '.join(allowed)}.", param=where)
    return value


def known(data: Mapping[str, Any], names: Collection[str], where: str) -> None:
    """Nothing else stands there."""
    for name in data:
        if name not in names:
            path = f"{where}{name[:_SHOWN]}"
            raise ClientError(f"Unknown parameter: '{path}'.", "unknown_parameter", path)
