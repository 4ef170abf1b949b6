"""What ``parley chat`` prints where there is no screen to draw on."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from parley.cli.chat_view import _Printer, _Screen
from parley.cli.line_editor import LineEditor
from parley.client.conversation import Conversation
from parley.messages import ErrorMessage, ReplyEnded, ReplyStarted, ReplyText, ToolUpdate, TranscriptUpdate, TurnLatency

if TYPE_CHECKING:
    from parley.messages import ServerMessage

BEGIN = ReplyStarted("u1", 1)
ONE, TWO = ReplyText("u1", "One two three. "), ReplyText("u1", "Four five six.")
WHOLE = "One two three. Four five six."


def printed(*messages: ServerMessage, finished: bool = False) -> str:
    out, conversation = io.StringIO(), Conversation()
    printer = _Printer(Console(file=out, width=20), conversation)
    for message in messages:
        conversation.follow(message)
        printer.changed()
    if finished:
        printer.finish()
    return out.getvalue()


def ended(outcome: str, heard: str) -> ReplyEnded:
    return ReplyEnded("u1", outcome, WHOLE, heard)  # type: ignore[arg-type]


def test_each_piece_is_there_as_soon_as_it_is_spoken() -> None:
    assert printed(BEGIN, ONE) == "parley: One two three."
    assert printed(BEGIN, ONE, TWO) == f"parley: {WHOLE}"
    assert printed(BEGIN, ONE, TWO, ended("finished", WHOLE)) == f"parley: {WHOLE}\n"


@pytest.mark.parametrize(
    ("heard", "line"),
    [
        ("One two three. Four", f'parley: {WHOLE}  (interrupted after "two three. Four")'),
        ("", f"parley: {WHOLE}  (interrupted before a word was heard)"),
        (WHOLE, f"parley: {WHOLE}  (interrupted)"),
    ],
)
def test_a_reply_that_was_cut_off_says_where(heard: str, line: str) -> None:
    assert printed(BEGIN, ONE, TWO, ended("interrupted", heard)) == f"{line}\n"


def test_what_is_said_over_a_reply_stands_on_a_line_of_its_own_and_the_reply_goes_on_below() -> None:
    nod = TranscriptUpdate(1, "mhm", final=True, backchannel=True)
    lines = printed(BEGIN, ONE, nod, TWO, ended("finished", WHOLE)).splitlines()
    assert lines == ["parley: One two three.", "you: mhm  (mhm)", "parley: Four five six."]


def test_latencies_wait_for_the_end_of_the_line_and_errors_do_not() -> None:
    latency, error = TurnLatency(1, {"heard": 100.0}), ErrorMessage("timed_out", "Too slow.")
    lines = printed(BEGIN, ONE, latency, error, TWO, ended("failed", WHOLE)).splitlines()
    assert lines == [
        "parley: One two three.",
        "Too slow.",
        "parley: Four five six.  (failed)",
        "ms after your last sound: heard 100",
    ]


def test_a_line_that_is_open_at_the_end_is_closed() -> None:
    assert printed(BEGIN, ONE, finished=True) == "parley: One two three.\n"
    assert printed(TranscriptUpdate(1, "hel"), finished=True) == "you: hel\n"


def test_what_becomes_of_a_tool_stands_on_lines_of_its_own() -> None:
    steps = [ToolUpdate("c1", 1, "weather", "running"), ToolUpdate("c1", 1, "weather", "done")]
    lines = printed(BEGIN, ONE, *steps, TWO, ended("finished", WHOLE), finished=True).splitlines()
    assert lines == [
        "parley: One two three.",
        "tool: weather, at work",
        "tool: weather, done",
        "parley: Four five six.",
    ]


def test_a_call_that_is_asked_about_and_the_one_that_follows_are_two() -> None:
    asked, agreed = ToolUpdate("c1", 1, "open_door", "unconfirmed"), ToolUpdate("c1", 2, "open_door", "running")
    assert printed(asked, asked, agreed).splitlines() == [
        "tool: open_door, asks you first",
        "tool: open_door, at work",
    ]


def test_the_screen_has_tools_among_what_was_said() -> None:
    conversation = Conversation()
    for message in (BEGIN, ONE, ToolUpdate("c1", 1, "weather", "failed")):
        conversation.follow(message)
    out = io.StringIO()
    Console(file=out, width=60).print(_Screen(conversation, "ws://here"))
    assert "tool: weather  (failed)" in out.getvalue()


def screen(conversation: Conversation, width: int, height: int, typed: str = "") -> list[str]:
    out, editor = io.StringIO(), LineEditor()
    editor.feed(typed)
    Console(file=out, width=width, height=height).print(_Screen(conversation, "ws://127.0.0.1:8080", editor))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(("width", "height"), [(24, 10), (40, 12), (80, 24), (160, 50)])
def test_in_a_window_of_any_size_the_last_words_and_what_is_typed_are_there(width: int, height: int) -> None:
    conversation = Conversation()
    for turn in range(30):
        conversation.follow(TranscriptUpdate(turn, f"question {turn} with a good many more words", final=True))
    conversation.follow(BEGIN)
    conversation.follow(ReplyText("u1", "And these are the very last words"))
    conversation.follow(TurnLatency(1, {f"stage{n}": 100.0 for n in range(9)}))
    conversation.follow(
        ErrorMessage("engine_failed", "The voice broke off, which is a long sentence in a small window.")
    )
    lines = screen(conversation, width, height, "/save a-file-with-a-long-name-that-ends.txt")
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert any("last words" in line or "words" in line for line in lines)
    assert lines[-1].endswith("ends.txt▏")


def test_a_server_with_a_long_address_and_odd_brackets_is_no_markup() -> None:
    out = io.StringIO()
    Console(file=out, width=40, height=12).print(_Screen(Conversation(), "ws://[::1]:8080/[bold]" + "x" * 60))
    assert "[::1]:8080/[bold]" in out.getvalue()
