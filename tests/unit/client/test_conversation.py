"""What a client shows of a conversation: who said what, and not what nobody said."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from parley.cli.chat_view import _Printer
from parley.client.conversation import Conversation
from parley.messages import BargeInDecided, ReplyEnded, ReplyStarted, ReplyText, ServerMessage, TranscriptUpdate

TURN = TranscriptUpdate(1, "tell me a story", True)
REPLY = (ReplyStarted("u1", 1), ReplyText("u1", "Once upon a time."))
END = ReplyEnded("u1", "finished", "Once upon a time.", "Once upon a time.")


def decided(outcome: str) -> BargeInDecided:
    return BargeInDecided("u1", outcome, ("0.20 s of sound, no words",))  # type: ignore[arg-type]


def shown(*messages: ServerMessage) -> list[str]:
    conversation, paper = Conversation(), io.StringIO()
    printer = _Printer(Console(file=paper, width=200), conversation)
    for message in messages:
        conversation.follow(message)
        printer.changed()
    printer.finish()
    return paper.getvalue().splitlines()


def test_both_sides_are_shown() -> None:
    assert shown(TURN, *REPLY, END) == ["you: tell me a story", "parley: Once upon a time."]


@pytest.mark.parametrize("outcome", ["noise", "echo"])
def test_words_found_in_a_noise_over_the_reply_are_not_the_participants(outcome: str) -> None:
    words = TranscriptUpdate(1, "the", True)
    assert shown(TURN, *REPLY, decided(outcome), words, END) == ["you: tell me a story", "parley: Once upon a time."]


def test_a_transcript_that_is_judged_noise_before_it_is_complete_is_taken_back() -> None:
    begun = TranscriptUpdate(2, "the")
    assert shown(TURN, *REPLY, begun, decided("noise"), END) == ["you: tell me a story", "parley: Once upon a time."]


def test_a_nod_over_the_reply_is_shown_as_one() -> None:
    nod = TranscriptUpdate(1, "mhm", True, backchannel=True)
    assert "you: mhm  (mhm)" in shown(TURN, *REPLY, decided("backchannel"), nod, END)


def test_the_turn_after_a_noise_is_shown() -> None:
    asked = TranscriptUpdate(2, "what was his name", True)
    assert "you: what was his name" in shown(TURN, *REPLY, decided("noise"), END, asked)
