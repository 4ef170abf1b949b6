"""Settings of logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What the process says about itself on standard error."""

    level: Annotated[
        str,
        Setting("Least important lines that are written.", choices=("debug", "info", "warning", "error")),
    ] = "info"
    format: Annotated[
        str,
        Setting(
            "text for people, json (one object per line) for machines, auto by whether a terminal reads.",
            choices=("auto", "text", "json"),
        ),
    ] = "auto"
    transcripts: Annotated[bool, Setting("Keep what people said in the fields of debug lines; off removes it.")] = False
