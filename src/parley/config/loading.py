"""From YAML files, the environment and flags to checked settings, or to sentences that say what is wrong."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, SettingsConfigDict

from parley.config.settings import Settings
from parley.config.tree import Group, Leaf, group_of
from parley.errors import ConfigError
from parley.hints import command
from parley.yaml_text import loaded

DEFAULT_FILES = (Path("configs/orchestrator.yaml"), Path("configs/worker.yaml"))
"""Read from the current folder when they are there and no file is named."""
_OTHER_VARIABLES = ("PARLEY_CONFIG", "PARLEY_API_KEY", "PARLEY_URL", "PARLEY_TEST_")
_NOTHING: Any = object()


@cache
def tree() -> Group:
    """All settings with their built-in defaults."""
    return group_of(Settings())


def load_settings(
    files: Sequence[Path] = (),
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings in force: flags before environment before later files before earlier ones before defaults.

    ``files`` empty takes those in ``PARLEY_CONFIG`` (separated as in PATH), else ``DEFAULT_FILES``; ``flags`` are
    dotted paths with values, None for a flag that was not given. Raises ConfigError, one line per mistake, each
    with the key, the value, where it stands and what is allowed.
    """
    environment = _environment() if environ is None else environ
    sources = _Sources(
        flags={path: value for path, value in (flags or {}).items() if value is not None},
        environ={name: value for name, value in environment.items() if name.startswith("PARLEY_")},
        files={str(path): _read(path) for path in _files(files, environment)},
    )
    _refuse_unknown(sources)
    try:
        model = _validate(sources)
    except ValidationError as error:
        raise ConfigError("\n".join(dict.fromkeys(_sentence(item, sources) for item in error.errors()))) from None
    return cast("Settings", _build(tree(), model))


@dataclasses.dataclass(frozen=True, slots=True)
class _Sources:
    flags: dict[str, Any]
    environ: dict[str, str]
    files: dict[str, dict[str, Any]]

    def find(self, path: str) -> tuple[Any, str]:
        """The raw value that counts for a path, and where it stands in words."""
        if path in self.flags:
            return self.flags[path], "on the command line"
        variable = "PARLEY_" + path.replace(".", "__").upper()
        for name, value in self.environ.items():
            if name.upper() == variable:
                return value, f"in the variable {name}"
        for name, values in reversed(self.files.items()):
            found: Any = values
            for key in path.split("."):
                found = found.get(key, _NOTHING) if isinstance(found, dict) else _NOTHING
            if found is not _NOTHING:
                return found, f"in {name}"
        return _NOTHING, ""


# --- reading ---------------------------------------------------------------------------


def _environment() -> dict[str, str]:
    """The process's environment over what a file ``.env`` in the current folder says."""
    from dotenv import dotenv_values

    noted = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**noted, **os.environ}


def _files(files: Sequence[Path], environ: Mapping[str, str]) -> list[Path]:
    if files:
        return list(files)
    if named := environ.get("PARLEY_CONFIG", ""):
        return [Path(name) for name in named.split(os.pathsep) if name]
    return [path for path in DEFAULT_FILES if path.is_file()]


def _read(path: Path) -> dict[str, Any]:
    try:
        values = loaded(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"The settings file {path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The settings file {path} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line} is not YAML: {getattr(error, 'problem', None) or error}.") from None
    except ValueError as error:  # a day that no month has, too deep, too much
        raise ConfigError(f"{path} is not YAML that can be read: {error}.") from None
    except RecursionError:
        raise ConfigError(f"{path} is not YAML that can be read: it nests too deeply.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold groups of settings such as `server:`, not a {type(values).__name__}.")
    return _without_empty(values)


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """A group whose every line is a comment reads as None; it says nothing."""
    groups = {group.path for group in tree().groups()}

    def clean(path: str, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        items = {str(key): (f"{path}.{key}" if path else str(key), item) for key, item in value.items()}
        return {
            key: clean(below, item) for key, (below, item) in items.items() if not (item is None and below in groups)
        }

    return cast("dict[str, Any]", clean("", values))


# --- names -----------------------------------------------------------------------------


def _refuse_unknown(sources: _Sources) -> None:
    """Complain about names that no setting has: in files, flags and the environment."""
    leaves = {leaf.path for leaf in tree().leaves()}
    groups = {group.path for group in tree().groups()}
    complaints = [f"{path} on the command line {_unknown(path)}" for path in sources.flags if path not in leaves]
    for name, values in sources.files.items():
        complaints += [f"{path} in {name} {_unknown(path)}" for path in _strangers(values, leaves, groups)]
        complaints += [_no_group(path, value, name) for path, value in _not_groups(values, groups)]
    variables = {leaf.variable: leaf for leaf in tree().leaves()}
    squeezed = {variable.replace("__", "_"): variable for variable in variables}
    for name in sources.environ:
        upper = name.upper()
        if upper in variables or upper.startswith(_OTHER_VARIABLES):
            continue
        if "__" in upper:
            complaints.append(f"The variable {name} {_unknown(upper, tuple(variables))}")
        elif upper in squeezed:
            complaints.append(f"The variable {name} sets nothing: write it {squeezed[upper]}, with two underscores.")
    if complaints:
        raise ConfigError("\n".join(complaints))


def _strangers(values: dict[str, Any], leaves: set[str], groups: set[str], path: str = "") -> list[str]:
    found: list[str] = []
    for key, value in values.items():
        below = f"{path}.{key}" if path else str(key)
        if below in groups:
            if isinstance(value, dict):
                found += _strangers(value, leaves, groups, below)
        elif below not in leaves:
            found.append(below)
    return found


def _not_groups(values: dict[str, Any], groups: set[str], path: str = "") -> list[tuple[str, Any]]:
    """Groups that hold a single value: a flag for one of their settings would hide that from the check of values."""
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        below = f"{path}.{key}" if path else key
        if below in groups:
            found += _not_groups(value, groups, below) if isinstance(value, dict) else [(below, value)]
    return found


def _no_group(path: str, value: Any, file: str) -> str:
    return f"{path} is {_shown(value)} in {file}, but it {_ALLOWED['model_type']}."


def _unknown(name: str, known: tuple[str, ...] = ()) -> str:
    names = known or (*(leaf.path for leaf in tree().leaves()), *(group.path for group in tree().groups()))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not near:
        last = name.rpartition(".")[2]
        near = [other for other in names if other.rpartition(".")[2] == last][:1]
    return "is not a setting" + (
        f"; did you mean {near[0]}?" if near else f"; `{command('config reference')}` lists them."
    )


# --- checking --------------------------------------------------------------------------


def _validate(sources: _Sources) -> BaseModel:
    class Checked(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix="PARLEY_",
            env_nested_delimiter="__",
            extra="ignore",
            enable_decoding=False,
            protected_namespaces=(),
        )

        @classmethod
        def settings_customise_sources(cls, settings_cls: type[BaseSettings], *_: Any, **__: Any) -> tuple[Any, ...]:
            variables = EnvSettingsSource(settings_cls)
            variables.env_vars = {name.lower(): value for name, value in sources.environ.items()}
            files = [InitSettingsSource(settings_cls, values) for values in reversed(sources.files.values())]
            return (InitSettingsSource(settings_cls, _nested(sources.flags)), variables, *files)

    return create_model("Checked", __base__=Checked, **_fields(tree()))()


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1}`` -> ``{"a": {"b": 1}}``"""
    result: dict[str, Any] = {}
    for path, value in flat.items():
        *groups, last = path.split(".")
        level = result
        for group in groups:
            level = level.setdefault(group, {})
        level[last] = value
    return result


def _model(group: Group) -> type[BaseModel]:
    return create_model(
        group.cls.__name__,
        __config__=ConfigDict(extra="forbid", protected_namespaces=()),
        **_fields(group),
    )


def _fields(group: Group) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for member in group.members:
        name = member.path.rpartition(".")[2]
        if isinstance(member, Group):
            model = _model(member)
            fields[name] = (model, model())
        else:
            fields[name] = (Annotated[member.kind, BeforeValidator(_listed(member)), member.setting], member.default)
    return fields


def _listed(leaf: Leaf) -> Any:
    """Lists may come from the environment and flags as ``a,b`` or as JSON."""
    many = getattr(leaf.kind, "__origin__", None) in (tuple, list, dict)

    def split(value: Any) -> Any:
        if not many or not isinstance(value, str):
            return value
        if value.strip().startswith(("[", "{")):
            try:
                return json.loads(value)
            except ValueError:
                raise ValueError("must be JSON, or names separated by commas") from None
        return tuple(part.strip() for part in value.split(",") if part.strip())

    return split


def _build(group: Group, model: BaseModel) -> Any:
    """The dataclasses again, from checked values."""
    values: dict[str, Any] = {}
    for member in group.members:
        name = member.path.rpartition(".")[2]
        value = getattr(model, name)
        values[name] = _build(member, value) if isinstance(member, Group) else value
    try:
        return group.cls(**values)
    except ValueError as error:
        raise ConfigError(f"{group.path}: {error}") from None


# --- sentences -------------------------------------------------------------------------

_ALLOWED = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text (in YAML, put it in quotes)",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a table of names and values",
    "model_type": "is a group: its settings stand below it, indented",
}


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _sentence(item: Any, sources: _Sources) -> str:
    """One pydantic error as one sentence: key, value, place, what is allowed."""
    keys = [str(key) for key in item["loc"]]
    leaf = next((leaf for leaf in tree().leaves() if keys[: leaf.path.count(".") + 1] == leaf.path.split(".")), None)
    path = leaf.path if leaf else ".".join(keys)
    value, place = sources.find(path)
    reason = _ALLOWED.get(item["type"])
    inside = keys[leaf.path.count(".") + 1 :] if leaf else []
    if reason is None:
        reason = str(item.get("ctx", {}).get("error") or item["msg"])
        if inside and "error" not in item.get("ctx", {}):  # one of several entries, each with fields of its own
            reason = f"is wrong at {'.'.join(inside)}: {reason}"
    if value is _NOTHING:
        value = item["input"]
    shown = "(secret)" if leaf is not None and leaf.setting.secret else _shown(value)
    return f"{path} is {shown} {place}".rstrip() + f", but it {reason}."
