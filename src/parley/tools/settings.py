"""Settings of tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class HttpTool:
    """A tool that is an HTTP endpoint: arguments go as a JSON body, or in the address with GET and DELETE."""

    name: str
    """Letters, digits, ``_`` and ``-``, at most 64."""
    description: str
    """For the model: what it does, and when to ask for it."""
    url: str
    """``{name}`` in its path stands for an argument."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON schema of the arguments."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every call; ``$NAME`` alone stands for the environment variable NAME."""
    effect: Literal["read", "write"] = "write"
    timeout: float = 10.0
    interruption: Literal["cancel", "finish"] = "cancel"
    filler_after: float = 1.5
    confirm: bool = False
    background: bool = False


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """What a language model may ask for besides words."""

    builtin: Annotated[
        str,
        Setting(
            "The built-in tools `time` and `timer`: on, off, or auto, which offers them to the built-in script alone.",
            choices=("auto", "on", "off"),
        ),
    ] = "auto"
    python: Annotated[
        tuple[str, ...], Setting("Modules whose functions under `@tool` are offered, such as `my_house.tools`.")
    ] = ()
    http: Annotated[
        tuple[HttpTool, ...],
        Setting("HTTP endpoints that are offered; the page on tools says what each of them may be told.", secret=True),
    ] = ()
