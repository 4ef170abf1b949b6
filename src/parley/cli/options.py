"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley.config import Settings

Config = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        help="Settings file (YAML); may be repeated, later ones count before earlier ones.",
        envvar=[],
        show_default="configs/orchestrator.yaml and configs/worker.yaml, where they exist",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, such as --set server.port=9000; may be repeated."),
]


Llm = Annotated[
    str | None,
    typer.Option(
        "--llm",
        metavar="URL#MODEL",
        help="OpenAI-compatible endpoint that answers, such as http://127.0.0.1:11434/v1#llama3.2.",
        show_default="the built-in script",
    ),
]


def llm_flags(address: str | None) -> dict[str, Any]:
    """The settings that ``--llm`` stands for."""
    if not address:
        return {}
    url, _, model = address.partition("#")
    return {"llm.engine": "openai", "llm.openai.base_url": url, "llm.openai.model": model or None}


def settings_from(
    config: list[Path] | None, overrides: list[str] | None, flags: Mapping[str, Any] | None = None
) -> Settings:
    """The settings for a command: its own flags before ``--set``, before everything else. Raises ConfigError."""
    from parley.config import load_settings

    return load_settings(config or (), {**parse_overrides(overrides), **_given(flags)})


def files_again(config: list[Path] | None) -> list[str]:
    """The settings files again, for a child's command line."""
    return [word for path in config or [] for word in ("--config", str(path))]


def as_variables(overrides: list[str] | None, flags: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The same settings as environment variables, for a child process.

    A key in them stays between this user's processes: a command line is shown to everybody on the machine.
    """
    from parley.config import tree

    values = {**parse_overrides(overrides), **_given(flags)}
    return {
        leaf.variable: ",".join(value) if isinstance(value := values[leaf.path], tuple) else str(value)
        for leaf in tree().leaves()
        if leaf.path in values
    }


def _given(flags: Mapping[str, Any] | None) -> dict[str, Any]:
    return {path: value for path, value in (flags or {}).items() if value is not None}


def parse_overrides(overrides: list[str] | None) -> dict[str, str]:
    """``["a.b=1"]`` -> ``{"a.b": "1"}``"""
    from parley.errors import ConfigError

    result: dict[str, str] = {}
    for text in overrides or []:
        key, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"--set {text} must have the form KEY=VALUE, such as server.port=9000.")
        result[key.strip()] = value
    return result
