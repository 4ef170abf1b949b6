"""``parley worker``: one process that speaks."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parley.cli.options import Config, Overrides

if TYPE_CHECKING:
    from parley.config import Settings
    from parley.worker.server import Worker
    from parley.worker.voicepacks import VoicePackCatalog


def worker(
    default_model: Annotated[
        str | None,
        typer.Option(help="Model that speaks when a session names none.", show_default="the best here"),
    ] = None,
    preload_models: Annotated[
        str | None, typer.Option(metavar="A,B", help="Models loaded at start besides it.", show_default="none")
    ] = None,
    voicepacks: Annotated[Path | None, typer.Option(help="Folder of voice packs.", show_default="voicepacks")] = None,
    lora_path: Annotated[
        Path | None,
        typer.Option(help="Folder of LoRAs, for models that take them.", show_default="those in the voice packs"),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="50051")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name in the fleet.", show_default="host and port")] = None,
    registry: Annotated[
        str | None, typer.Option(help="redis:// address to announce this worker at.", show_default="none")
    ] = None,
    advertise: Annotated[
        str | None, typer.Option(help="host:port that other hosts reach it by.", show_default="where it listens")
    ] = None,
    ttl_ms: Annotated[
        int | None, typer.Option(help="Idle time after which a model leaves memory; -1 for never.")
    ] = None,
    resident_cap: Annotated[int | None, typer.Option(help="Most models in memory at a time; 0 for no limit.")] = None,
    max_parallel_loads: Annotated[int | None, typer.Option(help="Models read from disk at the same time.")] = None,
    config: Config = None,
    override: Overrides = None,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Start a TTS worker: it loads models and speaks over gRPC.

    It stops on Ctrl-C or SIGTERM: what it speaks may finish, nothing new is taken; a second Ctrl-C cuts it off.
    """
    from parley.cli.process import run, starting

    starting()
    from parley.cli.options import settings_from
    from parley.observability.logging import configure_logging

    flags = {
        "worker.models.default_model": default_model,
        "worker.models.preload_models": preload_models,
        "worker.voicepacks": str(voicepacks) if voicepacks else None,
        "worker.lora_paths": str(lora_path) if lora_path else None,
        "worker.host": host,
        "worker.port": port,
        "worker.name": name,
        "worker.advertise": advertise,
        "worker.models.ttl_ms": ttl_ms,
        "worker.models.resident_cap": resident_cap,
        "worker.models.max_parallel_loads": max_parallel_loads,
        "registry.url": registry,
    }
    settings = settings_from(config, override, flags)
    configure_logging(settings.log)
    run(_serve(settings, child=child))


def voice_roots(settings: Settings) -> tuple[Path, ...]:
    """The folders of voice packs: those of the settings, then the store's."""
    from parley.store import open_store

    return (*(Path(folder) for folder in settings.worker.voicepacks), open_store(settings.store).voices)


def voices_here(settings: Settings) -> VoicePackCatalog:
    """The models of those folders, and the environments that their libraries may live in."""
    from parley.environments import open_environments
    from parley.worker.voicepacks import VoicePackCatalog

    return VoicePackCatalog(
        voice_roots(settings),
        loras=tuple(Path(folder) for folder in settings.worker.lora_paths),
        environments=open_environments(settings.engines),
        cloning=settings.worker.cloning.enabled,
    )


async def _serve(settings: Settings, *, child: bool) -> None:
    from parley.cli.process import started
    from parley.observability.otlp import exporting
    from parley.worker.announce import announced
    from parley.worker.server import serve

    catalog = voices_here(settings)
    for problem in catalog.problems().values():
        typer.echo(f"parley worker: {problem.message}", err=True)
    instance = settings.worker.name or f"{socket.gethostname()}:{os.getpid()}"
    async with AsyncExitStack() as stack:
        stack.enter_context(exporting(settings.traces, "parley-worker", instance))

        async def ready(running: Worker) -> None:
            if settings.registry.url:
                await stack.enter_async_context(announced(running, settings.registry))
            typer.echo(f"worker ready at {running.address}")
            sys.stdout.flush()

        if child:
            stop_with_parent()
        started()
        await serve(settings.worker, catalog, ready=ready, stall_after=settings.log.stall_after)


def stop_with_parent() -> None:
    """End when whoever started this process is gone: its end of our standard input closes then, whatever happens."""
    import signal
    import threading

    def wait() -> None:
        while os.read(0, 64):  # not sys.stdin: its lock would be held while the interpreter ends
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
