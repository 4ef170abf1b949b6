"""A conversation that its client knows entry by entry: what is asked, what becomes of it, what the model is told."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from parley.conversation import Call, Message, Result
from parley.errors import UnavailableError
from parley.orders import (
    AskReply,
    CallHanded,
    CancelReply,
    Clear,
    Commit,
    Configure,
    Delete,
    Deleted,
    Insert,
    Inserted,
    Manner,
    Refused,
    ReplyBegun,
    ReplyItem,
    ReplyRequest,
    ReplySettled,
    ReplyWritten,
    Retrieve,
    Retrieved,
    SilenceNoted,
    SpeechNoted,
    Truncate,
    Truncated,
    TurnCommitted,
    TurnSettled,
)
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import CHARACTER_SAMPLES, FakeLanguageModel, FakeRecognizer, FakeSynthesizer
from parley.values import ReplyOptions, ToolCall, ToolInfo, Usage

pytestmark = pytest.mark.anyio
MILLISECOND = 48
WEATHER = ToolInfo("weather", "How it is outside", effect="write", filler_after=0)
HELLO = ((0.0, 1.0),)
HELLO_WORDS = (((0.5, "good"), (1.0, "good morning")),)


def told(model: FakeLanguageModel, which: int = -1) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in model.asked[which]]


async def settled(talk: Conversation, count: int = 1) -> ReplySettled:
    async with asyncio.timeout(60):
        while len(talk.noted(ReplySettled)) < count:
            await asyncio.sleep(0.02)
    return talk.noted(ReplySettled)[count - 1]


async def spoken(talk: Conversation, text: str, ref: str = "r") -> str:
    """The agent says this, because it was asked; returns the entry's id."""
    talk.language_model.answer = lambda _: text
    before = len(talk.noted(ReplySettled))
    talk.say(AskReply(ReplyRequest(ref)))
    await settled(talk, before + 1)
    return talk.noted(ReplyItem)[-1].item_id


async def test_a_turn_is_an_entry_with_the_id_that_was_told_when_it_began() -> None:
    async with conversation(sounds=HELLO, turns=HELLO_WORDS, manner=Manner()) as talk:
        await settled(talk)
        began, ended = talk.noted(SpeechNoted)
        assert (began.started, ended.started) == (True, False)
        (turn,) = talk.noted(TurnCommitted)
        (words,) = talk.noted(TurnSettled)
        assert began.item_id == ended.item_id == turn.item_id == words.item_id
        assert words.text == "good morning"
        (reply,) = talk.noted(ReplyItem)
        assert reply.after == turn.item_id
        assert [item.id for item in talk.engine.history.items] == [turn.item_id, reply.item_id]
        assert talk.history == [("user", "good morning"), ("assistant", "You said: good morning.")]


async def test_speech_is_dated_in_the_audio_with_what_is_heard_from_before_it() -> None:
    async with conversation(sounds=((1.0, 2.0),), turns=HELLO_WORDS, manner=Manner()) as talk:
        await settled(talk)
        began, ended = talk.noted(SpeechNoted)
        assert began.at == pytest.approx(0.7, abs=0.04)  # 0.3 s of pre-roll
        assert ended.at == pytest.approx(2.0, abs=0.04)


async def test_a_turn_that_is_not_to_be_answered_waits_for_whoever_asks() -> None:
    async with conversation(sounds=HELLO, turns=HELLO_WORDS, manner=Manner(answers=False)) as talk:
        await talk.until(4)
        assert talk.noted(TurnSettled)[0].text == "good morning"
        assert not talk.language_model.asked
        assert not talk.noted(ReplyBegun)
        talk.say(AskReply(ReplyRequest("r1")))
        end = await settled(talk)
        assert end.outcome == "completed"
        assert talk.noted(ReplyBegun) == [ReplyBegun("a1", "r1", text_only=False, beside=False)]
        assert told(talk.language_model) == [("user", "good morning")]


async def test_a_reply_that_is_asked_for_waits_for_the_words_of_the_turn_before_it() -> None:
    ears = FakeRecognizer(turns=list(HELLO_WORDS), latency=1.0)
    async with conversation(manner=Manner(detects=False), recognizer=ears, sounds=HELLO, listen_until=1.0) as talk:
        await talk.until(1.01)
        talk.say(Commit("c"))
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(1.5)
        assert [turn.turn for turn in talk.noted(TurnCommitted)] == [1]
        assert talk.noted(ReplyBegun)
        assert not talk.language_model.asked
        await settled(talk)
        assert told(talk.language_model) == [("user", "good morning")]


async def test_where_nothing_is_detected_speech_does_not_interrupt_and_a_cancel_does() -> None:
    manner = Manner(detects=False)
    async with conversation(manner=manner, sounds=((1.0, 4.0),)) as talk:
        talk.language_model.answer = lambda _: "A reply that goes on for quite a while."
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(2.0)
        assert not talk.noted(ReplySettled)
        talk.say(CancelReply("c"))
        await talk.until(2.1)
        (end,) = talk.noted(ReplySettled)
        assert (end.outcome, end.reason) == ("cancelled", "client_cancelled")
        assert not talk.noted(SpeechNoted)
        talk.say(CancelReply("again"))
        await talk.until(2.2)
        assert [(one.ref, one.why) for one in talk.noted(Refused)] == [("again", "not_active")]


async def test_an_empty_buffer_is_not_committed_and_a_cleared_one_neither() -> None:
    async with conversation(manner=Manner(detects=False), sounds=((0.0, 0.5),), listen_until=0.5) as talk:
        talk.say(Commit("too early"))
        await talk.until(0.6)
        talk.say(Clear("x"))
        talk.say(Commit("cleared"))
        await talk.until(0.7)
        assert [one.ref for one in talk.noted(Refused)] == ["too early", "cleared"]
        assert not talk.noted(TurnCommitted)


async def test_where_nothing_may_interrupt_the_reply_goes_on_and_the_turn_is_answered_after_it() -> None:
    text = "One two three four five six."
    async with conversation(
        manner=Manner(interrupts=False), sounds=((0.5, 1.2),), turns=(((0.3, "and"), (0.9, "and then")),)
    ) as talk:
        talk.language_model.answer = lambda said: text if not said else "Right."
        talk.say(AskReply(ReplyRequest("r")))
        await settled(talk, 2)
        first, second = talk.noted(ReplySettled)
        assert (first.outcome, second.outcome) == ("completed", "completed")
        assert [note.started for note in talk.noted(SpeechNoted)] == [True, False]
        assert talk.history == [("assistant", text), ("user", "and then"), ("assistant", "Right.")]
        assert told(talk.language_model)[-1] == ("user", "and then")


async def test_an_interruption_settles_the_reply_and_begins_the_turn() -> None:
    async with conversation(
        manner=Manner(), sounds=((1.0, 2.5),), turns=(((0.4, "stop"), (1.0, "stop please")),), listen_until=5
    ) as talk:
        talk.language_model.answer = lambda said: "This goes on and on and on and on." if not said else "Fine."
        talk.say(AskReply(ReplyRequest("r")))
        await settled(talk, 2)
        cut = talk.noted(ReplySettled)[0]
        assert (cut.outcome, cut.reason) == ("cancelled", "turn_detected")
        kinds = [type(notice) for _, notice in talk.told]
        assert kinds.index(SpeechNoted) < kinds.index(ReplySettled)
        role, heard = told(talk.language_model)[0]
        assert role == "assistant"
        assert "This goes on and on and on and on.".startswith(heard)


@pytest.mark.parametrize(
    ("milliseconds", "heard"), [(0, ""), (200, "One"), (119, "One"), (60, ""), (900, "One two three"), (5_000, None)]
)
async def test_a_truncated_reply_is_remembered_as_the_words_that_were_heard(milliseconds: int, heard: Any) -> None:
    text = "One two three four."
    async with conversation(manner=Manner()) as talk:
        item_id = await spoken(talk, text)
        talk.say(Truncate("t", item_id, milliseconds * MILLISECOND))
        talk.say(AskReply(ReplyRequest("r2")))
        await settled(talk, 2)
        if heard is None:
            (refused,) = talk.noted(Refused)
            assert (refused.why, refused.message) == (
                "too_long",
                "Audio content of 1140ms is already shorter than 5000ms.",
            )
            assert told(talk.language_model) == [("assistant", text)]
        else:
            assert talk.noted(Truncated) == [Truncated("t", item_id, milliseconds * MILLISECOND)]
            assert told(talk.language_model) == ([("assistant", heard)] if heard else [])


async def test_the_smaller_of_two_truncations_counts_and_a_little_too_much_is_all() -> None:
    async with conversation(manner=Manner()) as talk:
        item_id = await spoken(talk, "One two three four.")
        for milliseconds in (1_300, 900, 1_000):
            talk.say(Truncate("t", item_id, milliseconds * MILLISECOND))
        talk.say(Retrieve("look", item_id))
        await talk.until(5)
        assert not talk.noted(Refused)
        (found,) = talk.noted(Retrieved)
        assert isinstance(found.item, Message)
        assert found.item.text == "One two three"


async def test_a_reply_is_truncated_while_it_still_sounds_and_after_a_cancel() -> None:
    async with conversation(manner=Manner()) as talk:
        talk.language_model.answer = lambda _: "One two three four five six seven."
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(1.5)
        item_id = talk.noted(ReplyItem)[0].item_id
        talk.say(CancelReply("c"))
        talk.say(Truncate("t", item_id, 8 * CHARACTER_SAMPLES))
        await settled(talk)
        talk.say(AskReply(ReplyRequest("r2")))
        await settled(talk, 2)
        assert told(talk.language_model) == [("assistant", "One two")]
        assert not talk.noted(Refused)


@pytest.mark.parametrize("late", [0, 150])
async def test_who_heard_all_that_was_sent_of_a_reply_that_was_cut_did_not_hear_the_rest(late: int) -> None:
    """Clients give the position of their own playback, which ends where the sound that they were sent does."""
    async with conversation(manner=Manner()) as talk:
        talk.language_model.answer = lambda _: "One two three four five six seven."
        talk.say(AskReply(ReplyRequest("r")))
        await talk.until(1.5)
        item_id = talk.noted(ReplyItem)[0].item_id
        talk.say(CancelReply("c"))
        sent = (await settled(talk)).samples
        talk.say(Truncate("t", item_id, sent + late * MILLISECOND))
        talk.say(AskReply(ReplyRequest("r2")))
        await settled(talk, 2)
        assert told(talk.language_model) == [("assistant", "One two three four five six")]
        assert not talk.noted(Refused)


async def test_only_what_was_spoken_can_be_truncated() -> None:
    async with conversation(manner=Manner()) as talk:
        talk.say(Insert("i", Message("assistant", "Written only.", "mine")))
        talk.say(Truncate("t", "mine", 0))
        talk.say(Truncate("u", "nobody", 0))
        await talk.until(0.1)
        assert [(one.ref, one.why) for one in talk.noted(Refused)] == [("t", "no_audio"), ("u", "no_item")]


async def test_entries_are_inserted_shown_and_deleted_and_ask_for_no_reply() -> None:
    async with conversation(manner=Manner()) as talk:
        talk.say(Insert("1", Message("user", "third", "c")))
        talk.say(Insert("2", Message("user", "first", "a"), after=""))
        talk.say(Insert("3", Message("assistant", "second", "b"), after="a"))
        talk.say(Insert("4", Message("user", "again", "a")))
        talk.say(Insert("5", Message("user", "lost"), after="nobody"))
        talk.say(Insert("6", Call("c1", "look", "{" + "x" * 20_000)))
        talk.say(Delete("7", "c"))
        talk.say(Retrieve("8", "c"))
        await talk.until(10)
        assert [(one.item.id, one.after) for one in talk.noted(Inserted)] == [("c", ""), ("a", ""), ("b", "a")]
        assert [(one.ref, one.why) for one in talk.noted(Refused)] == [
            ("4", "duplicate"),
            ("5", "no_item"),
            ("6", "invalid"),
            ("8", "no_item"),
        ]
        assert talk.noted(Deleted) == [Deleted("7", "c")]
        assert not talk.language_model.asked
        assert talk.history == [("user", "first"), ("assistant", "second")]


async def test_what_is_too_long_is_cut_and_says_so() -> None:
    """Tools answer with whole pages, and clients replay long conversations: neither is a mistake of theirs."""
    async with conversation(manner=Manner()) as talk:
        talk.say(Insert("1", Message("user", "w" * 25_000, "said")))
        talk.say(Insert("2", Call("c1", "read", "{}")))
        talk.say(Insert("3", Result("c1", "p" * 2_000_000, "page")))
        await talk.until(0.1)
        assert not talk.noted(Refused)
        kept = {one.item.id: one.item for one in talk.noted(Inserted)}
        said, page = kept["said"], kept["page"]
        assert isinstance(said, Message)
        assert isinstance(page, Result)
        assert said.text == "w" * 20_000 + " (cut off: 20000 of 25000 characters)"
        assert page.output == "p" * 20_000 + " (cut off: 20000 of 2000000 characters)"
        assert talk.engine.history.get("page") is page


async def test_a_result_whose_call_is_forgotten_is_taken_and_forgotten_too() -> None:
    async with conversation(manner=Manner()) as talk:
        talk.say(Insert("1", Call("c1", "look", "{}", "call")))
        talk.say(Delete("2", "call"))
        talk.say(Insert("3", Result("c1", "Sunny.", "result")))
        talk.say(Retrieve("4", "result"))
        await talk.until(0.1)
        assert [(one.item.id, one.after) for one in talk.noted(Inserted)] == [("call", ""), ("result", "")]
        assert [(one.ref, one.why) for one in talk.noted(Refused)] == [("4", "no_item")]
        assert talk.history == []


async def test_a_call_goes_to_the_client_and_its_result_is_told_when_a_reply_is_asked_for() -> None:
    asks: list[Any] = ["Let me look. ", ToolCall("c1", "weather", '{"where": "here"}')]
    async with conversation(manner=Manner(tools=(WEATHER,))) as talk:
        talk.say(Insert("q", Message("user", "How is the weather?")))
        talk.language_model.answer = lambda _: asks
        talk.say(AskReply(ReplyRequest("r")))
        await settled(talk)
        (call,) = talk.noted(CallHanded)
        assert (call.call_id, call.name, call.arguments) == ("c1", "weather", '{"where": "here"}')
        assert call.after == talk.noted(ReplyItem)[0].item_id
        await talk.until(20)
        assert len(talk.language_model.asked) == 1  # nothing follows by itself
        talk.language_model.answer = lambda _: "It is sunny."
        talk.say(Insert("o", Result("c1", "sunny")))
        talk.say(AskReply(ReplyRequest("r2")))
        await settled(talk, 2)
        assert told(talk.language_model) == [
            ("user", "How is the weather?"),
            ("assistant", "Let me look."),
            ("tool", "sunny"),
        ]


async def test_a_reply_of_calls_alone_is_complete_and_makes_no_sound() -> None:
    calls: list[Any] = [ToolCall("c1", "weather", "{}"), ToolCall("c2", "weather", '{"x": 1}')]
    async with conversation(manner=Manner(tools=(WEATHER,))) as talk:
        talk.language_model.answer = lambda _: calls
        talk.say(AskReply(ReplyRequest("r")))
        end = await settled(talk)
        assert end.outcome == "completed"
        assert [call.call_id for call in talk.noted(CallHanded)] == ["c1", "c2"]
        assert not talk.noted(ReplyItem)
        assert not talk.synthesizer.spoken
        assert [type(item) for item in talk.engine.history.items] == [Call, Call]


async def test_nothing_is_handed_to_the_client_on_a_guess() -> None:
    calls: list[Any] = [ToolCall("c1", "weather", "{}")]
    model = FakeLanguageModel(answer=lambda _: calls)
    async with conversation(
        sounds=((0.0, 1.0), (1.25, 2.0)),
        turns=(((0.9, "how is it"), (2.0, "how is it outside")),),
        manner=Manner(tools=(WEATHER,)),
        language_model=model,
    ) as talk:
        await settled(talk)
        assert len(talk.noted(CallHanded)) == 1
        first = next(at for at, notice in talk.told if isinstance(notice, CallHanded))
        assert first > 2.0
        assert talk.noted(TurnSettled)[0].text == "how is it outside"


async def test_a_written_reply_makes_no_sound_and_is_part_of_the_conversation() -> None:
    async with conversation(sounds=HELLO, turns=HELLO_WORDS, manner=Manner(text_only=True)) as talk:
        await settled(talk)
        assert "".join(piece.text for piece in talk.noted(ReplyWritten)) == "You said: good morning."
        assert not talk.synthesizer.spoken
        assert talk.history == [("user", "good morning"), ("assistant", "You said: good morning.")]


async def test_a_reply_beside_the_conversation_leaves_no_trace_and_may_run_beside_another() -> None:
    async with conversation(manner=Manner(instructions="Be kind.")) as talk:
        talk.language_model.answer = lambda said: f"About {said}" if said == "this" else "A spoken one."
        talk.say(AskReply(ReplyRequest("spoken")))
        context = (Message("user", "this"),)
        talk.say(AskReply(ReplyRequest("aside", text_only=True, beside=True, context=context, instructions="Sum up.")))
        await settled(talk, 2)
        assert told(talk.language_model, 1) == [("system", "Sum up."), ("user", "this")]
        assert told(talk.language_model, 0) == [("system", "Be kind.")]
        assert talk.history == [("assistant", "A spoken one.")]


async def test_one_reply_at_a_time_belongs_to_the_conversation() -> None:
    async with conversation(manner=Manner()) as talk:
        talk.say(AskReply(ReplyRequest("one")))
        talk.say(AskReply(ReplyRequest("two")))
        talk.say(AskReply(ReplyRequest("three", text_only=True)))
        await settled(talk)
        assert [(one.ref, one.why) for one in talk.noted(Refused)] == [("two", "active"), ("three", "active")]


async def test_terms_change_in_flight() -> None:
    async with conversation(manner=Manner(instructions="Old.", options=ReplyOptions(usage=True))) as talk:
        await spoken(talk, "First.")
        changed = Manner(instructions="New.", tools=(WEATHER,), options=ReplyOptions(max_tokens=7))
        talk.say(Configure(changed))
        await spoken(talk, "Second.")
        assert [told(talk.language_model, which)[0][1] for which in (0, 1)] == ["Old.", "New."]
        assert talk.language_model.options == [ReplyOptions(usage=True), ReplyOptions(max_tokens=7)]
        assert [len(some) for some in talk.language_model.offered] == [0, 1]


async def test_a_silence_after_a_reply_is_answered_where_that_is_asked_for() -> None:
    async with conversation(manner=Manner(idle=5.0), listen_until=30) as talk:
        talk.language_model.answer = lambda _: "Are you there?"
        talk.say(AskReply(ReplyRequest("r")))
        await settled(talk)
        heard_at = next(at for at, notice in talk.told if isinstance(notice, ReplySettled))
        end = await settled(talk, 2)
        (silence,) = talk.noted(SilenceNoted)[:1]
        noted_at = next(at for at, notice in talk.told if notice is silence)
        assert noted_at == pytest.approx(heard_at + 5, abs=0.001)
        assert silence.ended - silence.began == pytest.approx(5.0)
        assert talk.noted(TurnCommitted)[0].item_id == silence.item_id
        assert end.outcome == "completed"


async def test_who_speaks_in_time_is_not_told_of_a_silence() -> None:
    async with conversation(manner=Manner(idle=3.0), sounds=((3.0, 4.0),), turns=HELLO_WORDS) as talk:
        talk.language_model.answer = lambda _: "Are you there?"
        talk.say(AskReply(ReplyRequest("r")))
        await settled(talk, 2)
        assert not talk.noted(SilenceNoted)
        assert told(talk.language_model)[-1] == ("user", "good morning")


async def test_what_was_used_is_told_and_a_reply_that_was_cut_is_incomplete() -> None:
    parts: list[Any] = ["Too long.", Usage(12, 3, 4, cut=True)]
    async with conversation(manner=Manner()) as talk:
        talk.language_model.answer = lambda _: parts
        talk.say(AskReply(ReplyRequest("r")))
        end = await settled(talk)
        assert (end.outcome, end.usage) == ("incomplete", Usage(12, 3, 4, cut=True))


async def test_a_model_that_fails_is_a_failed_reply() -> None:
    model = FakeLanguageModel(error=UnavailableError("The language model cannot be reached."))
    async with conversation(manner=Manner(), language_model=model) as talk:
        talk.say(AskReply(ReplyRequest("r")))
        end = await settled(talk)
        assert (end.outcome, end.code, end.message) == (
            "failed",
            "unavailable",
            "The language model cannot be reached.",
        )


async def test_audio_that_comes_at_once_is_silent_by_its_own_clock() -> None:
    """Two seconds of speech and two of silence arrive in one moment: the turn is over in that moment."""
    async with conversation(manner=Manner(), turns=HELLO_WORDS, listen_until=0) as talk:
        speech = np.full(320, 8_000, "<i2").tobytes()
        for pcm in [speech] * 60 + [bytes(640)] * 100:
            await talk.participant.speak(pcm)
        await talk.until(0.05)
        (turn,) = talk.noted(TurnCommitted)
        at = next(at for at, notice in talk.told if notice is turn)
        assert at < 0.03
        await settled(talk)


async def test_the_voice_fails_before_a_sound_and_the_reply_that_was_asked_for_is_told_to_have_failed() -> None:
    voice = FakeSynthesizer(error=UnavailableError("No worker is there."))
    async with conversation(manner=Manner(), synthesizer=voice) as talk:
        talk.say(AskReply(ReplyRequest("r")))
        end = await settled(talk)
        assert (end.outcome, end.message) == ("failed", "No worker is there.")


async def test_what_is_likely_to_be_said_is_told_to_the_recogniser_from_the_next_stretch_on() -> None:
    ears = FakeRecognizer(turns=[[(0.5, "hello")]] * 3)
    expecting, other = Manner(hot_words=("Ecobee",)), Manner(hot_words=("Kokoro", "Piper"))
    async with conversation(sounds=[(0.5, 1.2), (6.0, 6.7)], recognizer=ears, manner=expecting) as talk:
        await talk.until(1.0)
        assert ears.hot_words == ("Ecobee",)
        talk.say(Configure(other))
        await talk.until(9.0)
        assert ears.hot_words == ("Kokoro", "Piper")
