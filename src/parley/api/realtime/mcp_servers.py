"""MCP servers that a client names among the tools of its session: read, checked, and held against the settings (pure).

What a client names is asked by us, from inside our network: only what the settings name is reachable.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from parley.api.realtime import fields
from parley.api.realtime.errors import ClientError

MOST_SERVERS = 4
_MOST_NAMES = 128
_MOST_HEADERS = 16
_LONGEST_URL = 2_048
_LONGEST_HEADER = 4_096
_LONGEST_DESCRIPTION = 4_096
_LONGEST_NAME = 128
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,32}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_VALUE = re.compile(r"[\x20-\x7e]*")
_OURS = re.compile(
    r"(?:host|content-length|content-type|transfer-encoding|connection|keep-alive|accept|accept-encoding|cookie|origin"
    r"|upgrade|te|trailer|expect|last-event-id|forwarded|x-forwarded-.*|proxy-.*|mcp-.*)",
    re.IGNORECASE,
)
"""Headers that say how a request is sent, by whom, or what it means to the protocol."""
_SECRET = ("authorization", "headers")
_KNOWN = (
    "type", "server_label", "server_url", "server_description", "allowed_tools", "require_approval", *_SECRET,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tools are meant: those of these names, and only such as read where that is said."""

    names: tuple[str, ...] | None = None
    reads: bool | None = None

    def fits(self, name: str, reads: bool) -> bool:
        """Whether it means a tool that reads, or one that writes."""
        return (self.names is None or name in self.names) and (self.reads is None or self.reads == reads)


NOTHING, EVERYTHING = Filter(()), Filter()


@dataclass(frozen=True, slots=True)
class Server:
    """One that a session has tools of."""

    label: str
    url: str
    headers: tuple[tuple[str, str], ...]
    offered: Filter
    asked: Filter
    """Calls of these wait until the client approves."""
    unasked: Filter
    """Calls of these do not, whatever ``asked`` says."""

    def asks(self, name: str, reads: bool) -> bool:
        """Whether a call of this tool needs the client's approval."""
        return self.asked.fits(name, reads) and not self.unasked.fits(name, reads)


def read_server(data: Mapping[str, Any], path: str) -> dict[str, Any]:
    """An entry of a session's tools, checked. Raises ClientError."""
    if data.get("connector_id") is not None or data.get("tunnel_id") is not None:
        raise ClientError("Only MCP servers at an address are taken here: name a server_url.", param=f"{path}.type")
    made = {name: value for name, value in data.items() if value is not None}
    fields.known(made, _KNOWN, f"{path}.")
    if not _LABEL.fullmatch(fields.text(data, "server_label", f"{path}.")):
        message = "A server_label has letters, digits, _ and -, at most 32."
        raise ClientError(message, param=f"{path}.server_label")
    for name, longest in (
        ("server_url", _LONGEST_URL), ("server_description", _LONGEST_DESCRIPTION), ("authorization", _LONGEST_HEADER),
    ):  # fmt: skip
        if len(fields.text(data, name, f"{path}.", None if name == "server_url" else "")) > longest:
            raise ClientError(f"{path}.{name} has at most {longest} characters.", param=f"{path}.{name}")
    _headers(data, path)
    _offered(data, path)
    _approval(data, path)
    return made


def shown_server(made: Mapping[str, Any]) -> dict[str, Any]:
    """The same as clients read it: what it may be known by to its server is not told."""
    return {name: value for name, value in made.items() if name not in _SECRET}


def servers(tools: Iterable[Mapping[str, Any]]) -> tuple[Server, ...]:
    """Those among tools that were checked."""
    return tuple(_server(tool) for tool in tools if tool["type"] == "mcp")


def _server(made: Mapping[str, Any]) -> Server:
    asked, unasked = _approval(made, "")
    headers, offered = _headers(made, ""), _offered(made, "")
    return Server(made["server_label"], made["server_url"], headers, offered, asked, unasked)


def check_allowed(wanted: Iterable[Server], allowed: Collection[str]) -> None:
    """Raise ClientError for one that the settings do not name."""
    for server in wanted:
        if server.url not in allowed:
            message = (
                f"The MCP server {server.url[:200]!r} can not be used here; the server's setting "
                "api.realtime.mcp_servers names those that can."
            )
            raise ClientError(message, "mcp_server_not_allowed", "session.tools")


def _headers(data: Mapping[str, Any], path: str) -> tuple[tuple[str, str], ...]:
    given = fields.objects(data.get("headers") or {}, f"{path}.headers")
    said: dict[str, Any] = dict(given)
    if token := data.get("authorization"):
        said["Authorization"] = token if " " in token else f"Bearer {token}"
    for name, value in said.items():
        fits = _HEADER.fullmatch(name) and not _OURS.fullmatch(name)
        if not fits or not isinstance(value, str) or len(value) > _LONGEST_HEADER or not _VALUE.fullmatch(value):
            message = f"{path}.headers has one that can not be sent: {name[:64]!r}."
            raise ClientError(message, param=f"{path}.headers")
    if len(said) > _MOST_HEADERS:
        raise ClientError(f"{path}.headers has at most {_MOST_HEADERS}.", param=f"{path}.headers")
    return tuple(said.items())


def _offered(data: Mapping[str, Any], path: str) -> Filter:
    value, where = data.get("allowed_tools"), f"{path}.allowed_tools"
    if value is None:
        return EVERYTHING
    return Filter(_names(value, where)) if isinstance(value, list) else _filter(value, where)


def _approval(data: Mapping[str, Any], path: str) -> tuple[Filter, Filter]:
    """Which calls wait for approval, and which do not all the same."""
    value, where = data.get("require_approval"), f"{path}.require_approval"
    if value is None or value == "always":
        return EVERYTHING, NOTHING
    if value == "never":
        return NOTHING, NOTHING
    if not isinstance(value, dict):
        raise ClientError(f"{where} must be always, never, or an object with those.", param=where)
    fields.known(value, ("always", "never"), f"{where}.")
    always, never = value.get("always"), value.get("never")
    return (
        EVERYTHING if always is None else _filter(always, f"{where}.always"),
        NOTHING if never is None else _filter(never, f"{where}.never"),
    )


def _filter(value: Any, where: str) -> Filter:
    data = fields.objects(value, where)
    fields.known(data, ("tool_names", "read_only"), f"{where}.")
    names, reads = data.get("tool_names"), data.get("read_only")
    if reads is not None and not isinstance(reads, bool):
        raise ClientError(f"{where}.read_only must be true or false.", "invalid_type", f"{where}.read_only")
    if names is None and reads is None:
        return NOTHING
    return Filter(None if names is None else _names(names, f"{where}.tool_names"), reads)


def _names(value: Any, where: str) -> tuple[str, ...]:
    fits = isinstance(value, list) and len(value) <= _MOST_NAMES
    if not fits or not all(isinstance(name, str) and len(name) <= _LONGEST_NAME for name in value):
        raise ClientError(f"{where} must be a list of at most {_MOST_NAMES} names.", param=where)
    return tuple(value)
