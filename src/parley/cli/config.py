"""``parley config``: what is set, whether it is right, and what could be set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parley.cli.options import Config, Overrides

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", help="Show, check and write settings."
)


@app.command()
def show(config: Config = None, override: Overrides = None, changed: bool = False) -> None:
    """Print the settings in force, secrets masked; with --changed only those that differ from the defaults."""
    from parley.cli.options import settings_from
    from parley.config.pages import shown
    from parley.config.tree import group_of

    defaults = _defaults()
    for leaf in group_of(settings_from(config, override)).leaves():
        same = defaults[leaf.path] == leaf.default
        if changed and same:
            continue
        value = '"********"' if leaf.setting.secret and leaf.default else shown(leaf.default)
        typer.echo(f"{leaf.path}: {value}" + ("" if same else "  # changed"))


@app.command()
def check(config: Config = None, override: Overrides = None) -> None:
    """Say whether the settings are right; exit code 2 and one line per mistake when they are not."""
    from parley.cli.options import settings_from

    settings_from(config, override)
    typer.echo("The settings are right.")


@app.command()
def sample(
    name: Annotated[str, typer.Argument(help="orchestrator or worker")] = "orchestrator",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write it to this file.")] = None,
) -> None:
    """Print a settings file with every key, its default and its meaning."""
    from parley.config.pages import SAMPLES
    from parley.config.pages import sample as text_of

    if name not in SAMPLES:
        raise typer.BadParameter(f"there are samples for {' and '.join(SAMPLES)}")
    _write(text_of(name), out)


@app.command()
def reference(out: Annotated[Path | None, typer.Option("-o", "--out", help="Write it to this file.")] = None) -> None:
    """Print the reference page of all settings, in Markdown."""
    from parley.config.pages import reference as text_of

    _write(text_of(), out)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


def _defaults() -> dict[str, object]:
    from parley.config import tree

    return {leaf.path: leaf.default for leaf in tree().leaves()}
