"""Whatever was said: instructions first, then the user, then in turn, and not a word is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.llm.prompt import BRIEF, UNSEEN, arrange
from parley.values import ChatMessage, Image, ToolCall

ROLES = st.sampled_from(["system", "user", "assistant"])
HISTORIES = st.lists(ROLES, max_size=12).map(
    lambda roles: [ChatMessage(role, f"[{n}]") for n, role in enumerate(roles)]
)


def roles(messages: list[dict[str, str]]) -> list[str]:
    return [message["role"] for message in messages]


@given(HISTORIES, st.sampled_from(["", "Be kind."]))
def test_templates_that_want_instructions_user_and_alternation_get_it(
    history: list[ChatMessage], instructions: str
) -> None:
    said = roles(arrange(history, instructions=instructions))
    turns = said[1:] if said[:1] == ["system"] else said
    assert turns == (["user", "assistant"] * len(turns))[: len(turns)]


@given(HISTORIES, st.sampled_from(["system", "developer", "user"]))
def test_nothing_is_left_out_and_each_side_keeps_its_order(history: list[ChatMessage], role: str) -> None:
    messages = arrange(history, system_role=role)
    for message in history:
        assert sum(message.text in sent["content"] for sent in messages) == 1
    for side in ("user", "assistant"):
        texts = [message.text for message in history if message.role == side]
        places = ["".join(sent["content"] for sent in messages).index(text) for text in texts]
        assert places == sorted(places)


@given(HISTORIES)
def test_with_instructions_in_the_first_turn_there_is_no_system_message(history: list[ChatMessage]) -> None:
    said = roles(arrange(history, instructions="Be kind.", system_role="user"))
    assert said == (["user", "assistant"] * len(said))[: len(said)]


@given(HISTORIES, st.integers(1, 6))
def test_the_newest_are_sent_and_one_more_where_they_would_begin_with_the_agent(
    history: list[ChatMessage], newest: int
) -> None:
    whole = [message for message in arrange(history) if message["role"] != "system"]
    sent = [message for message in arrange(history, newest=newest) if message["role"] != "system"]
    assert sent == whole[len(whole) - len(sent) :]
    assert len(sent) in {min(newest, len(whole)), min(newest + 1, len(whole)), newest - 1}


def test_a_greeting_stands_with_the_instructions() -> None:
    history = [ChatMessage("assistant", "Hello, I am Ada."), ChatMessage("user", "Hi.")]
    system, user = arrange(history, instructions="Be kind.")
    assert system["content"].startswith("Be kind.\n\n")
    assert "Hello, I am Ada." in system["content"]
    assert user == {"role": "user", "content": "Hi."}


def test_two_turns_in_a_row_are_one_message() -> None:
    history = [ChatMessage("user", "One."), ChatMessage("user", "Two.")]
    assert arrange(history) == [{"role": "user", "content": "One.\nTwo."}]


def test_the_sessions_own_instructions_replace_the_settings() -> None:
    history = [ChatMessage("system", "Be brief."), ChatMessage("user", "Hi.")]
    assert arrange(history, instructions="Be kind.")[0] == {"role": "system", "content": "Be brief."}


# --- tools --------------------------------------------------------------------------------

CALL = ToolCall("c1", "weather", '{"city": "Rome"}')
ASKED = [
    ChatMessage("user", "Will it rain?"),
    ChatMessage("assistant", "Let me see.", (CALL,)),
    ChatMessage("tool", "Sunny.", call_id="c1"),
    ChatMessage("assistant", "No."),
    ChatMessage("user", "Good."),
]


def test_calls_and_results_are_messages_where_tools_are_offered() -> None:
    user, call, result, answer, last = arrange(ASKED, tools=True)
    assert call["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Rome"}'}
    assert (call["role"], call["content"]) == ("assistant", "Let me see.")
    assert result == {"role": "tool", "tool_call_id": "c1", "content": "Sunny."}
    assert [message["role"] for message in (user, answer, last)] == ["user", "assistant", "user"]


def test_and_words_where_none_are() -> None:
    told = arrange(ASKED)
    assert roles(told) == ["user", "assistant", "user", "assistant", "user"]
    assert told[2]["content"] == '[weather({"city": "Rome"}) answered: Sunny.]'
    assert not any("tool_calls" in message for message in told)


@pytest.mark.parametrize("newest", range(1, 6))
def test_the_newest_never_begin_between_a_call_and_its_result(newest: int) -> None:
    assert arrange(ASKED, newest=newest, tools=True)[0]["role"] == "user"


def test_what_tools_told_before_anybody_spoke_stands_with_the_instructions() -> None:
    system, user = arrange(ASKED[1:], instructions="Be kind.", tools=True)
    assert "Let me see." in system["content"]
    assert "A tool has told you: Sunny." in system["content"]
    assert user["content"] == "Good."


@given(HISTORIES, st.sampled_from(["", "Be kind."]), st.sampled_from(["system", "user"]))
def test_a_short_answer_is_asked_for_once_and_beside_whatever_else_is_asked(
    history: list[ChatMessage], instructions: str, role: str
) -> None:
    usual = arrange(history, instructions=instructions, system_role=role)
    brief = arrange(history, instructions=instructions, system_role=role, brief=True)
    assert sum(message["content"].count(BRIEF) for message in brief) == 1
    assert "".join(message["content"] for message in usual).count(BRIEF) == 0
    for message in history:
        assert sum(message.text in sent["content"] for sent in brief) == 1


CAT = Image("data:image/png;base64,cat")
DOG = Image("data:image/png;base64,dog", "low")


def test_images_stand_behind_the_words_of_their_turn() -> None:
    history = [ChatMessage("user", "Look.", images=(CAT,)), ChatMessage("user", "", images=(DOG,))]
    (message,) = arrange(history)
    assert message["content"] == [
        {"type": "text", "text": "Look."},
        {"type": "image_url", "image_url": {"url": CAT.url}},
        {"type": "image_url", "image_url": {"url": DOG.url, "detail": "low"}},
    ]


def test_instructions_join_a_first_turn_that_shows_an_image() -> None:
    (message,) = arrange([ChatMessage("user", "", images=(CAT,))], instructions="Be kind.", system_role="user")
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]
    assert message["content"][0]["text"] == "Be kind."


def test_a_model_that_does_not_look_is_told_that_there_was_one() -> None:
    (message,) = arrange([ChatMessage("user", "Look.", images=(CAT,))], images=False)
    assert message["content"] == f"Look. {UNSEEN}"
