"""The built-in script: what it understands, and that it needs no more than the conversation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parley.llm.hearing import understand, words_of
from parley.llm.script import PHRASES, STORY, ScriptModel, in_deltas, phrases
from parley.llm.settings import LlmSettings, ScriptSettings
from parley.values import ChangeVoice, ChatMessage, ToolCall, ToolInfo, Voice

pytestmark = pytest.mark.anyio

VOICES = (Voice(model="espeak", speaker="en-us"), Voice(model="kokoro"))


def at_half_past_ten() -> datetime:
    return datetime(2026, 5, 3, 10, 30, tzinfo=UTC)


def script() -> ScriptModel:
    return ScriptModel(voices=lambda: VOICES, time=at_half_past_ten)


async def answer(said: str, *before: ChatMessage) -> str:
    parts = [part async for part in script().reply([*before, ChatMessage("user", said)])]
    return "".join(part for part in parts if isinstance(part, str))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Hello!", "Hello, I am Parley"),
        ("how are you today", "I am well"),
        ("What time is it?", "ten thirty in the morning"),
        ("what day is it", "Sunday, the 3rd of May"),
        ("what can you do", "I can tell you a story"),
        ("tell me a long story", "Once upon a time"),
        ("count to five", "one, two, three, four, five."),
        ("count", "nine, ten."),
        ("Count to twenty three, please.", "twenty two, twenty three."),
        ("what is two plus three", "Two plus three is 5."),
        ("how much is 7 times 6", "Seven times six is 42."),
        ("Say I love trains.", "I love trains."),
        ("thank you", "You are welcome."),
        ("goodbye", "Goodbye"),
        ("the capital of france", "You said: the capital of france."),
        ("", "I did not catch that"),
    ],
)
async def test_it_answers(said: str, words: str) -> None:
    assert words in await answer(said)


@pytest.mark.parametrize(
    ("heard", "meaning"),
    [
        ("tell me his story", "story"),
        ("tall me a story", "story"),
        ("uh what time is at", "time"),
        ("what can you do now", "help"),
        ("changed your voice", "voice"),
        ("counted to ten", "count"),
        ("gonna", ""),
    ],
)
def test_it_understands_what_was_misheard(heard: str, meaning: str) -> None:
    assert understand(heard, PHRASES) == meaning


@pytest.mark.parametrize("meaning", PHRASES)
def test_every_phrase_is_understood_as_what_it_means(meaning: str) -> None:
    assert {phrase: understand(phrase, PHRASES) for phrase in PHRASES[meaning]} == dict.fromkeys(
        PHRASES[meaning], meaning
    )


async def test_it_goes_on_with_the_story_at_the_first_word_that_was_not_heard() -> None:
    heard = " ".join(STORY.split()[:40])
    rest = await answer("go on", ChatMessage("user", "tell me a story"), ChatMessage("assistant", heard))
    assert f"{heard} {rest}" == STORY


async def test_it_goes_on_again_after_a_second_interruption() -> None:
    words = STORY.split()
    rest = await answer(
        "continue",
        ChatMessage("assistant", " ".join(words[:40])),
        ChatMessage("user", "go on"),
        ChatMessage("assistant", " ".join(words[40:60])),
    )
    assert rest == " ".join(words[60:])


async def test_it_goes_on_when_its_story_was_heard_behind_another_sentence() -> None:
    rest = await answer("go on", ChatMessage("assistant", f"Hello there. {STORY[:100]}"))
    assert f"{STORY[:100]} {rest}".split() == f"{STORY[:100]} {STORY[100:]}".split()


async def test_it_changes_to_the_voice_that_is_named() -> None:
    parts = [part async for part in script().reply([ChatMessage("user", "please use the kokoro voice")])]
    assert parts[0] == ChangeVoice(Voice(model="kokoro"))


async def test_it_walks_through_the_voices() -> None:
    ask = ChatMessage("user", "change your voice")
    first = [part async for part in script().reply([ask])]
    second = [part async for part in script().reply([ask, ChatMessage("assistant", "All right."), ask])]
    assert first[0] != second[0]


async def test_without_other_voices_it_says_so() -> None:
    parts = [part async for part in ScriptModel().reply([ChatMessage("user", "change your voice")])]
    assert not any(isinstance(part, ChangeVoice) for part in parts)


@pytest.mark.parametrize("again", ["Please try again.", "say that again", "What did you say?", "once more"])
@pytest.mark.parametrize(
    ("asked", "heard", "whole"),
    [
        ("the capital of france", "You said:", "You said: the capital of france. I have no answer to that."),
        ("count to five", "one, two,", "one, two, three, four, five."),
        ("what time is it", "It is", "It is ten thirty in the morning."),
    ],
)
async def test_after_an_interruption_it_says_the_whole_answer_again(
    again: str, asked: str, heard: str, whole: str
) -> None:
    before = (ChatMessage("user", asked), ChatMessage("assistant", heard))
    assert (await answer(again, *before)).startswith(whole)
    twice = (*before, ChatMessage("user", again), ChatMessage("assistant", heard))
    assert (await answer(again, *twice)).startswith(whole)


async def test_it_goes_on_with_any_answer_that_was_interrupted() -> None:
    before = (ChatMessage("user", "count to five"), ChatMessage("assistant", "one, two,"))
    assert await answer("go on", *before) == "three, four, five."


async def test_it_does_not_go_on_with_an_answer_that_was_heard_whole() -> None:
    before = (ChatMessage("user", "count to two"), ChatMessage("assistant", "one, two."))
    assert "nothing to go on with" in await answer("go on", *before)


async def test_to_say_it_again_does_not_change_the_voice_again() -> None:
    before = (ChatMessage("user", "change your voice"), ChatMessage("assistant", "All right."))
    assert await answer("say that again", *before) == "All right."


async def test_it_repeats_what_it_said_last() -> None:
    assert await answer("say that again", ChatMessage("assistant", "Forty two.")) == "Forty two."


async def test_its_name_is_a_setting() -> None:
    model = ScriptModel(LlmSettings(script=ScriptSettings(name="Rosa")))
    assert "Rosa" in "".join([str(part) async for part in model.reply([ChatMessage("user", "who are you")])])


@pytest.mark.parametrize("words", [1, 3, 1000])
def test_the_deltas_of_a_text_are_the_text(words: int) -> None:
    assert "".join(in_deltas(STORY, words)) == STORY


def test_the_recognisers_phrases_are_plain_lower_case_words() -> None:
    assert [phrase for phrase in phrases() if phrase != phrase.lower() or not phrase.replace(" ", "").isalpha()] == []
    assert {"tell me a story", "count to ten", "what is two plus three"} <= set(phrases())


def test_fillers_and_punctuation_do_not_count() -> None:
    assert words_of("Uh, well: STOP please!") == ["stop"]


# --- tools --------------------------------------------------------------------------------


TOOLS = (ToolInfo("time", ""), ToolInfo("timer", ""))


async def parts_of(*history: ChatMessage, tools: tuple[ToolInfo, ...] = TOOLS) -> list[object]:
    return [part async for part in script().reply(history, tools)]


async def test_the_time_is_asked_of_a_tool_where_there_is_one() -> None:
    asked = ChatMessage("user", "what time is it")
    assert await parts_of(asked) == [ToolCall("", "time", "{}")]
    told = ChatMessage("tool", "2026-11-29 08:05 (Sunday, time zone UTC)", call_id="c")
    assert "".join(map(str, await parts_of(asked, told))) == "It is eight oh five in the morning."
    date = ChatMessage("user", "what day is it")
    assert "".join(map(str, await parts_of(date, told))) == "It is Sunday, the 29th of November."


@pytest.mark.parametrize(
    ("said", "seconds", "spoken"),
    [
        ("set a timer", 10, "ten seconds"),
        ("set a timer for twenty seconds", 20, "twenty seconds"),
        ("set a timer for a minute", 60, "one minute"),
        ("please start a timer for two minutes", 120, "two minutes"),
    ],
)
async def test_a_timer_is_set_and_told_when_it_is_over(said: str, seconds: int, spoken: str) -> None:
    asked = ChatMessage("user", said)
    assert await parts_of(asked) == [ToolCall("", "timer", f'{{"seconds": {seconds}}}')]
    set_ = "".join(map(str, await parts_of(asked, ChatMessage("tool", "It has begun.", call_id="c"))))
    assert spoken in set_
    over = ChatMessage("tool", f"The timer of {seconds} seconds is over: tell the participant now.", call_id="c")
    assert "".join(map(str, await parts_of(asked, over))) == f"The timer of {spoken} is over."


async def test_without_tools_the_script_asks_for_none() -> None:
    assert all(isinstance(part, str) for part in await parts_of(ChatMessage("user", "what time is it"), tools=()))
    assert "no timer" in "".join(map(str, await parts_of(ChatMessage("user", "set a timer"), tools=())))
