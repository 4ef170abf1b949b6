"""Tables that several commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

_NUMBERS = ("size", "speakers", "memory")
"""Columns of figures."""


def plain(title: str, fixed: Sequence[str], others: Sequence[str]) -> Table:
    """A table without lines; the columns of ``fixed`` and those of figures are never broken."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in (*fixed, *others):
        right = name in _NUMBERS
        table.add_column(name, no_wrap=right or name in fixed, overflow="fold", justify="right" if right else "left")
    return table


def show(renderable: Any) -> None:
    """Print it, as wide as the terminal is."""
    from rich.console import Console

    Console().print(renderable)


def short(names: Sequence[str], most: int = 3) -> str:
    """The first few of a list, and how many more there are."""
    return ", ".join(names[:most]) + (f" +{len(names) - most}" if len(names) > most else "")
