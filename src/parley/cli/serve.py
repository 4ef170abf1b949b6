"""``parley serve``: an orchestrator in front of workers that run elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parley.cli.options import Config, Llm, Overrides


def serve(
    worker: Annotated[
        list[str] | None,
        typer.Option("--worker", "-w", help="Address (host:port) of a worker; may be repeated."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8080")] = None,
    registry: Annotated[
        str | None, typer.Option(help="redis:// address where workers announce themselves.", show_default="none")
    ] = None,
    llm: Llm = None,
    processes: Annotated[
        int, typer.Option(min=1, max=256, help="Orchestrators that share the port, one process each.")
    ] = 1,
    config: Config = None,
    override: Overrides = None,
    child: Annotated[Path | None, typer.Option("--child", hidden=True)] = None,
) -> None:
    """Start an orchestrator: it listens, thinks, and lets workers speak.

    Workers are found by their addresses (--worker), by a registry (--registry), or both. It stops on Ctrl-C or
    SIGTERM: nobody new is let in, running conversations may finish; a second Ctrl-C ends them.
    """
    from parley.cli.process import run, started, starting

    starting()
    from parley.cli.compose import check_wanted, run_orchestrator
    from parley.cli.options import llm_flags, settings_from
    from parley.observability.logging import configure_logging
    from parley.server.runner import listen

    flags = {
        "routing.workers": tuple(worker) if worker else None,
        "server.host": host,
        "server.port": port,
        "registry.url": registry,
        **llm_flags(llm),
    }
    settings = settings_from(config, override, flags)
    configure_logging(settings.log)
    check_wanted(settings)
    if processes > 1:
        from parley.cli.processes import serve_together

        started()
        run(serve_together(settings, processes, config, override, flags))
        return
    sibling = None
    if child:
        from parley.cli.worker import stop_with_parent
        from parley.server.siblings import Sibling

        stop_with_parent()
        sibling = Sibling(child.parent, int(child.name))

    async def ready(url: str) -> None:
        typer.echo(f"Parley is ready at {url}")

    with listen(settings.server) as sock:
        run(run_orchestrator(settings, sock, ready=ready, sibling=sibling))
