"""The settings as a tree: groups (frozen dataclasses) and, at the leaves, what a person may set."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting."""

    path: str
    """Dotted, such as ``server.port``."""
    kind: Any
    """Its type, without the annotations."""
    default: Any
    setting: Setting

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "PARLEY_" + self.path.replace(".", "__").upper()


@dataclass(frozen=True, slots=True)
class Group:
    """A dataclass of settings with the values that count when nothing is set."""

    path: str
    cls: type[Any]
    doc: str
    defaults: Any
    members: tuple[Leaf | Group, ...]

    def leaves(self) -> Iterator[Leaf]:
        """All settings in here, in the order of their declaration."""
        for member in self.members:
            if isinstance(member, Group):
                yield from member.leaves()
            else:
                yield member

    def groups(self) -> Iterator[Group]:
        """This group and all below it."""
        yield self
        for member in self.members:
            if isinstance(member, Group):
                yield from member.groups()


def group_of(defaults: Any, path: str = "", doc: str = "") -> Group:
    """The tree under an instance of a settings dataclass; its values are the defaults.

    Raises TypeError for a field without a ``Setting``: a mistake in the code, not of a user.
    """
    cls = type(defaults)
    hints = typing.get_type_hints(cls, include_extras=True)
    members: list[Leaf | Group] = []
    for field in dataclasses.fields(cls):
        value = getattr(defaults, field.name)
        below = f"{path}.{field.name}" if path else field.name
        kind, setting = _annotation(hints[field.name])
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            members.append(group_of(value, below, setting.doc if setting else ""))
        elif setting is None:
            raise TypeError(f"{cls.__name__}.{field.name} needs Annotated[..., Setting(...)]")
        else:
            members.append(Leaf(below, kind, value, setting))
    return Group(path, cls, doc or _first_line(cls), defaults, tuple(members))


def _annotation(hint: Any) -> tuple[Any, Setting | None]:
    if typing.get_origin(hint) is not Annotated:
        return hint, None
    kind, *notes = typing.get_args(hint)
    return kind, next((note for note in notes if isinstance(note, Setting)), None)


def _first_line(cls: type[Any]) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def kind_name(kind: Any) -> str:
    """A type in a user's words."""
    names: dict[Any, str] = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    if kind in names:
        return names[kind]
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (tuple, list):
        return f"list of {kind_name(arguments[0])}s"
    if origin is dict:
        return f"table of {kind_name(arguments[1])}s"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(kind_name(argument) for argument in arguments if argument is not type(None))
    return str(getattr(kind, "__name__", kind))
