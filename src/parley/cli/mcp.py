"""``parley mcp``: the tools say, listen and models for a program that starts this one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def mcp(
    url: Annotated[str, typer.Option(help="Where Parley listens.")] = "http://127.0.0.1:8080",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for WAV files of what is said, instead of the loudspeaker.")
    ] = None,
    wav: Annotated[Path | None, typer.Option(help="WAV file to listen to, instead of the microphone.")] = None,
    api_key: Annotated[str, typer.Option(envvar="PARLEY_API_KEY", help="The server's API key, if it has one.")] = "",
) -> None:
    """Speak and listen for an MCP client, such as a desktop assistant or a coding agent.

    The client starts it and speaks with it over standard input and output, where nothing but its messages goes. It
    uses a running Parley, and this machine's loudspeaker and microphone, or files.
    """
    from parley.errors import ConfigError
    from parley.hints import install
    from parley.observability.logging import configure_logging
    from parley.observability.settings import LogSettings

    configure_logging(LogSettings(level="warning"))  # to standard error
    try:
        import mcp.server  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"parley mcp needs the package {error.name}; install it with: {install('mcp')}.") from error
    asyncio.run(_serve(url, api_key, out, wav))


async def _serve(url: str, api_key: str, out: Path | None, wav: Path | None) -> None:
    from mcp.server.stdio import stdio_server

    from parley.api.mcp.remote import Card, Files, RemoteBackend
    from parley.api.mcp.server import create_server

    address = url.replace("ws://", "http://", 1).replace("wss://", "https://", 1).rstrip("/")
    backend = RemoteBackend(address, api_key, (lambda: Files(out, wav)) if out or wav else Card)
    server = create_server(backend)
    try:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
    finally:
        await backend.aclose()
