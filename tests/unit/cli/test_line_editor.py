"""What is typed while something else is drawn."""

from __future__ import annotations

import asyncio
import os
import pty
import termios

import pytest

from parley.cli.line_editor import MOST, LineEditor, keys


@pytest.mark.parametrize(
    ("keys", "lines", "left"),
    [
        ("hello\n", ["hello"], ""),
        ("hello\rthere", ["hello"], "there"),
        ("hellp\x7fo\n", ["hello"], ""),
        ("\x7f\x7fa\n", ["a"], ""),
        ("forget this\x15/quit\n", ["/quit"], ""),
        ("  \n\n", [], ""),
        ("a\x1b[Db\x1b[1;5Cc\x1b[3~d\x1bOPe\x1bxf\n", ["abcdef"], ""),
        ("a\tb\x01c\n", ["abc"], ""),
        ("grüß 你好\n", ["grüß 你好"], ""),
    ],
)
def test_keys_become_lines(keys: str, lines: list[str], left: str) -> None:
    editor = LineEditor()
    assert editor.feed(keys) == lines
    assert editor.text == left


def test_a_key_may_come_in_pieces() -> None:
    editor = LineEditor()
    assert [line for piece in ("a\x1b", "[", "D", "b\n") for line in editor.feed(piece)] == ["ab"]


def test_a_line_that_is_longer_than_the_server_takes_is_cut() -> None:
    assert [len(line) for line in LineEditor().feed("x" * (MOST + 9) + "\n")] == [MOST]


@pytest.mark.anyio
async def test_keys_of_a_terminal_are_taken_one_by_one_unseen_and_it_is_as_before_afterwards() -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    got: asyncio.Queue[str] = asyncio.Queue()
    with open(theirs, closefd=True) as terminal:
        with keys(terminal, got.put_nowait) as taken:
            assert taken
            os.write(ours, "é".encode())
            assert await asyncio.wait_for(got.get(), 10) == "é"
            assert not termios.tcgetattr(theirs)[3] & (termios.ECHO | termios.ICANON)
        assert termios.tcgetattr(theirs) == before
    os.close(ours)


@pytest.mark.anyio
async def test_what_is_no_terminal_gives_no_keys() -> None:
    with open(os.devnull) as nothing, keys(nothing, print) as taken:
        assert not taken
