"""Tools that are HTTP endpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx2
import structlog

from parley import tracing
from parley.errors import ConfigError, InvalidRequest, UnavailableError, Unreached
from parley.tools.function import Tool
from parley.tools.secrets import from_environment
from parley.values import ToolInfo

if TYPE_CHECKING:
    from parley.tools.settings import HttpTool

log = structlog.get_logger(__name__)

MAX_BYTES = 131_072
"""Of an answer that are read; a longer one ends there."""
_CONNECT = 3.0
_NEVER_ASKED = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
_IN_ADDRESS = ("GET", "DELETE")
_PLACE = re.compile(r"\{([A-Za-z0-9_-]+)\}")


class HttpCaller:
    """Calls endpoints over one client with its connections. It follows no redirects and reads no cookies."""

    def __init__(self) -> None:
        self._client = httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=_CONNECT), trust_env=False)

    def tool(self, settings: HttpTool) -> Tool:
        """A tool of one endpoint. Raises ConfigError for what cannot be one."""
        try:
            parts = urlsplit(settings.url)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if not fits:
            raise ConfigError(f'tools.http: the url of {settings.name} is "{settings.url}", which is no http address.')
        known = settings.parameters.get("properties") or {}
        if unknown := [name for name in _PLACE.findall(settings.url) if name not in known]:
            raise ConfigError(
                f"tools.http: the url of {settings.name} names {unknown[0]}, which is no parameter of it."
            )
        try:
            info = ToolInfo(
                settings.name, settings.description, settings.parameters, settings.effect, settings.timeout,
                settings.interruption, settings.filler_after, settings.confirm, settings.background,
            )  # fmt: skip
        except ValueError as error:
            raise ConfigError(f"tools.http: {error}.") from None
        headers = {
            name: from_environment(f"tools.http: the tool {settings.name}", value)
            for name, value in settings.headers.items()
        }

        async def run(arguments: Mapping[str, Any], key: str) -> str:
            return await self._call(settings, headers, arguments, key)

        return Tool(info, run, self._client.aclose)

    async def _call(
        self, settings: HttpTool, headers: Mapping[str, str], arguments: Mapping[str, Any], key: str
    ) -> str:
        url, rest = _address(settings.url, arguments)
        own = {"Idempotency-Key": key, **tracing.headers(), **headers}
        sent: dict[str, Any] = {"params": _flat(rest)} if settings.method in _IN_ADDRESS else {"json": rest}
        try:
            async with self._client.stream(settings.method, url, headers=own, **sent) as response:
                body, whole = await _beginning(response)
        except _NEVER_ASKED as error:
            log.warning("a tool was not reached", tool=settings.name, error=type(error).__name__)
            raise Unreached(f"The tool {settings.name} cannot be reached.") from None
        except httpx2.HTTPError as error:
            log.warning("a tool gave no whole answer", tool=settings.name, error=type(error).__name__)
            raise UnavailableError(f"The tool {settings.name} gave no whole answer.") from None
        text = body.decode(response.encoding or "utf-8", "replace") + ("" if whole else " (the rest was not read)")
        if response.is_success:
            return text
        log.warning("a tool refused a call", tool=settings.name, status=response.status_code)
        said = f"The tool answered with status {response.status_code}: {text[:1_000]}"
        raise InvalidRequest(said) if response.is_client_error else UnavailableError(said)


def _address(url: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The address with arguments in it, and those that are left."""
    rest = dict(arguments)

    def place(match: re.Match[str]) -> str:
        if match[1] not in arguments:
            raise InvalidRequest(f'The argument "{match[1]}" is missing.')
        rest.pop(match[1], None)
        return quote(str(arguments[match[1]]), safe="")

    return _PLACE.sub(place, url), rest


def _flat(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in arguments.items()}


async def _beginning(response: httpx2.Response) -> tuple[bytes, bool]:
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) > MAX_BYTES:
            return body[:MAX_BYTES], False
    return body, True
