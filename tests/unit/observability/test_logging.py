"""Logs: one format for all loggers, and no words of a participant."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from parley.observability.logging import configure_logging
from parley.observability.settings import LogSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Configure = Callable[..., io.StringIO] if TYPE_CHECKING else Any


@pytest.fixture
def configured() -> Generator[Configure, None, None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def configure(**settings: Any) -> io.StringIO:
        stream = io.StringIO()
        configure_logging(LogSettings(**{"format": "json", **settings}), stream)
        return stream

    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_both_kinds_of_logger_write_the_same_kind_of_line(configured: Configure) -> None:
    stream = configured()
    structlog.get_logger("a").info("session started", session_id="s1")
    logging.getLogger("b").info("worker %s ready", "w1", extra={"address": "x:1"})
    first, second = lines(stream)
    assert (first["event"], first["session_id"], first["level"]) == ("session started", "s1", "info")
    assert (second["event"], second["address"], second["level"]) == ("worker w1 ready", "x:1", "info")


def test_what_people_said_is_dropped(configured: Configure) -> None:
    stream = configured()
    structlog.get_logger("a").info("turn ended", text="my secret", turn=3)
    logging.getLogger("b").info("turn ended", extra={"transcript": "my secret"})
    assert "my secret" not in stream.getvalue()
    assert lines(stream)[0]["turn"] == 3


def test_what_people_said_is_kept_when_the_settings_say_so(configured: Configure) -> None:
    stream = configured(transcripts=True)
    structlog.get_logger("a").info("turn ended", text="my secret")
    assert lines(stream)[0]["text"] == "my secret"


def test_lines_below_the_level_are_not_written(configured: Configure) -> None:
    stream = configured(level="warning")
    structlog.get_logger("a").info("quiet")
    logging.getLogger("b").info("quiet")
    assert stream.getvalue() == ""


def test_the_text_format_is_for_people(configured: Configure) -> None:
    stream = configured(format="text")
    structlog.get_logger("a").info("session started", session_id="s1")
    assert "session started" in stream.getvalue()
    assert "{" not in stream.getvalue()
