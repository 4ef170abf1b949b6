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
class McpContract:
    """How calls of an MCP server's tool are treated; ``auto`` and nothing mean: as the tool says of itself."""

    effect: Literal["auto", "read", "write"] = "auto"
    """A tool that says of itself that it only reads is believed; every other one writes."""
    timeout: float = 10.0
    interruption: Literal["cancel", "finish"] = "cancel"
    filler_after: float = 1.5
    confirm: bool | None = None
    """Where nothing is said: only a tool that says of itself that it destroys."""
    background: bool = False


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server of tools, by its command or by its address."""

    name: str
    """Stands before the names of its tools: letters, digits, ``_`` and ``-``, at most 32."""
    command: tuple[str, ...] = ()
    """Program and arguments; it is spoken to over its standard input and output, and ends with us."""
    env: dict[str, str] = field(default_factory=dict)
    """For the program, besides PATH, HOME and the like; ``$NAME`` alone stands for our environment variable NAME."""
    folder: str = ""
    """Where the program runs."""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every request; ``$NAME`` alone stands for the environment variable NAME."""
    only: tuple[str, ...] = ()
    """Its tools that are offered, by their own names; empty for all."""
    contract: McpContract = McpContract()
    """Of its tools."""
    tools: dict[str, McpContract] = field(default_factory=dict)
    """Of single tools, by their own names: instead of ``contract``."""
    connect_timeout: float = 10.0
    """Seconds that it may take to answer when it is connected to, and that a start of Parley waits for it."""


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
    mcp: Annotated[
        tuple[McpServer, ...],
        Setting(
            "MCP servers whose tools are offered, by command or by address; the page on tools says what each of them "
            "may be told.",
            secret=True,
        ),
    ] = ()
