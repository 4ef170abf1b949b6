"""Logs: short events in plain words, everything else in fields; what people said is in no message.

Both structlog's loggers and the standard library's end here. Fields that carry words of a participant
are named in ``SPOKEN_FIELDS`` and are dropped unless the settings keep them.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

    from parley.observability.settings import LogSettings

SPOKEN_FIELDS = frozenset({"text", "transcript", "heard_text", "words", "prompt", "reply", "history"})
"""Fields that may hold what somebody said."""

_QUIET = ("httpx", "httpx2", "httpcore", "openai", "aiortc", "aioice", "uvicorn", "uvicorn.error", "grpc", "asyncio")
_SILENT = ("mcp", "python_multipart")
"""They log whole messages, with what people said, or a line for each that somebody sends with a mistake in it; what
matters of it is told by ours."""


def configure_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send all logs to ``stream`` (standard error) in the format and from the level that is set."""
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Redactor(keep=settings.transcripts),
    ]
    as_json = settings.format == "json" or (settings.format == "auto" and not out.isatty())
    renderer: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=True,
    )


class _Redactor:
    """Drops what people said."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep

    def __call__(self, logger: Any, name: str, event: EventDict) -> EventDict:
        if not self._keep:
            for field in SPOKEN_FIELDS & event.keys():
                del event[field]
        return event
