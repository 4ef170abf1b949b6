from __future__ import annotations

from parley.conversation import Call, History
from parley.conversation.telling import LONGEST, LONGEST_IN_ALL
from parley.values import ChatMessage


def test_the_prompt_comes_first_and_the_newest_words_last() -> None:
    history = History()
    history.add_participant("Hello.")
    history.add_agent("Good day.")
    assert history.messages("Be kind.", turn="How are you?") == [
        ChatMessage("system", "Be kind."),
        ChatMessage("user", "Hello."),
        ChatMessage("assistant", "Good day."),
        ChatMessage("user", "How are you?"),
    ]


def test_roles_alternate() -> None:
    history = History()
    history.add_participant("I was")
    history.add_participant("interrupted.")
    assert history.messages(turn="So?") == [ChatMessage("user", "I was interrupted. So?")]


def test_a_reply_that_nobody_heard_is_not_there() -> None:
    history = History()
    history.add_agent("")
    assert history.messages() == []


def test_only_the_newest_are_told() -> None:
    history = History(limit=2)
    for number in range(10):
        history.add_participant(f"q{number}")
        history.add_agent(f"a{number}")
    assert [message.text for message in history.messages()] == ["q9", "a9"]


def test_turns_without_an_answer_do_not_grow_for_ever() -> None:
    history = History()
    for number in range(100):
        history.add_participant(f"{number} " + "a" * 1_000)
    (message,) = history.messages()
    assert len(message.text) == LONGEST
    assert message.text.endswith("99 " + "a" * 1_000)


def test_one_long_turn_is_kept_whole() -> None:
    history = History()
    history.add_participant("Hello.")
    history.add_participant("a" * (LONGEST + 5))
    assert history.messages() == [ChatMessage("user", "a" * (LONGEST + 5))]


def test_all_messages_together_stay_bounded_and_the_newest_are_kept() -> None:
    history = History()
    for number in range(60):
        history.add_participant(f"{number} " + "x" * 9_000)
        history.add_agent("Yes?")
    told = history.messages(turn="y" * 9_000)
    assert sum(len(message.text) for message in told) <= LONGEST_IN_ALL
    assert [message.text[:3] for message in told[-3:]] == ["59 ", "Yes", "yyy"]
    assert len(told) > 15


def test_names_of_calls_count_as_what_a_model_is_told() -> None:
    history = History()
    for number in range(200):
        history.ask(f"c{number}", "n" * 9_000, "{}")
        history.add_participant("And now?")
    assert sum(len(item.name) for item in history.items if isinstance(item, Call)) <= LONGEST_IN_ALL
    told = history.messages(turn="And then?")
    assert sum(len(call.name) for message in told for call in message.calls) <= LONGEST_IN_ALL


def test_the_newest_words_are_told_however_long_they_are() -> None:
    history = History()
    history.add_participant("Hello.")
    history.add_agent("Good day.")
    assert [message.text[:1] for message in history.messages(turn="z" * 2 * LONGEST_IN_ALL)] == ["z"]


def test_words_that_become_known_late_stand_where_they_were_said() -> None:
    history = History()
    history.add_participant("Hello.")
    history.add_agent("Good day.")
    place = history.keep_place("user")
    history.add_agent("Pardon?")
    history.add_participant("Hello again.")
    assert [message.text for message in history.messages()] == ["Hello.", "Good day. Pardon?", "Hello again."]
    history.amend(place, "What time is it?")
    assert [message.text for message in history.messages()] == [
        "Hello.",
        "Good day.",
        "What time is it?",
        "Pardon?",
        "Hello again.",
    ]


def test_words_may_become_better_known() -> None:
    history = History()
    words = history.add_participant("what time")
    history.add_participant("please")
    history.amend(words, "what time is it")
    assert history.messages() == [ChatMessage("user", "what time is it please")]


def test_a_place_where_nothing_was_said_after_all_is_forgotten() -> None:
    history = History()
    history.add_agent("Good day.")
    history.amend(history.keep_place("user"), "")
    history.add_agent("Are you there?")
    assert history.messages() == [ChatMessage("assistant", "Good day. Are you there?")]


def test_late_words_do_not_grow_for_ever_either() -> None:
    history = History()
    words = history.add_participant("a")
    history.add_participant("b" * LONGEST)
    history.amend(words, "a" * 5 * LONGEST)
    (message,) = history.messages()
    assert len(message.text) == LONGEST
    history.amend(words, "forgotten long ago")
    assert len(history.messages()[0].text) == LONGEST


def test_what_was_said_behind_the_agent_is_still_unanswered() -> None:
    history = History()
    assert history.unanswered() == []
    history.add_participant("Pay the bill.")
    history.ask("call", "pay", "{}")
    assert history.unanswered() == []
    said = [history.add_participant("Well,"), history.add_participant("yes.")]
    assert history.unanswered() == said
