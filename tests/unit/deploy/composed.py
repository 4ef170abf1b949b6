"""A Compose file as Docker would see it: interpolated, and the images that it names read from their Dockerfiles."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:?[-?])([^}]*))?\}|(\w+))")


class MissingVariable(Exception):
    """A variable that has to be set is not."""


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """The text with ``${NAME}``, ``${NAME:-default}``, ``${NAME:?sentence}`` and ``$$`` replaced."""

    def value(found: re.Match[str]) -> str:
        dollar, name, operator, rest, bare = found.groups()
        if dollar:
            return "$"
        name = name or bare
        said = variables.get(name)
        if said is None or (not said and (operator or "").startswith(":")):
            if operator in ("-", ":-"):
                return str(rest)
            raise MissingVariable(f"{name}: {rest or 'is not set'}")
        return said

    return _VARIABLE.sub(value, text)


def names_in(text: str) -> set[str]:
    """The variables that the text asks for."""
    return {name or bare for dollar, name, _, _, bare in _VARIABLE.findall(text) if not dollar}


def composed(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The file's content, every text in it interpolated."""

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return interpolated(value, variables)
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else value

    content: dict[str, Any] = walk(yaml.safe_load(path.read_text("utf-8")))
    return content


def env_file(path: Path) -> dict[str, str]:
    """NAME=value of each line."""
    lines = (line for line in path.read_text("utf-8").splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


@dataclass
class Stage:
    """One stage of a Dockerfile."""

    base: str
    name: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and the rest, in order."""

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]

    def env(self) -> dict[str, str]:
        """What its ENV instructions set."""
        return dict(word.split("=", 1) for rest in self.all("ENV") for word in shlex.split(rest))


def stages(path: Path) -> tuple[dict[str, str], list[Stage]]:
    """The arguments before the first stage, and the stages of a Dockerfile."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for line in filter(None, (line.strip() for line in "\n".join(lines).replace("\\\n", " ").splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            words = rest.split()
            found.append(Stage(words[0], words[2] if len(words) > 2 else ""))
        elif found:
            found[-1].steps.append((instruction, rest.strip()))
        else:
            name, _, value = rest.partition("=")
            arguments[name] = value
    return arguments, found
