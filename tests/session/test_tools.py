"""Calls of tools inside a conversation: once, in time, told, and never in the way of whoever speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.session.tool_bench import Bench, Caller, ask, once

from parley.conversation import Call, Result
from parley.errors import CapacityError, InvalidRequest, ParleyError, UnavailableError, Unreached
from parley.messages import ErrorMessage, Interrupt, ReplyEnded, ReplyText, StateChanged, TextInput, ToolUpdate
from parley.orders import AskReply, CallHanded, CallNoted, Manner, ReplyRequest
from parley.session.decide import outcomes
from parley.session.log import Speculated, ToolCalled
from parley.session.settings import SessionSettings, ToolCallSettings
from parley.testing.conversation import Conversation, conversation
from parley.values import ChatMessage, ReplyPart, ToolCall, ToolInfo

pytestmark = pytest.mark.anyio

QUESTION = TextInput("what is it")


def talking(model: Caller, bench: Bench, **more: object):  # type: ignore[no-untyped-def]
    return conversation(language_model=model, tools=bench.box(), **more)  # type: ignore[arg-type]


def items(talk: Conversation) -> list[tuple[str, str]]:
    """The calls and results that the history has."""
    known = talk.engine.history.items
    return [("call", i.name) if isinstance(i, Call) else ("result", i.output) for i in known
            if isinstance(i, Call | Result)]  # fmt: skip


def states(talk: Conversation) -> list[str]:
    return [update.state for update in talk.of(ToolUpdate)]


# --- a call -------------------------------------------------------------------------------


async def test_a_tool_is_called_and_its_result_is_spoken() -> None:
    bench, model = Bench(), Caller(once("Let me see.", ask("look", "rain")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        (call,) = bench.calls
        assert call.arguments == {"what": "rain"}
        (ended,) = talk.of(ReplyEnded)
        assert ended.text == f"Let me see. I know: look says {call.key}."
        assert talk.history == [
            ("user", "what is it"),
            ("assistant", ""),
            ("tool", f"look says {call.key}."),
            ("assistant", ended.text),
        ]
        assert states(talk) == ["running", "done"]
        assert [(entry.name, entry.outcome) for entry in talk.logged(ToolCalled)] == [("look", "done")]


async def test_the_model_is_told_what_it_said_and_asked_for() -> None:
    bench, model = Bench(), Caller(once("Let me see.", ask("look"), ask("book", call_id="c2")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        said = model.asked[1][-3:]
        assert said[0] == ChatMessage("assistant", "Let me see.", (ask("look"), ask("book", call_id="c2")))
        assert [(message.role, message.call_id) for message in said[1:]] == [("tool", "c1"), ("tool", "c2")]


async def test_calls_beside_each_other_run_at_once() -> None:
    bench = Bench(takes={"look": 1.0, "book": 1.0})
    async with talking(Caller(once(ask("look"), ask("book", call_id="c2"))), bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        assert bench.calls[0].at == bench.calls[1].at


async def test_the_same_call_is_not_made_twice() -> None:
    def answer(history: Sequence[ChatMessage]) -> Sequence[ReplyPart]:
        return [ask("book", "a table")] if len(history) < 4 else ["Booked."]

    bench = Bench()
    async with talking(Caller(answer), bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        assert len(bench.calls) == 1


async def test_an_id_that_is_used_again_for_something_else_is_another_call() -> None:
    bench, model = Bench(), Caller(once(ask("book", "a table")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        talk.say(QUESTION)
        await talk.heard_out(2)
        assert len({call.key for call in bench.calls}) == 2
        assert len({item.call_id for item in talk.engine.history.items if isinstance(item, Call)}) == 2


# --- what goes wrong is told --------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (ToolCall("c1", "look", '{"what": "ra'), "not valid JSON"),
        (ToolCall("c1", "look", '{"what": 5}'), "must be of type string"),
        (ToolCall("c1", "fly", "{}"), 'There is no tool "fly"; there are look'),
    ],
)
async def test_a_call_that_cannot_be_made_is_told_to_the_model(call: ToolCall, told: str) -> None:
    bench, model = Bench(), Caller(once(call))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        assert told in model.asked[1][-1].text
        assert not bench.calls
        assert states(talk) == ["refused"]


def _raise(error: BaseException) -> str:
    raise error


async def test_a_tool_that_dies_is_told_without_its_own_words() -> None:
    bench = Bench(says={"look": lambda: _raise(ZeroDivisionError("secret"))})
    model = Caller(once(ask("look")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        assert model.asked[1][-1].text == "The tool look failed; the server's log says why."
        assert states(talk) == ["running", "failed"]


async def test_a_tool_that_hangs_is_given_up_and_one_that_writes_may_have_done_it() -> None:
    bench = Bench(takes={"look": 1e6, "book": 1e6}, contracts={"look": {"timeout": 3}, "book": {"timeout": 4}})
    model = Caller(once(ask("look"), ask("book", call_id="c2")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        assert "too long" in model.asked[1][-2].text or "longer than" in model.asked[1][-2].text
        assert outcomes.PERHAPS_DONE.strip() in model.asked[1][-1].text
        assert outcomes.PERHAPS_DONE.strip() not in model.asked[1][-2].text


@pytest.mark.parametrize(
    ("error", "certain"),
    [
        (UnavailableError("It gave no whole answer."), False),
        (ParleyError("It failed."), False),
        (ZeroDivisionError("secret"), False),
        (Unreached("It is not there."), True),
        (CapacityError("It is full."), True),
        (InvalidRequest("There is no such table."), True),
    ],
)
async def test_a_tool_that_writes_and_fails_may_have_done_it_unless_it_is_certain_that_it_has_not(
    error: Exception, certain: bool
) -> None:
    bench = Bench(says={"look": lambda: _raise(error), "book": lambda: _raise(error)})
    model = Caller(once(ask("look"), ask("book", call_id="c2")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        read, written = (message.text for message in model.asked[1][-2:])
        assert outcomes.PERHAPS_DONE.strip() not in read
        assert (outcomes.PERHAPS_DONE.strip() not in written) is certain


async def test_an_answer_of_a_megabyte_is_cut_and_said_to_be() -> None:
    bench, model = Bench(says={"look": lambda: "x" * 1_000_000}), Caller(lambda history: (
        [ask("look")] if history[-1].role != "tool" else ["A lot."]
    ))  # fmt: skip
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        assert len(model.asked[1][-1].text) < 8_100
        assert "cut off: 8000 of" in model.asked[1][-1].text


async def test_a_model_that_calls_for_ever_is_bounded_and_has_to_answer() -> None:
    def answer(history: Sequence[ChatMessage]) -> Sequence[ReplyPart]:
        return [ask("look", call_id=f"c{len(history)}")]

    bench, model = Bench(takes={"look": 0.01}), Caller(answer)
    settings = SessionSettings(tools=ToolCallSettings(max_rounds=3))
    async with talking(model, bench, settings=settings) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        assert [len(offered) > 0 for offered in model.offered] == [True, True, True, False]
        assert len(bench.calls) == 3
        assert "again and again" in talk.of(ErrorMessage)[0].message
        assert "cannot think" in talk.of(ReplyEnded)[0].text


async def test_too_many_calls_of_one_answer_are_refused() -> None:
    bench, model = Bench(), Caller(once(*(ask("look", call_id=f"c{n}") for n in range(20))))
    async with talking(model, bench, settings=SessionSettings(tools=ToolCallSettings(max_running=5))) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        told = [message.text for message in model.asked[1] if message.role == "tool"]
        assert len(bench.calls) == 5
        assert (told.count(outcomes.TOO_MANY_AT_ONCE), told.count(outcomes.TOO_MANY)) == (7, 8)


async def test_a_reply_of_tools_alone_is_no_failure() -> None:
    bench = Bench()
    model = Caller(lambda history: [ask("book")] if history[-1].role != "tool" else [])
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.until(5.0)
        assert not talk.of(ErrorMessage)
        assert talk.of(StateChanged)[-1].agent == "idle"
        assert items(talk) == [("call", "book"), ("result", f"book says {bench.calls[0].key}.")]
        talk.say(QUESTION)
        await talk.until(10.0)
        assert len(bench.calls) == 2


# --- guesses ------------------------------------------------------------------------------


async def test_nothing_is_written_on_a_guess_and_something_may_be_read() -> None:
    bench, model = Bench(takes={"look": 0.05, "book": 0.05}), Caller(once(ask("look"), ask("book", call_id="c2")))
    async with talking(
        model, bench, sounds=[(0.5, 1.5), (2.0, 2.6)], turns=[[(0.3, "book a table"), (1.8, "book a table for two")]]
    ) as talk:
        guessed: list[bool] = []
        bench.on_call = lambda call: guessed.append(talk.engine._replies.current is None)
        await talk.heard_out()
        assert talk.logged(Speculated)
        looked = [guess for guess, call in zip(guessed, bench.calls, strict=True) if call.name == "look"]
        booked = [guess for guess, call in zip(guessed, bench.calls, strict=True) if call.name == "book"]
        assert any(looked)
        assert booked == [False]


async def test_a_guess_that_nobody_wants_leaves_nothing_of_its_calls() -> None:
    bench = Bench(takes={"look": 5.0})
    model = Caller(once(ask("look")))
    turns = [[(0.3, "what is the"), (1.9, "what is the weather")]]
    async with talking(model, bench, sounds=[(0.5, 1.2), (1.4, 2.4)], turns=turns) as talk:
        await talk.heard_out()
        assert [call.end for call in bench.calls][-1] == "done"
        assert all(call.end == "cut" for call in bench.calls[:-1])
        assert [kind for kind, _ in items(talk)] == ["call", "result"]


async def test_a_cough_while_a_tool_works_costs_nothing() -> None:
    bench, model = Bench(takes={"book": 4.0}), Caller(once(ask("book")))
    async with talking(
        model, bench, sounds=[(0.5, 1.5), (3.0, 3.1)], turns=[[(0.3, "book a table")], []], listen_until=9
    ) as talk:
        await talk.heard_out()
        assert len(bench.calls) == 1
        assert talk.of(ReplyEnded)[0].text.endswith(f"I know: book says {bench.calls[0].key}.")


# --- interruptions ------------------------------------------------------------------------


async def test_an_interruption_ends_what_reads() -> None:
    bench, model = Bench(takes={"look": 5.0}), Caller(once("Let me look that up for you.", ask("look")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.until(1.0)
        talk.say(Interrupt())
        await talk.until(1.1)
        assert bench.calls[0].end == "cut"
        assert items(talk) == [("call", "look"), ("result", outcomes.CUT)]
        assert states(talk) == ["running", "cancelled"]


@pytest.mark.parametrize("name", ["book", "search"])
async def test_what_writes_or_is_to_finish_goes_on_and_the_next_reply_knows(name: str) -> None:
    bench, model = Bench(takes={name: 3.0}), Caller(once("I will do that for you.", ask(name)))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.until(1.0)
        talk.say(Interrupt())
        await talk.until(2.0)
        assert items(talk) == [("call", name)]
        await talk.until(4.0)
        assert bench.calls[0].end == "done"
        assert states(talk) == ["running", "left", "done"]
        model.answer = lambda _: ["Yes."]
        talk.say(TextInput("did it work"))
        await talk.heard_out(2)
        told = [message.text for message in model.asked[-1] if message.role == "tool"]
        assert told[-1] == f"{name} says {bench.calls[0].key}."
        assert len(bench.calls) == 1


async def test_what_waited_for_an_approval_when_its_reply_was_cut_off_is_told_at_the_next_gap() -> None:
    bench = Bench(takes={"book": 3.0}, contracts={"book": {"approval": True}})
    model = Caller(once("I will do that for you.", ask("book")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.until(1.0)
        talk.say(Interrupt())
        await talk.heard_out(2)
        assert states(talk) == ["running", "left", "done"]
        assert talk.of(ReplyEnded)[1].text == f"I know: book says {bench.calls[0].key}."
        assert len(bench.calls) == 1


async def test_a_call_that_waits_for_certainty_is_never_begun_when_they_go_on() -> None:
    bench, model = Bench(), Caller(once(ask("book")))
    turns = [[(0.3, "book a"), (1.9, "book a table please")]]
    async with talking(model, bench, sounds=[(0.5, 1.2), (1.45, 2.4)], turns=turns) as talk:
        await talk.heard_out()
        assert len(bench.of("book")) == 1


async def test_a_session_that_ends_says_what_is_not_known() -> None:
    bench = Bench(takes={"book": 5.0, "look": 5.0})
    async with talking(Caller(once(ask("book"), ask("look", call_id="c2"))), bench, alone=False) as talk:
        talk.say(QUESTION)
        await talk.until(1.0)
        await talk.participant.hang_up()
        await talk.task
        assert [kind for kind, _ in items(talk)] == ["call", "call", "result", "result"]
        assert {text for kind, text in items(talk) if kind == "result"} == {outcomes.ENDED, outcomes.CUT}
        await asyncio.sleep(6)
        assert [(call.name, call.end) for call in bench.calls] == [("look", "cut"), ("book", "done")]


# --- what takes long ----------------------------------------------------------------------


async def test_a_long_call_is_said_to_be_one_outside_the_history() -> None:
    bench, model = Bench(takes={"look": 4.0}), Caller(once(ask("look")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        spoken = "".join(message.text for message in talk.of(ReplyText))
        assert spoken.startswith("One moment please, I am still at it. I know:")
        assert talk.history[-1] == ("assistant", f"I know: look says {bench.calls[0].key}.")
        first = talk.of(ReplyText)[0]
        assert talk.time_of(first) == pytest.approx(1.5, abs=0.2)


async def test_nothing_of_the_kind_is_said_while_the_agent_still_speaks() -> None:
    bench, model = (
        Bench(takes={"look": 3.0}),
        Caller(once("I will look that up in the big old book of mine.", ask("look"))),
    )
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        assert "One moment" not in talk.of(ReplyEnded)[0].text


async def test_what_runs_in_the_background_is_answered_when_it_is_done() -> None:
    bench, model = Bench(takes={"timer": 10.0}), Caller(once(ask("timer")))
    async with talking(model, bench) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].text == f"I know: {outcomes.BEGUN}"
        await talk.heard_out(2)
        assert talk.of(ReplyEnded)[1].text == f"I know: timer says {bench.calls[0].key}."
        assert ("result_came", "thinking") in talk.states()


async def test_what_is_done_in_the_background_waits_for_a_gap() -> None:
    bench, model = Bench(takes={"timer": 6.0}), Caller(once(ask("timer")))
    turns = [[(0.3, "and another thing that takes a while to say")]]
    async with talking(model, bench, sounds=[(5.0, 8.5)], turns=turns) as talk:
        talk.say(QUESTION)
        await talk.heard_out()
        model.answer = lambda history: ["Well."] if history[-1].role == "user" else ["It is over."]
        await talk.heard_out(3)
        assert [ended.text for ended in talk.of(ReplyEnded)][1:] == ["Well.", "It is over."]


async def test_a_result_after_which_the_same_is_asked_for_again_by_the_same_id_is_another_call() -> None:
    bench = Bench(takes={"timer": 5.0}, says={"timer": lambda: f"Ring {len(bench.calls)}."})

    def answer(history: Sequence[ChatMessage]) -> Sequence[ReplyPart]:
        rings = sum("Ring" in message.text for message in history if message.role == "tool")
        if history[-1].text == outcomes.BEGUN:
            return ["It runs."]
        return ["Over."] if rings == 2 else ["Now.", ask("timer", "tea", call_id="call_0")]

    async with talking(Caller(answer), bench) as talk:
        talk.say(QUESTION)
        await talk.until(30.0)
        assert [call.key.rpartition(":")[2] for call in bench.calls] == ["call_0", "call_0"]
        assert len({call.key for call in bench.calls}) == 2
        assert [kind for kind, _ in items(talk)] == ["call", "result", "call", "result"]
        assert talk.of(ReplyEnded)[-1].text == "Over."


# --- what must be confirmed ---------------------------------------------------------------


def paying(history: Sequence[ChatMessage]) -> Sequence[ReplyPart]:
    if history[-1].role == "user":
        return [ask("pay", "ten", call_id=f"c{len(history)}")]
    return ["Shall I pay ten?"] if history[-1].text == outcomes.ASK_FIRST else ["Paid."]


async def test_what_must_be_confirmed_is_asked_for_first_and_done_after_a_yes() -> None:
    bench, model = Bench(), Caller(paying)
    async with talking(model, bench) as talk:
        talk.say(TextInput("pay the bill"))
        await talk.heard_out()
        assert (bench.calls, talk.of(ReplyEnded)[0].text) == ([], "Shall I pay ten?")
        talk.say(TextInput("yes please"))
        await talk.heard_out(2)
        assert (len(bench.calls), talk.of(ReplyEnded)[1].text) == (1, "Paid.")
        assert states(talk) == ["unconfirmed", "running", "done"]


async def test_a_no_is_a_no_whatever_the_model_makes_of_it() -> None:
    bench, model = Bench(), Caller(paying)
    async with talking(model, bench) as talk:
        talk.say(TextInput("pay the bill"))
        await talk.heard_out()
        talk.say(TextInput("no, wait"))
        await talk.heard_out(2)
        assert bench.calls == []


async def test_a_question_that_was_never_heard_was_not_asked() -> None:
    bench, model = Bench(), Caller(paying)
    async with talking(model, bench) as talk:
        talk.say(TextInput("pay the bill"))
        await talk.until(0.05)
        talk.say(Interrupt())
        talk.say(TextInput("yes please"))
        await talk.heard_out()
        assert bench.calls == []


async def test_a_tool_that_calls_itself_in_the_background_comes_to_an_end() -> None:
    bench = Bench(takes={"ship": 1.0})
    model = Caller(lambda history: ["On it.", ask("ship", call_id=f"c{len(history)}")])
    settings = SessionSettings(tools=ToolCallSettings(max_rounds=2))
    async with talking(model, bench, settings=settings) as talk:
        talk.say(QUESTION)
        await talk.until(60.0)
        assert 2 <= len(bench.calls) <= 6
        before = len(model.offered)
        talk.say(QUESTION)
        await talk.until(61.0)
        assert model.offered[before]  # whoever says something may be helped again


# --- told entry by entry ------------------------------------------------------------------


def noted(talk: Conversation) -> list[tuple[str, str, str]]:
    return [(note.name, note.state, note.output) for note in talk.noted(CallNoted)]


async def test_who_knows_the_entries_is_told_of_each_call_and_of_its_result() -> None:
    bench, model = Bench(), Caller(once("Let me see.", ask("look", "rain")))
    async with talking(model, bench, manner=Manner(text_only=True)) as talk:
        talk.say(AskReply(ReplyRequest("r1", instructions="Be kind.")))
        await talk.until(5)
        (call,) = bench.calls
        assert noted(talk) == [("look", "running", ""), ("look", "done", f"look says {call.key}.")]
        begun, over = talk.noted(CallNoted)
        assert begun.key == over.key == call.key
        entries = {item.id: item for item in talk.engine.history.items}
        asked, result = entries[over.item_id], entries[over.result_id]
        assert isinstance(asked, Call)
        assert isinstance(result, Result)
        assert over.after == talk.engine.history.before(asked.id)


async def test_a_call_of_a_reply_beside_the_conversation_is_told_of_though_no_entry_is_left() -> None:
    bench, model = Bench(), Caller(once("", ask("look", "rain")))
    async with talking(model, bench, manner=Manner(text_only=True)) as talk:
        talk.say(AskReply(ReplyRequest("r1", instructions="Be kind.", beside=True)))
        await talk.until(5)
        assert [state for _, state, _ in noted(talk)] == ["running", "done"]
        assert not talk.engine.history.items


async def test_a_call_that_is_handed_to_the_client_is_told_as_that_alone() -> None:
    bench, model = Bench(), Caller(once("", ask("order", "pizza")))
    order = ToolInfo("order", "Order something", {"type": "object", "properties": {"what": {"type": "string"}}})
    async with talking(model, bench, manner=Manner(text_only=True, tools=(order,))) as talk:
        talk.say(AskReply(ReplyRequest("r1", instructions="Be kind.")))
        await talk.until(5)
        assert len(talk.noted(CallHanded)) == 1
        assert noted(talk) == []
