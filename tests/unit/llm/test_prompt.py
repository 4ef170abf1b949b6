"""Whatever was said: instructions first, then the user, then in turn, and not a word is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.llm.prompt import arrange
from parley.values import ChatMessage

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
