"""``parley doctor``: what is installed, reachable and missing, and the command that mends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from parley.cli.options import Config, Overrides

if TYPE_CHECKING:
    from parley.cli.checks import Finding
    from parley.config import Settings

_MARKS = {"ok": "[green]ok[/green]", "optional": "[dim]optional[/dim]", "wrong": "[red]wrong[/red]"}


def doctor(
    config: Config = None,
    override: Overrides = None,
    media: Annotated[
        bool,
        typer.Option("--media", help="Try the ways of WebRTC's sound too: ports, STUN, a path through each relay."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Say what is installed, reachable and missing, and what mends it.

    "optional" is not there and not needed by your settings; "wrong" is needed. Exit code 1 when anything is wrong.
    """
    import asyncio

    from parley.cli.options import settings_from
    from parley.config import Settings
    from parley.errors import ConfigError

    trouble = ""
    try:
        settings = settings_from(config, override)
    except ConfigError as error:
        settings, trouble = Settings(), error.message
    findings = asyncio.run(_examine(settings, trouble, media=media))
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=1))
    else:
        _print(findings)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


async def _examine(settings: Settings, trouble: str, *, media: bool) -> list[Finding]:
    from parley.cli.checks import examine

    findings = await examine(settings, trouble)
    if media:
        from parley.cli.media import examine_media

        findings += await examine_media(settings)
    return findings


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for wrapped in (False, False, False, True):
        table.add_column(no_wrap=not wrapped, overflow="fold")
    part = ""
    for finding in findings:
        gap = "\n" if finding.detail and finding.mend else ""
        mend = f"{gap}[bold]{escape(finding.mend)}[/bold]" if finding.mend else ""
        table.add_row(
            f"[bold]{finding.part}[/bold]" if finding.part != part else "",
            escape(finding.name),
            _MARKS[finding.state],
            escape(finding.detail) + mend,
        )
        part = finding.part
    console = Console(soft_wrap=False)
    console.print(table)
    wrong = sum(finding.state == "wrong" for finding in findings)
    console.print(
        f"\n{wrong} of {len(findings)} are wrong." if wrong else "\nNothing that your settings need is missing."
    )
