"""Settings of logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """Where the time of each turn goes, across processes, told to an OpenTelemetry collector. No word that was said."""

    endpoint: Annotated[
        str,
        Setting(
            "Collector that takes OTLP over HTTP, such as http://127.0.0.1:4318; empty makes no traces. What it asks "
            "for besides (keys, certificates) stands in OpenTelemetry's own variables, OTEL_EXPORTER_OTLP_HEADERS."
        ),
    ] = ""
    sample: Annotated[
        float, Setting("Share of the turns that are traced; workers follow their orchestrator.", ge=0, le=1)
    ] = 1.0


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
    stall_after: Annotated[
        float,
        Setting(
            "An event loop that stands still for this long is warned of, with what it was doing; 0 watches for none.",
            unit="s",
            ge=0,
            le=60,
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for a stall that no watching could tell from ordinary work."""
        if 0 < self.stall_after < 0.01:
            raise ValueError(f"log.stall_after is {self.stall_after:g} s, but it must be 0 or at least 0.01 s.")
