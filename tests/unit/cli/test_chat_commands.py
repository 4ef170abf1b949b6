"""What a line that is typed in `parley chat` means, and what /save writes."""

from __future__ import annotations

import pytest

from parley.cli.chat_commands import is_turn, parse, transcript
from parley.client.conversation import Conversation
from parley.messages import ReplyEnded, ReplyStarted, ReplyText, ToolUpdate, TranscriptUpdate, VoiceChanged
from parley.values import Voice


@pytest.mark.parametrize(
    ("line", "command", "rest"),
    [
        ("hello /quit", "", "hello /quit"),
        ("//etc is a folder", "", "/etc is a folder"),
        (" /Save  my file.txt ", "save", "my file.txt"),
        ("/quit", "quit", ""),
        ("/", "", ""),
    ],
)
def test_a_line_is_a_turn_or_a_command(line: str, command: str, rest: str) -> None:
    assert parse(line) == (command, rest)


def test_only_turns_are_waited_for() -> None:
    assert [is_turn(line) for line in ("hello", "//x", "/help")] == [True, True, False]


def test_what_was_said_is_written_down_and_what_the_program_says_is_not() -> None:
    conversation = Conversation()
    for message in (
        TranscriptUpdate(1, "tell me a story", final=True),
        ToolUpdate("c", 1, "shelf", "done"),
        ReplyStarted("u", 1),
        ReplyText("u", "Once upon a time."),
        VoiceChanged(Voice("tone", "low")),
        ReplyEnded("u", "interrupted", "Once upon a time.", "Once upon"),
    ):
        conversation.follow(message)
    assert conversation.voice == "tone/low"
    assert transcript(conversation) == ("you: tell me a story\ntool: shelf  (done)\nparley: Once upon  (interrupted)\n")
