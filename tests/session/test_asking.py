"""Replies that are asked for, written or made upon a silence, while somebody speaks or something else is being said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from tests.session.tool_bench import Bench, Caller, ask

from parley.conversation import Message, Result
from parley.orders import (
    AskReply,
    CallHanded,
    CancelReply,
    Clear,
    Cleared,
    Configure,
    Delete,
    Insert,
    Manner,
    Refused,
    ReplyBegun,
    ReplyItem,
    ReplyRequest,
    ReplySettled,
    SilenceNoted,
    SpeechNoted,
    TurnCommitted,
    TurnSettled,
)
from parley.session.decide.outcomes import ASK_FIRST
from parley.session.settings import LimitSettings, SessionSettings
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer
from parley.values import ChatMessage, ReplyPart, ToolCall, ToolInfo

pytestmark = pytest.mark.anyio

ORDER = ToolInfo("order", "Order a pizza", effect="write", filler_after=0)
MORNING = (((0.5, "good"), (0.9, "good morning")),)
STORY = "Once upon a time. There was a king. He had three sons. He had no crown at all."


def order_again() -> list[Any]:
    """A model that counts its calls from nothing in every reply."""
    return [ToolCall("call_0", "order", "{}")]


def kinds(talk: Conversation, *wanted: type) -> list[str]:
    """The notices of these kinds, in order; of speech, whether it began or ended."""
    names = {True: "started", False: "stopped"}
    return [
        names[notice.started] if isinstance(notice, SpeechNoted) else type(notice).__name__
        for _, notice in talk.told
        if isinstance(notice, wanted)
    ]


def outcomes(talk: Conversation) -> list[tuple[str, str]]:
    return [(end.outcome, end.reason) for end in talk.noted(ReplySettled)]


# --- calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text_only", [True, False])
async def test_a_call_whose_id_the_model_uses_again_in_another_reply_is_made_again(text_only: bool) -> None:
    model = FakeLanguageModel(answer=lambda _: order_again())
    async with conversation(manner=Manner(text_only=text_only, tools=(ORDER,)), language_model=model) as talk:
        for number in (1, 2):
            talk.say(Insert(f"q{number}", Message("user", f"pizza {number}")))
            talk.say(AskReply(ReplyRequest(f"r{number}")))
            await talk.until(5 * number)
            talk.say(Insert(f"o{number}", Result(talk.noted(CallHanded)[-1].call_id, f"result {number}")))
            await talk.until(5 * number + 1)
        first, second = talk.noted(CallHanded)
        assert first.call_id != second.call_id
        model.answer = lambda _: "There they are."
        talk.say(AskReply(ReplyRequest("r3")))
        await talk.until(20)
        results = [message.text for message in model.asked[-1] if message.role == "tool"]
        assert results == ["result 1", "result 2"]


async def test_two_replies_beside_the_conversation_make_a_call_each() -> None:
    model = FakeLanguageModel(answer=lambda _: order_again())
    async with conversation(manner=Manner(tools=(ORDER,)), language_model=model) as talk:
        for ref in ("one", "two"):
            context = (Message("user", ref),)
            talk.say(AskReply(ReplyRequest(ref, text_only=True, beside=True, context=context)))
        await talk.until(2)
        assert [call.reply_id for call in talk.noted(CallHanded)] == ["a1", "a2"]


# --- what must be confirmed ------------------------------------------------------------------


def paying(history: Sequence[ChatMessage]) -> Sequence[ReplyPart]:
    """Asks for the payment again and again, and tells whether it was made."""
    if not history or history[-1].role != "tool":
        return [ask("pay", "ten")]
    return ["Shall I pay ten?"] if history[-1].text == ASK_FIRST else ["Paid."]


Paying = Callable[..., Coroutine[Any, Any, list[str]]]


@pytest.fixture(params=["spoken", "written"])
def paid(request: pytest.FixtureRequest) -> Paying:
    """Says these things, each of which is answered upon request, and returns what the replies said."""

    async def talk_about_it(bench: Bench, *said: str | None, **asking: Any) -> list[str]:
        manner = Manner(text_only=request.param == "written")
        talking = conversation(manner=manner, language_model=Caller(paying), tools=bench.box())  # type: ignore[arg-type]
        async with talking as talk:
            for number, words in enumerate(said, 1):
                if words is not None:
                    talk.say(Insert(f"q{number}", Message("user", words)))
                talk.say(AskReply(ReplyRequest(f"r{number}", **asking)))
                while len(talk.noted(ReplySettled)) < number:
                    await asyncio.sleep(0.1)
            return [text for role, text in talk.history if role == "assistant" and text]

    return talk_about_it


async def test_what_must_be_confirmed_is_asked_for_in_a_reply_that_was_asked_for_and_done_after_a_yes(
    paid: Paying,
) -> None:
    bench = Bench()
    assert await paid(bench, "pay the bill", "yes please") == ["Shall I pay ten?", "Paid."]
    assert len(bench.calls) == 1


@pytest.mark.parametrize(
    "said", [("pay the bill", "no, wait"), ("pay the bill", None), ("pay the bill", None, None), (None, None)]
)
async def test_whoever_says_no_or_nothing_between_two_replies_has_confirmed_nothing(
    paid: Paying, said: tuple[str | None, ...]
) -> None:
    bench = Bench()
    assert set(await paid(bench, *said)) == {"Shall I pay ten?"}
    assert bench.calls == []


@pytest.mark.parametrize(
    "asking", [{"beside": True}, {"context": (Message("user", "yes please"),)}], ids=["beside", "other context"]
)
async def test_words_that_are_not_of_the_conversation_confirm_nothing(paid: Paying, asking: dict[str, Any]) -> None:
    bench = Bench()
    await paid(bench, "pay the bill", "yes please", "yes please", **asking)
    assert bench.calls == []


async def test_words_from_before_a_question_that_was_deleted_confirm_nothing() -> None:
    bench = Bench()
    talking = conversation(manner=Manner(), language_model=Caller(paying), tools=bench.box())  # type: ignore[arg-type]
    async with talking as talk:
        talk.say(Insert("q", Message("user", "pay the bill")))
        talk.say(AskReply(ReplyRequest("r1")))
        await talk.until(5)
        for item in talk.engine.history.items[1:]:
            talk.say(Delete("d", item.id))
        talk.say(AskReply(ReplyRequest("r2")))
        await talk.until(10)
        assert len(talk.noted(ReplySettled)) == 2
        assert bench.calls == []


async def test_a_question_that_was_asked_for_is_answered_by_a_spoken_yes() -> None:
    bench = Bench()
    talking = conversation(
        manner=Manner(), language_model=Caller(paying), tools=bench.box(),  # type: ignore[arg-type]
        sounds=((6.0, 7.0),), turns=(((0.3, "yes"), (0.8, "yes please")),),
    )  # fmt: skip
    async with talking as talk:
        talk.say(Insert("q", Message("user", "pay the bill")))
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(5.5)
        assert (bench.calls, outcomes(talk)) == ([], [("completed", "")])
        await talk.until(15)
        assert len(bench.calls) == 1


async def test_a_yes_to_something_else_that_was_asked_in_between_confirms_nothing(paid: Paying) -> None:
    bench = Bench()
    await paid(bench, "pay the bill", "no, tell me how late it is", None)
    assert bench.calls == []


# --- asked for while somebody speaks ---------------------------------------------------------


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("text_only", [True, False])
async def test_a_reply_that_is_asked_for_while_somebody_speaks_is_the_answer_to_their_turn(
    answers: bool, text_only: bool
) -> None:
    manner = Manner(answers=answers, text_only=text_only)
    async with conversation(manner=manner, sounds=((0.0, 2.0),), turns=MORNING) as talk:
        await talk.until(1.0)
        talk.say(AskReply(ReplyRequest("r", instructions="Be brief.")))
        await talk.until(15)
        assert kinds(talk, SpeechNoted, TurnCommitted, ReplyItem) == [
            "started", "stopped", "TurnCommitted", "ReplyItem",
        ]  # fmt: skip
        assert talk.noted(ReplyBegun) == [ReplyBegun("a1", "r", text_only=text_only, beside=False)]
        assert outcomes(talk) == [("completed", "")]
        assert talk.history == [("user", "good morning"), ("assistant", "You said: good morning.")]


async def test_a_reply_that_is_asked_for_over_a_noise_is_made_once_it_was_none() -> None:
    async with conversation(manner=Manner(), sounds=((0.0, 1.0),)) as talk:
        talk.language_model.answer = lambda _: "Hello."
        await talk.until(0.8)
        talk.say(Insert("i", Message("user", "hello there")))
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(15)
        assert outcomes(talk) == [("completed", "")]
        assert talk.history == [("user", "hello there"), ("assistant", "Hello.")]


async def test_a_reply_that_waits_for_a_turn_can_be_cancelled_and_the_turn_is_answered() -> None:
    async with conversation(manner=Manner(), sounds=((0.0, 2.0),), turns=MORNING) as talk:
        await talk.until(1.0)
        talk.say(AskReply(ReplyRequest("r")))
        talk.say(CancelReply("c"))
        await talk.until(15)
        assert outcomes(talk) == [("cancelled", "client_cancelled"), ("completed", "")]
        assert talk.history[-1] == ("assistant", "You said: good morning.")


async def test_a_turn_that_goes_on_is_waited_for_by_the_reply_that_was_asked_for() -> None:
    ears = FakeRecognizer(turns=[[(0.5, "good morning")], [(0.3, "to you")]], latency=1.0)
    async with conversation(manner=Manner(answers=False), sounds=((0.0, 0.8), (1.8, 2.6)), recognizer=ears) as talk:
        while not talk.noted(TurnCommitted):
            await asyncio.sleep(0.02)
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(15)
        assert kinds(talk, SpeechNoted, TurnCommitted, TurnSettled, ReplySettled) == [
            "started", "stopped", "TurnCommitted", "started", "stopped", "TurnSettled", "ReplySettled",
        ]  # fmt: skip
        assert talk.history[0] == ("user", "good morning to you")


async def test_a_new_turn_interrupts_a_reply_that_waits_for_the_words_of_an_older_one() -> None:
    ears = FakeRecognizer(turns=[[(0.5, "good morning")], [(0.3, "never mind")]], latency=3.0)
    hasty = SessionSettings(limits=LimitSettings(asr_timeout=0.5, asr_late=9.0))
    async with conversation(
        manner=Manner(answers=False), sounds=((0.0, 0.8), (2.4, 3.2)), recognizer=ears, settings=hasty
    ) as talk:
        await talk.until(2.3)
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(2.8)
        assert outcomes(talk) == [("cancelled", "turn_detected")]


async def test_speech_that_the_end_of_the_session_cuts_off_is_told_to_have_ended() -> None:
    async with conversation(manner=Manner(), sounds=((0.0, 2.0),), turns=MORNING) as talk:
        await talk.until(1.0)
    assert kinds(talk, SpeechNoted, TurnCommitted) == ["started", "stopped", "TurnCommitted"]


async def test_speech_over_a_reply_is_a_turn_when_its_client_begins_to_end_turns_itself() -> None:
    async with conversation(manner=Manner(interrupts=False), sounds=((1.0, 3.0),), turns=MORNING) as talk:
        talk.language_model.answer = lambda _: STORY
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(2.0)
        talk.say(Configure(Manner(detects=False)))
        await talk.until(15)
        assert kinds(talk, SpeechNoted, TurnCommitted) == ["started", "stopped", "TurnCommitted"]


# --- a turn that ends while something is being said -------------------------------------------


@pytest.mark.parametrize("spoken", [True, False])
async def test_a_turn_that_ends_during_a_reply_that_it_may_not_interrupt_is_answered_in_writing_after_it(
    spoken: bool,
) -> None:
    model = FakeLanguageModel(answer=lambda said: STORY if not said else "Right.", delta=0.2)
    manner = Manner(text_only=True, interrupts=False)
    async with conversation(manner=manner, sounds=((0.5, 1.4),), turns=MORNING, language_model=model) as talk:
        talk.say(AskReply(ReplyRequest("r", text_only=not spoken)))
        await talk.until(30)
        assert outcomes(talk) == [("completed", ""), ("completed", "")]
        assert talk.history[-1] == ("assistant", "Right.")
        assert talk.noted(ReplyBegun)[-1].text_only


async def test_two_turns_during_a_written_reply_are_answered_by_one() -> None:
    model = FakeLanguageModel(answer=lambda said: STORY if not said else "Right.", delta=0.4)
    turns = (((0.5, "good morning"),), ((0.5, "good evening"),))
    async with conversation(
        manner=Manner(text_only=True, interrupts=False),
        sounds=((0.5, 1.4), (3.0, 3.9)), turns=turns, language_model=model,
    ) as talk:  # fmt: skip
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(30)
        assert outcomes(talk) == [("completed", ""), ("completed", "")]
        assert [text for role, text in talk.history if role == "user"] == ["good morning good evening"]
        assert talk.history[-1] == ("assistant", "Right.")


# --- what was said is cleared ------------------------------------------------------------------


async def test_a_cleared_turn_is_forgotten() -> None:
    async with conversation(manner=Manner(), sounds=((0.5, 1.5), (4.0, 5.0)), turns=(*MORNING, *MORNING)) as talk:
        await talk.until(1.64)
        talk.say(Clear("x"))
        await talk.until(3.5)
        assert kinds(talk, SpeechNoted, TurnCommitted, Cleared) == ["started", "stopped", "Cleared"]
        assert talk.states()[-1] == ("turn_cleared", "idle")
        assert not talk.history
        assert not talk.noted(ReplyBegun)
        await talk.until(15)
        assert talk.history == [("user", "good morning"), ("assistant", "You said: good morning.")]


async def test_what_is_said_after_a_clear_is_a_turn_without_what_came_before() -> None:
    async with conversation(manner=Manner(), sounds=((0.5, 3.0),), turns=(*MORNING, *MORNING)) as talk:
        await talk.until(1.5)
        talk.say(Clear("x"))
        await talk.until(15)
        assert len(talk.noted(TurnCommitted)) == 1
        assert talk.noted(SpeechNoted)[2].at == pytest.approx(1.5, abs=0.04)
        assert len(talk.recognizer.heard[1]) / 32_000 < 3.0
        assert outcomes(talk) == [("completed", "")]


async def test_of_a_turn_that_went_on_what_was_committed_stays_and_is_answered() -> None:
    ears = FakeRecognizer(turns=[[(0.5, "good morning")], [(0.3, "not at all")]], latency=1.0)
    async with conversation(manner=Manner(), sounds=((0.0, 0.8), (1.8, 3.6)), recognizer=ears) as talk:
        await talk.until(2.6)
        assert kinds(talk, SpeechNoted, TurnCommitted) == ["started", "stopped", "TurnCommitted", "started"]
        talk.say(Clear("x"))
        await talk.until(2.7)
        assert kinds(talk, SpeechNoted)[3:4] == ["stopped"]
        await talk.until(15)
        assert "not at all" not in talk.history[0][1]
        assert talk.history[0][1].startswith("good morning")


@pytest.mark.parametrize("interrupts", [True, False])
async def test_what_is_said_over_a_reply_and_cleared_leaves_no_trace(interrupts: bool) -> None:
    turns = (((5.0, "stop please"),),)
    async with conversation(manner=Manner(interrupts=interrupts), sounds=((1.0, 1.3),), turns=turns) as talk:
        talk.language_model.answer = lambda said: STORY if not said else "Fine."
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(1.18)
        talk.say(Clear("x"))
        await talk.until(25)
        assert outcomes(talk) == [("completed", "")]
        assert talk.history == [("assistant", STORY)]


async def test_a_clear_after_the_turn_was_committed_changes_nothing() -> None:
    async with conversation(manner=Manner(), sounds=((0.0, 1.0),), turns=MORNING) as talk:
        await talk.until(3)
        talk.say(Clear("x"))
        await talk.until(15)
        assert outcomes(talk) == [("completed", "")]
        assert not talk.noted(Refused)


# --- silences ------------------------------------------------------------------------------------


async def test_silences_are_answered_three_times_and_again_once_something_was_said() -> None:
    async with conversation(manner=Manner(idle=5.0), sounds=((100.0, 101.0),), turns=MORNING, listen_until=200) as talk:
        talk.language_model.answer = lambda _: "Are you there?"
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(99)
        assert len(talk.noted(SilenceNoted)) == 3
        await talk.until(199)
        assert len(talk.noted(SilenceNoted)) == 6


async def test_a_noise_is_no_word() -> None:
    async with conversation(manner=Manner(idle=5.0), sounds=((60.0, 60.4),), listen_until=120) as talk:
        talk.language_model.answer = lambda _: "Are you there?"
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(119)
        assert len(talk.noted(SilenceNoted)) == 3
