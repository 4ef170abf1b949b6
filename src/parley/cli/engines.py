"""``parley engines``: the environments of engines that tolerate no others, made when somebody asks for them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parley.cli import tables
from parley.cli.options import Config, Overrides, settings_from
from parley.hints import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.config import Settings
    from parley.environments import Environments
    from parley.environments.groups import Group as EngineGroup
    from parley.environments.installing import Installation

app = typer.Typer(
    help="List, install and remove the environments of engines that tolerate no others.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)

Names = Annotated[list[str], typer.Argument(help="Groups of engines, or families in them.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.command("list")
def list_engines(config: Config = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Every group and the families in it: which are here, how large they are, and what they would take."""
    settings = settings_from(config, set_)
    groups = [as_dict(settings, group) for group in _groups().values()]
    if as_json:
        typer.echo(json.dumps(groups, indent=1))
        return
    from rich.markup import escape

    shown = tables.plain("Engines in environments of their own", ("engine", "size"), ("runs", "state", "licence"))
    for group in groups:
        size = group["size_mb"] or group["disk_mb"]
        note = f"; {group['advice']}" if group["advice"] else ""
        shown.add_row(f"[bold]{group['group']}[/bold]", f"{size} MB", "", escape(f"{group['state']}{note}"), "")
        for family in group["families"]:
            shown.add_row(f"  {family['name']}", "", family["kind"], "", family["licence"])
    tables.show(shown)


@app.command("install")
def install(
    names: Names,
    replace: Annotated[bool, typer.Option("--replace", help="Make it again when it is here.")] = False,
    yes: Yes = False,
    config: Config = None,
    set_: Overrides = None,
) -> None:
    """Make the environments of these engines with uv, from lists of pinned packages with checksums.

    Says first how large they are, and asks once.
    """
    from parley.environments.groups import Work, names_of
    from parley.environments.installing import install as make
    from parley.environments.installing import planned

    settings = settings_from(config, set_)
    shelf, index = opened(settings), settings.engines.torch_index
    plans = [planned(shelf, group, torch_index=index, replace=replace) for group in _wanted(names)]
    for plan in plans:
        if plan.work is Work.NOTHING:
            typer.echo(f"{plan.group.name} is here already.")
    plans = [plan for plan in plans if plan.work is not Work.NOTHING]
    if any(plan.work is Work.ALL for plan in plans):
        tables.show(_offer(plans, index))
        _ask(yes)
    for plan in plans:
        typer.echo(f"{plan.group.name}:")
        label = make(shelf, plan, torch_index=index, say=lambda line: typer.echo(f"  {line}"))
        typer.echo(
            f"  is ready in {shelf.path(plan.group)}, {label.size / 1e6:.0f} MB: {', '.join(names_of(plan.group))}"
        )


@app.command("remove")
def remove(names: Names, yes: Yes = False, config: Config = None, set_: Overrides = None) -> None:
    """Delete the environments of these engines."""
    shelf = opened(settings_from(config, set_))
    for group in _wanted(names):
        if not yes and sys.stdin.isatty() and not typer.confirm(f"Delete {shelf.path(group)}?", default=False):
            raise typer.Exit(1)
        freed, shared = shelf.remove(group)
        rest = f"; {shared / 1e6:.0f} MB are in uv's cache, which `uv cache clean` empties" if shared else ""
        typer.echo(f"{group.name} is removed; {freed / 1e6:.0f} MB came back{rest}.")


def opened(settings: Settings) -> Environments:
    """The environments that the settings lead to."""
    from parley.environments import open_environments

    return open_environments(settings.engines)


def as_dict(settings: Settings, group: EngineGroup) -> dict[str, Any]:
    """Everything about a group on this machine, for programs."""
    import shutil

    from parley.environments import groups

    shelf = opened(settings)
    label, index = shelf.label(group), bool(settings.engines.torch_index)
    return {
        "group": group.name,
        "families": [asdict(family) for family in group.families],
        "state": shelf.state(group).value,
        "usable": shelf.state(group) in groups.USABLE,
        "folder": str(shelf.path(group)),
        "size_mb": round(label.size / 1e6) if label else 0,
        "disk_mb": groups.disk_mb(group, torch_index=index),
        "download_mb": groups.download_mb(shelf.listed(group), torch_index=index),
        "python": group.python_name,
        "torch": label.torch if label else "",
        "advice": groups.advice(label, gpu=shutil.which("nvidia-smi") is not None),
    }


def _groups() -> dict[str, EngineGroup]:
    from parley.environments import GROUPS

    return GROUPS


def _wanted(names: Sequence[str]) -> list[EngineGroup]:
    """The groups behind names of groups and families, each once."""
    from parley.environments.groups import find
    from parley.errors import NotFound

    found = {}
    for name in names:
        group = find(name, _groups())
        if group is None:
            raise NotFound(f'No engine "{name}" has an environment of its own; `{command("engines list")}` shows them.')
        found[group.name] = group
    return list(found.values())


def _offer(plans: Sequence[Installation], torch_index: str) -> Any:
    """What is about to be fetched: how large, under which licence, for which Python."""
    from rich.console import Group
    from rich.markup import escape

    shown = tables.plain(
        f"To be fetched: at most {sum(plan.download_mb for plan in plans)} MB, less what uv's cache has",
        ("engine", "size"),
        ("licence", "python"),
    )
    for plan in plans:
        for family in plan.group.families:
            row = (family.name, f"{plan.disk_mb} MB on disk", family.licence, plan.group.python_name)
            shown.add_row(*map(escape, row))
    cuda = sum(plan.group.cuda_mb for plan in plans)
    if torch_index:
        return Group(shown, f"torch comes from {escape(torch_index)}.")
    return Group(shown, f"{cuda} MB of it are for CUDA; engines.torch_index takes another torch.") if cuda else shown


def _ask(yes: bool) -> None:
    """Once, where there is somebody to ask."""
    from parley.errors import InvalidRequest

    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest("Nothing is fetched unasked; say --yes where nobody can answer.")
    if not typer.confirm("Fetch this?", default=True):
        raise typer.Exit(1)
