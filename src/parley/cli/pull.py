"""``parley pull``: models of all kinds, fetched when somebody asks for them and never otherwise."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parley.cli import tables
from parley.cli.inventory import in_use, inventory, listing
from parley.cli.options import Config, Overrides, settings_from
from parley.cli.shelf import RECOMMENDED, opened
from parley.hints import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from parley.store import Catalog, Entry, Store

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def pull(
    models: Annotated[
        list[str] | None,
        typer.Argument(help=f"Ids of models, or '{RECOMMENDED}': ears, a voice and a turn model. None lists them."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Folder of voice packs to fetch voices into. Default: the store.")
    ] = None,
    hub: Annotated[str, typer.Option("--hub", help="Mirror of the hub, such as https://hub.example.org.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Fetch it again when it is here.")] = False,
    yes: Yes = False,
    config: Config = None,
    set_: Overrides = None,
) -> None:
    """Fetch voices, recognisers, turn models and small language models, with checksums.

    `parley pull recommended` names what it fetches, how large it is and under which licence, and asks once.
    """
    settings = settings_from(config, set_)
    catalog, store = opened(settings, into)
    if not models:
        use = in_use(settings)
        tables.show(listing(inventory(settings, use), use))
        return
    entries = _wanted(catalog, models)
    absent = [entry for entry in entries if replace or not store.has(entry)]
    for entry in entries:
        if entry not in absent:
            typer.echo(f"{entry.model_id} is here already.")
    _bring(absent, entries, store, mirror=hub or settings.store.mirror, replace=replace, yes=yes)


def _wanted(catalog: Catalog, names: Sequence[str]) -> list[Entry]:
    """The entries behind names; ``recommended`` stands for several."""
    spelled = [part for name in names for part in (catalog.recommended if name == RECOMMENDED else (name,))]
    return [catalog.find(name) for name in dict.fromkeys(spelled)]


def _bring(
    absent: Sequence[Entry], wanted: Sequence[Entry], store: Store, *, mirror: str, replace: bool, yes: bool
) -> None:
    from parley.errors import InvalidRequest
    from parley.store import engines
    from parley.store.pulling import pull as fetch

    for entry in absent:
        if entry.forbidden:
            raise InvalidRequest(f"{entry.model_id} is not fetched: {entry.forbidden}.")
    extras = engines.missing(wanted)
    if not absent and not extras:
        return
    tables.show(_offer(absent, extras))
    _ask(yes)
    if extras:  # first: some engines bring what checks their models
        typer.echo(f"engines: {', '.join(engines.ENGINES[extra].package for extra in extras)}")
        engines.install(extras)
    for entry in absent:
        typer.echo(f"{entry.model_id}:")
        folder = fetch(
            entry, store.path(entry), mirror=mirror, replace=replace, say=lambda line: typer.echo(f"  {line}")
        )
        typer.echo(f"  is ready in {folder}")
    typer.echo(f"Start with `{command('up')}`: it takes the best that is installed.")


def _ask(yes: bool) -> None:
    """Once, where there is somebody to ask."""
    from parley.errors import InvalidRequest

    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest("Nothing is fetched unasked; say --yes where nobody can answer.")
    if not typer.confirm("Fetch this?", default=True):
        raise typer.Exit(1)


def _offer(absent: Sequence[Entry], extras: Sequence[str]) -> Table:
    """What is about to be fetched: names, sizes, licences of weights and engines, origins."""
    from rich.markup import escape

    from parley.store.engines import ENGINES, engine_of

    total = sum(entry.size_mb for entry in absent)
    shown = tables.plain(f"To be fetched: {total} MB", ("what", "size"), ("licence", "engine", "origin"))
    for entry in absent:
        runs_on = engine_of(entry)
        engine = f"{runs_on.package}: {runs_on.terms}" if runs_on else entry.engine
        shown.add_row(
            escape(entry.model_id), f"{entry.size_mb} MB", *map(escape, (entry.licence, engine, entry.origin))
        )
    for extra in extras:
        shown.add_row(ENGINES[extra].package, "package", escape(ENGINES[extra].licence), "", "the engine itself")
    return shown


def remove(
    models: Annotated[list[str], typer.Argument(help="Ids of models.")],
    yes: Yes = False,
    config: Config = None,
    set_: Overrides = None,
) -> None:
    """Delete models from the store."""
    catalog, store = opened(settings_from(config, set_))
    for name in models:
        entry = catalog.find(name)
        if not yes and sys.stdin.isatty() and not typer.confirm(f"Delete {store.path(entry)}?", default=False):
            raise typer.Exit(1)
        freed = store.remove(entry)
        typer.echo(f"{entry.model_id} is removed; {freed / 1e6:.0f} MB came back.")
