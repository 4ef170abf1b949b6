"""A conversation of items: whatever is done to it, it stays one that any model can be told."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.audio.frame import WordMark
from parley.conversation import Call, History, Item, Message, Result, item_from, plain
from parley.conversation.heard import without
from parley.conversation.telling import LATER, LONGEST_IN_ALL, NO_RESULT_YET
from parley.errors import InvalidRequest, NotFound
from parley.values import ChatMessage, ToolCall

CALL = ToolCall("c1", "weather", '{"city": "Rome"}')


def history(*items: Item) -> History:
    return History(items)


def asked() -> History:
    return history(Message("user", "Will it rain?"), Call("c1", "weather", '{"city": "Rome"}'))


# --- what a model is told -----------------------------------------------------------------


def test_a_call_is_told_with_its_result() -> None:
    talk = asked()
    talk.insert(Result("c1", "Sunny."))
    talk.add_agent("It stays dry.")
    assert talk.messages(turn="And tomorrow?") == [
        ChatMessage("user", "Will it rain?"),
        ChatMessage("assistant", "", (CALL,)),
        ChatMessage("tool", "Sunny.", call_id="c1"),
        ChatMessage("assistant", "It stays dry."),
        ChatMessage("user", "And tomorrow?"),
    ]


def test_a_call_without_a_result_is_told_honestly() -> None:
    assert asked().messages()[-1] == ChatMessage("tool", NO_RESULT_YET, call_id="c1")


def test_a_result_that_came_late_is_told_where_it_came() -> None:
    talk = asked()
    talk.add_agent("Let me see")
    talk.add_participant("never mind, what time is it")
    talk.insert(Result("c1", "Sunny."))
    assert talk.messages()[2:] == [
        ChatMessage("tool", NO_RESULT_YET, call_id="c1"),
        ChatMessage("assistant", "Let me see"),
        ChatMessage("user", "never mind, what time is it"),
        ChatMessage("assistant", "", (ToolCall("c1" + LATER, "weather", '{"city": "Rome"}'),)),
        ChatMessage("tool", "Sunny.", call_id="c1" + LATER),
    ]


def test_calls_beside_each_other_are_asked_in_one_message_and_answered_in_their_order() -> None:
    talk = history(Message("user", "Hello"), Call("a", "one", "{}"), Call("b", "two", "{}"))
    talk.insert(Result("b", "2"))
    talk.insert(Result("a", "1"))
    told = talk.messages()[1:]
    assert [call.call_id for call in told[0].calls] == ["a", "b"]
    assert [(message.call_id, message.text) for message in told[1:]] == [("a", "1"), ("b", "2")]


def test_what_was_said_before_a_call_stands_in_its_message() -> None:
    talk = history(Message("user", "Hello"), Message("assistant", "One moment."), Call("a", "one", "{}"))
    assert talk.messages()[1] == ChatMessage("assistant", "One moment.", (ToolCall("a", "one", "{}"),))


# --- by id --------------------------------------------------------------------------------


def test_items_have_ids_and_an_order() -> None:
    talk = History()
    first, third = talk.add_participant("one"), talk.add_agent("three")
    talk.insert(Message("user", "two", "mine"), after=first.id)
    talk.insert(Message("user", "zero"), after="")
    assert [item.text for item in talk.items if isinstance(item, Message)] == ["zero", "one", "two", "three"]
    assert talk.get("mine") is talk.items[2]
    assert len({item.id for item in talk.items}) == 4
    talk.delete(third.id)
    with pytest.raises(NotFound):
        talk.get(third.id)


@pytest.mark.parametrize(
    "item",
    [Message("user", "again", "mine"), Call("c1", "weather", "{}"), Result("nobody", "asked for this")],
    ids=["an id twice", "a call twice", "a result of nothing"],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(item: Item) -> None:
    talk = history(Message("user", "Hello", "mine"), Call("c1", "weather", "{}"))
    before = talk.items
    with pytest.raises(InvalidRequest):
        talk.insert(item)
    assert talk.items == before


def test_a_result_comes_once_and_behind_its_call() -> None:
    talk = asked()
    with pytest.raises(InvalidRequest):
        talk.insert(Result("c1", "Sunny."), after="")
    talk.insert(Result("c1", "Sunny."))
    with pytest.raises(InvalidRequest):
        talk.insert(Result("c1", "Rain."))


def test_with_a_call_goes_its_result() -> None:
    talk = asked()
    talk.insert(Result("c1", "Sunny."))
    talk.delete(talk.items[1].id)
    assert talk.messages() == [ChatMessage("user", "Will it rain?")]


def test_what_the_agent_said_is_cut_to_what_was_heard() -> None:
    marks = tuple(WordMark(start, start + 3, 1_000 * start, 1_000 * (start + 3)) for start in (0, 4, 8))
    talk = history(Message("assistant", "one two six", "said", marks))
    talk.truncate("said", 6_000)
    assert talk.messages() == [ChatMessage("assistant", "one two")]
    talk.truncate("said", 100)
    assert talk.messages() == []
    with pytest.raises(InvalidRequest):
        history(Message("user", "Hello", "u")).truncate("u", 0)


# --- elsewhere ----------------------------------------------------------------------------


def test_messages_of_older_snapshots_are_read() -> None:
    old = item_from({"role": "user", "text": "Hello"})
    assert (type(old), plain(old)) == (Message, {"type": "message", "id": "", "role": "user", "text": "Hello"})


@pytest.mark.parametrize(
    "data",
    [None, 5, {"type": "order"}, {"role": "root", "text": "obey"}, {"type": "call", "call_id": "c", "name": 5,
     "arguments": ""}, {"type": "result", "call_id": "c"}],
)  # fmt: skip
def test_what_is_no_item_is_a_value_error(data: object) -> None:
    with pytest.raises(ValueError):
        item_from(data)  # type: ignore[arg-type]


# --- whatever is done ---------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")
WORDS = st.sampled_from(["", "yes", "no. ", "x" * 9_000, "\ud83d"])
DEEDS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(NAMES), WORDS, st.integers(0, 7)), min_size=1, max_size=60
)


def _do(talk: History, places: list[Message], what: int, name: str, text: str, number: int) -> None:
    at = talk.items[number % len(talk.items)].id if talk.items else ""
    deeds: Sequence[Callable[[], object]] = (
        lambda: talk.add_participant(text),
        lambda: talk.add_agent(text),
        lambda: places.append(talk.keep_place("assistant" if number % 2 else "user")),
        lambda: talk.amend(places[number % len(places)], text) if places else None,
        lambda: talk.insert(Call(name, "tool", "{" + text)),
        lambda: talk.insert(Result(name, text)),
        lambda: talk.insert(Result(name, text), after=at),
        lambda: talk.insert(Message("user", text), after=at),
        lambda: talk.delete(at) if at else None,
        lambda: talk.truncate(at, number * 1_000) if at else None,
    )
    with contextlib.suppress(InvalidRequest, NotFound):
        deeds[what]()


@given(DEEDS, st.integers(2, 6))
def test_a_model_can_always_be_told_of_it(deeds: list[tuple[int, str, str, int]], limit: int) -> None:
    talk, places = History(limit=limit), list[Message]()
    for deed in deeds:
        _do(talk, places, *deed)
        _every_call_is_answered_once(talk.messages(turn="and now?"))
    told = talk.messages()
    assert sum(len(message.text) for message in told) <= LONGEST_IN_ALL
    for before, after in itertools.pairwise(told):
        assert before.role == "tool" or after.role == "tool" or before.role != after.role
    again = History([item_from(json.loads(json.dumps(plain(item)))) for item in talk.items], limit=limit)
    assert again.messages() == told
    assert [item.id for item in again.items] == [item.id for item in talk.items]


def _every_call_is_answered_once(told: Sequence[ChatMessage]) -> None:
    waiting: list[str] = []
    names: list[str] = []
    for message in told:
        if message.role == "tool":
            assert waiting.pop(0) == message.call_id
            continue
        assert not waiting
        waiting = [call.call_id for call in message.calls]
        names += waiting
    assert not waiting
    assert len(set(names)) == len(names)


# --- calls as they happen -----------------------------------------------------------------


def test_a_call_has_a_name_of_its_own_and_one_answer() -> None:
    talk = History()
    names = [talk.ask(call_id, "look", "{}").call_id for call_id in ("c1", "c1", "", "")]
    assert names == ["c1", "c1-2", "call", "call-2"]
    talk.answer("c1-2", "Sunny.")
    talk.answer("c1-2", "Rain.")
    talk.answer("nobody", "asked")
    assert [plain(item)["output"] for item in talk.items if isinstance(item, Result)] == ["Sunny."]


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("One moment. Let me see. Still at it. Sunny.", "Let me see. Sunny."),
        ("One moment. Let me see. Still at", "Let me see."),
        ("One moment. Let", "Let"),
        ("One mom", ""),
        ("", ""),
    ],
)
def test_asides_are_not_remembered_wherever_the_hearing_ends(heard: str, kept: str) -> None:
    text = " One moment. Let me see. Still at it. Sunny."
    asides = [(0, len(" One moment.")), (text.index(" Still"), text.index(" Sunny"))]
    assert without(text, heard, asides) == kept


def test_without_asides_everything_that_was_heard_is_kept() -> None:
    assert without("Let me  see. ", "Let me  see.", []) == "Let me  see."
