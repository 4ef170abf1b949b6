"""``parley up``: everything on this machine, with one command."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from parley.cli.options import Config, Llm, Overrides

if TYPE_CHECKING:
    import socket

    from parley.cli.children import WorkerChild
    from parley.config import Settings


def up(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8080")] = None,
    https: Annotated[
        bool,
        typer.Option(
            "--https", help="Serve HTTPS with a certificate of this machine's own, for phones and other hosts."
        ),
    ] = False,
    wyoming: Annotated[
        bool, typer.Option("--wyoming", help="Let Home Assistant use voices and ears (Wyoming, port 10300).")
    ] = False,
    mcp: Annotated[
        bool,
        typer.Option("--mcp", help="Let MCP clients speak and listen, at /mcp; `parley mcp` is for this machine's."),
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the page once everything is ready.")] = True,
    voice: Annotated[
        str | None, typer.Option(help="Model that speaks by default.", show_default="the best here")
    ] = None,
    llm: Llm = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="Worker processes.", show_default="2 with the embedded voice, 1 with a larger one"
        ),
    ] = None,
    gpus: Annotated[
        str, typer.Option(metavar="0,1", help="One worker for each of these GPUs, instead of --workers.")
    ] = "",
    config: Config = None,
    override: Overrides = None,
) -> None:
    """Start everything on this machine: a worker, the orchestrator, the page.

    Needs no network, no key and no other program. Talk in the browser, or with `parley chat` in a second terminal.
    Ctrl-C stops: running conversations may finish; a second Ctrl-C ends them.
    """
    from parley.cli.process import run, starting

    starting()
    from parley.cli.children import WorkerChild
    from parley.cli.compose import check_wanted
    from parley.cli.options import as_variables, files_again, llm_flags, settings_from
    from parley.observability.logging import configure_logging
    from parley.server.runner import listen

    host = host or ("0.0.0.0" if https else None)  # noqa: S104  (who asks for HTTPS wants other hosts in)
    flags = {"server.host": host, "server.port": port, "worker.models.default_model": voice, **llm_flags(llm)}
    flags |= {"wyoming.enabled": wyoming or None, "mcp.enabled": mcp or None}
    settings = settings_from(config, override, flags)
    configure_logging(settings.log)
    check_wanted(settings)
    if https:
        settings = _with_certificate(settings)
    variables = as_variables(override, {"worker.models.default_model": voice})
    arguments = files_again(config)
    devices = [device.strip() for device in gpus.split(",") if device.strip()]
    count = workers or (2 if not devices and _speaks_embedded(settings) else 1)
    with listen(settings.server) as sock:
        children = [
            WorkerChild(
                [*arguments, "--name", f"worker-{number}", *_own(number, device, settings)],
                {**variables, **_device(device)},
            )
            for number, device in enumerate(devices or [""] * count, 1)
        ]
        if not (workers or devices):  # the second one waits, so that it does not slow down the start of the first
            children[1:] = [replace(child, after=children[0]) for child in children[1:]]
        run(_up(_with_workers(settings, children), sock, children, browser=browser))


def _figures(number: int, settings: Settings) -> list[str]:
    """Each worker's own figures have a port of their own."""
    port = settings.worker.metrics_port
    return ["--set", f"worker.metrics_port={port + number - 1}"] if port else []


def _speaks_embedded(settings: Settings) -> bool:
    """Whether the voice is the embedded one: small enough to be kept twice, so that one goes on when the other dies."""
    from parley.cli.worker import voices_here
    from parley.errors import ParleyError
    from parley.worker.voicepacks import EMBEDDED

    try:
        return voices_here(settings).resolve(settings.worker.models.default_model) == EMBEDDED
    except ParleyError:
        return False  # the worker says what is wrong


def _with_certificate(settings: Settings) -> Settings:
    """Serve HTTPS: with the certificate of the settings, or with one of this machine's own."""
    from parley.server.https import local_certificate

    if settings.server.tls_cert:
        return settings
    made = local_certificate(Path(typer.get_app_dir("parley")) / "https")
    port = settings.server.port
    for address in made.addresses:
        where = f"[{address}]" if ":" in address else address
        typer.echo(f"From another device: https://{where}{f':{port}' if port else ''}")
    typer.echo(f"Its browser will warn, because nobody vouches for this certificate (SHA-256 {made.fingerprint}).")
    return replace(settings, server=replace(settings.server, tls_cert=str(made.certificate), tls_key=str(made.key)))


def _device(gpu: str) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": gpu} if gpu else {}


def _own(number: int, gpu: str, settings: Settings) -> list[str]:
    """What tells one worker from the others."""
    return [*_announced_as(gpu, settings), *_figures(number, settings)]


def _announced_as(gpu: str, settings: Settings) -> list[str]:
    """A worker on a GPU says so, unless the settings say something better."""
    return ["--set", f"worker.device=gpu {gpu}"] if gpu and settings.worker.device == "cpu" else []


def _with_workers(settings: Settings, children: list[WorkerChild]) -> Settings:
    """Let the orchestrator know its own workers, unless they announce themselves at a registry."""
    routing = settings.routing
    if not settings.registry.url:
        routing = replace(routing, workers=(*routing.workers, *(child.address for child in children)))
    if not routing.api_key:
        routing = replace(routing, api_key=settings.worker.api_key)
    return replace(settings, routing=routing)


async def _up(settings: Settings, sock: socket.socket, children: list[WorkerChild], *, browser: bool) -> None:
    from parley.cli.compose import run_orchestrator
    from parley.cli.running import noted
    from parley.server.runner import base_url

    async def ready(url: str) -> None:
        _say_ready(url, settings, browser=browser)
        await _say_who_could_answer(url, settings)

    addresses = [child.address for child in children]
    with noted(base_url(settings.server, sock), addresses):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child.run(), name=f"worker {child.port}") for child in children]
            await run_orchestrator(settings, sock, ready=ready)
            for task in tasks:
                task.cancel()


def _say_ready(url: str, settings: Settings, *, browser: bool) -> None:
    from parley.cli.chosen import in_words, models_named, what_would_be_better
    from parley.hints import command
    from parley.server.app import STATIC

    page = settings.server.page and (STATIC / "index.html").is_file()
    address = url.replace("http", "ws", 1)
    chat = command("chat" if address == "ws://127.0.0.1:8080" else f"chat --url {address}")
    typer.echo(f"Parley is ready at {url}")
    if page:
        typer.echo(f"Open that page and talk, or run `{chat}` in a second terminal. Ctrl-C stops.")
    else:
        typer.echo(f"Talk with `{chat}` in a second terminal; the page was not built. Ctrl-C stops.")
    typer.echo(in_words(models_named(settings)))
    better = what_would_be_better(settings)
    if better:
        typer.echo(better)
    if browser and page:
        _open_browser(url)


async def _say_who_could_answer(url: str, settings: Settings) -> None:
    """Name a language model that runs on this machine and is not used. Everything is ready by now: nobody waits."""
    from parley.cli.chosen import language_models_nearby, use_of

    for model in await language_models_nearby(settings, urlsplit(url).port):
        typer.echo(f"A language model answers on port {model.port}: `{use_of(model)}` talks with it.")
        return


def _open_browser(url: str) -> None:
    """Open the page where there is a screen to show it on."""
    import os
    import sys
    import threading
    import webbrowser

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    threading.Thread(target=webbrowser.open, args=(url,), name="browser", daemon=True).start()
