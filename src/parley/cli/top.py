"""``parley top``: who is in the fleet, and how each one does, drawn anew in place; ``parley workers`` is the same."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Self

import typer

from parley import clock
from parley.cli.options import Config, Overrides
from parley.cli.running import workers_here
from parley.hints import command

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from parley.config import Settings
    from parley.registry import Announcement, Registry

DEFAULT_WORKER = "127.0.0.1:50051"
"""Asked when no settings lead anywhere: where a worker listens that nobody told otherwise."""
FIRST_LOOK = 1.5
"""Seconds within which a fleet has answered."""
REDRAW = 0.5


def top(
    worker: Annotated[
        list[str] | None, typer.Option("--worker", "-w", help="Address (host:port) of a worker; may be repeated.")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help="redis:// address where workers announce themselves.", show_default="none")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the fleet once instead of following it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the announcements as JSON, once.")] = False,
    config: Config = None,
    override: Overrides = None,
) -> None:
    """Show the fleet of workers, live: models in memory, sessions, queues, latencies, refusals. Ctrl-C ends it.

    Workers are found by the registry, by their addresses, or both; without either, those on this machine are asked.
    Into a file or a pipe, and on a terminal without a cursor, it is printed once, without colours.
    """
    from rich.console import Console

    from parley.cli.fleet_view import draw
    from parley.cli.options import settings_from
    from parley.errors import UnavailableError

    flags = {"registry.url": registry, "routing.workers": tuple(worker) if worker else None}
    settings = settings_from(config, override, flags)
    console = Console()
    if once or as_json or not console.is_terminal or console.is_dumb_terminal:
        view = asyncio.run(_look(settings))
        if as_json:
            typer.echo(json.dumps([dataclasses.asdict(said) for said in view.fleet], indent=1))
        else:
            console.print(draw(view.fleet, view.trouble, width=console.width))
        if not view.fleet:
            raise UnavailableError(view.trouble or f"No worker is there; start one with `{command('worker')}`.")
        return
    asyncio.run(_follow(settings, console))


@dataclass(slots=True)
class View:
    """What is known of the fleet."""

    lists: list[tuple[Announcement, ...]] = field(default_factory=list)
    trouble: str = ""
    """What is wrong with the registry; empty when nothing is."""

    @property
    def fleet(self) -> list[Announcement]:
        """Every worker once, by name."""
        return sorted({said.name: said for found in self.lists for said in found}.values(), key=lambda said: said.name)


# --- looking ---------------------------------------------------------------------------


def _registries(settings: Settings) -> list[Registry]:
    from parley.registry import open_registry
    from parley.routing.links import ProbedWorkers, worker_access

    registries: list[Registry] = []
    if settings.registry.url:
        registries.append(open_registry(settings.registry))
    addresses = settings.routing.workers or (() if registries else workers_here() or (DEFAULT_WORKER,))
    if addresses:
        routing = replace(settings.routing, api_key=settings.routing.api_key or settings.worker.api_key)
        registries.append(ProbedWorkers(addresses, worker_access(routing)))
    return registries


class _Watch:
    """Follows the registries while it is open."""

    def __init__(self, settings: Settings) -> None:
        self.view = View()
        self._registries = _registries(settings)
        self.expected = len(settings.routing.workers or (() if settings.registry.url else workers_here())) or 1
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.view.lists = [() for _ in self._registries]
        self._tasks = [asyncio.create_task(self._follow(index)) for index in range(len(self._registries))]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for registry in self._registries:
            await registry.aclose()

    async def news(self, timeout: float) -> bool:
        """Wait for a change; False when there was none in time."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return False
        finally:
            self.view.trouble = " ".join(filter(None, (registry.health.detail for registry in self._registries)))
        return True

    async def _follow(self, index: int) -> None:
        async with aclosing(self._registries[index].watch()) as lists:
            async for found in lists:
                self.view.lists[index] = found
                self._changed.set()


async def _look(settings: Settings) -> View:
    """What the fleet says within a moment."""
    async with _Watch(settings) as watch:
        expected = watch.expected
        deadline = clock.now() + FIRST_LOOK
        while len(watch.view.fleet) < expected and await watch.news(max(0.0, deadline - clock.now())):
            pass
        return watch.view


async def _follow(settings: Settings, console: Console) -> None:
    from rich.live import Live

    from parley.cli.fleet_view import draw

    async with _Watch(settings) as watch:

        def picture() -> RenderableType:
            # As it is at this moment: windows are made narrower and lower while somebody looks.
            view = watch.view
            return draw(view.fleet, view.trouble, width=console.width, height=console.height)

        with Live(picture(), console=console, auto_refresh=False) as live:
            while True:
                await watch.news(REDRAW)
                live.update(picture(), refresh=True)
