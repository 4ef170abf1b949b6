"""Answers that come too late change how a session talks, where its budget is watched."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.session.tool_bench import Bench, Caller, ask

from parley.messages import ErrorMessage, Interrupt, ReplyStarted, ReplyText, TextInput, TurnLatency, VoiceChanged
from parley.session.log import BudgetReacted, Latency, Starved
from parley.session.pressure import Relief
from parley.session.settings import BudgetSettings, SessionSettings
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer, FakeSynthesis, FakeSynthesizer
from parley.values import Voice

pytestmark = pytest.mark.anyio

WATCHED = SessionSettings(budget=BudgetSettings(enabled=True))


@dataclass
class Noting(FakeSynthesizer):
    """Keeps the pieces of text that each reply was given in."""

    pieces: list[list[str]] = field(default_factory=list)

    def synthesize(self, text: AsyncIterable[str], **more: Any) -> FakeSynthesis:
        pieces: list[str] = []
        self.pieces.append(pieces)

        async def noted() -> AsyncIterator[str]:
            async for piece in text:
                pieces.append(piece)
                yield piece

        return super().synthesize(noted(), **more)


@asynccontextmanager
async def asked(turns: int, settings: SessionSettings = WATCHED, **kind: Any) -> AsyncIterator[Conversation]:
    """So many typed turns, each after the reply to the one before has been heard."""
    async with conversation(settings=settings, **kind) as talk:
        for turn in range(1, turns + 1):
            talk.say(TextInput(f"question {turn}"))
            await talk.heard_out(turn)
        yield talk


def told(talk: Conversation) -> list[tuple[str, str]]:
    return [(entry.reaction, entry.why) for entry in talk.logged(BudgetReacted)]


def said(talk: Conversation) -> str:
    return "".join(text.text for text in talk.of(ReplyText))


async def test_a_model_that_is_late_is_excused_from_the_next_turn_on_and_the_excuse_is_not_remembered() -> None:
    async with asked(3, language_model=FakeLanguageModel(first_delta=2.0)) as talk:
        assert told(talk)[0] == ("filler", "overrun")
        assert said(talk).count("One moment.") == 2
        assert said(talk).index("You said") < said(talk).index("One moment.")
        answers = [text for role, text in talk.history if role == "assistant"]
        assert answers == [f"You said: question {turn}." for turn in (1, 2, 3)]


async def test_where_an_excuse_does_not_help_the_model_the_rest_is_tried_and_at_last_nobody_new_is_let_in() -> None:
    model = FakeLanguageModel(first_delta=2.0)
    async with asked(14, language_model=model) as talk:
        assert told(talk) == [
            ("filler", "overrun"),
            ("short_replies", "overrun"),
            ("short_replies", "no_help"),
            ("no_guesses", "overrun"),
            ("no_guesses", "no_help"),
            ("refuse_sessions", "overrun"),
        ]
        assert not model.options[-1].brief


async def test_a_model_that_has_recovered_is_not_excused() -> None:
    model = FakeLanguageModel(first_delta=2.0)
    async with asked(1, language_model=model) as talk:
        model.first_delta = 0.1
        talk.say(TextInput("and now"))
        await talk.heard_out(2)
        assert "One moment." not in said(talk)


async def test_where_the_budget_is_not_watched_nothing_is_done() -> None:
    async with asked(4, SessionSettings(), language_model=FakeLanguageModel(first_delta=2.0)) as talk:
        assert not told(talk)
        assert "One moment." not in said(talk)


async def test_a_voice_that_is_slow_gets_shorter_pieces_and_then_another_voice_takes_its_place() -> None:
    model = FakeLanguageModel(answer=lambda _: "A sentence of more than a few words that has no comma in it at all.")
    voice, quick = Noting(latency=2.0), Voice(model="quick")
    relief = Relief(voice=lambda now: None if now == quick else quick)
    async with asked(6, language_model=model, synthesizer=voice, relief=relief) as talk:
        assert told(talk)[:3] == [("short_clause", "overrun"), ("short_clause", "no_help"), ("faster_voice", "overrun")]
        first, second = (pieces[0] for pieces in voice.pieces[:2])
        assert len(second) <= WATCHED.budget.first_longest < len(first)
        assert talk.of(VoiceChanged)[0].voice == quick
        assert voice.spoken[-1].voice.model in ("quick", "")


async def test_a_faster_voice_that_is_gone_by_then_costs_nothing_but_a_sentence() -> None:
    voice = FakeSynthesizer(latency=2.0, missing=frozenset({"quick"}))
    async with asked(6, synthesizer=voice, relief=Relief(voice=lambda _: Voice(model="quick"))) as talk:
        assert ("faster_voice", "overrun") in told(talk)
        assert [error.code for error in talk.of(ErrorMessage)] == ["not_found"]
        assert {spoken.voice.model for spoken in voice.spoken} == {""}


async def test_ears_that_are_late_are_replaced_by_those_that_are_there() -> None:
    sounds = [(1.0 + 10 * turn, 2.0 + 10 * turn) for turn in range(3)]
    late = FakeRecognizer(turns=[[(99.0, "hello there")]] * 3, latency=2.0)
    quick = FakeRecognizer(turns=[[(0.5, "hello there")]] * 3)
    async with conversation(sounds=sounds, settings=WATCHED, recognizer=late, relief=Relief(quick)) as talk:
        await talk.heard_out(3)
        assert told(talk) == [("faster_ears", "overrun")]
        assert (len(late.heard), len(quick.heard)) == (1, 2)
        assert [text for role, text in talk.history if role == "user"] == ["hello there"] * 3


async def test_a_model_that_stays_late_is_asked_to_be_brief_once_excuses_are_not_wanted() -> None:
    from parley.session.settings import ReplySettings

    settings = SessionSettings(reply=ReplySettings(one_moment=""), budget=BudgetSettings(enabled=True))
    model = FakeLanguageModel(first_delta=2.0)
    async with asked(6, settings, language_model=model) as talk:
        assert ("filler", "no_help") in told(talk)
        assert ("short_replies", "overrun") in told(talk)
        assert model.options[-1].brief
        assert not model.options[0].brief


# --- who was waited for -------------------------------------------------------------------


async def test_a_voice_that_waits_for_a_tool_is_not_to_blame_for_the_silence() -> None:
    bench = Bench(takes={"look": 4.0})
    model = Caller(lambda history: ["It rains."] if history[-1].role == "tool" else ["Let me look.", ask("look")])
    relief = Relief(voice=lambda _: Voice(model="quick"))
    async with asked(5, language_model=model, tools=bench.box(), relief=relief) as talk:
        assert sum(starved.gap for starved in talk.logged(Starved)) > 5
        assert sum(starved.voice for starved in talk.logged(Starved)) < 0.1
        assert told(talk) == []


async def test_a_voice_that_pauses_in_mid_reply_with_words_to_speak_is_to_blame() -> None:
    model = FakeLanguageModel(answer=lambda _: "One. Two.")
    async with asked(3, language_model=model, synthesizer=FakeSynthesizer(pace=0.08)) as talk:
        silence = sum(starved.gap for starved in talk.logged(Starved))
        assert silence > 1
        assert sum(starved.voice for starved in talk.logged(Starved)) == pytest.approx(silence)
        assert ("short_clause", "overrun") in told(talk)


# --- what is said in place of an answer ---------------------------------------------------


@pytest.mark.parametrize("reports", [False, True])
async def test_what_a_turn_took_is_told_of_its_answer_and_not_of_what_was_said_meanwhile(reports: bool) -> None:
    async with asked(3, language_model=FakeLanguageModel(first_delta=6.0), reports=reports) as talk:
        latencies = talk.logged(Latency)
        assert [latency.turn for latency in latencies] == [1, 2, 3]
        assert latencies[0].aside_ms is None
        for latency in latencies[1:]:
            assert latency.aside_ms == pytest.approx(1000 * WATCHED.budget.model, abs=100)
            assert latency.stages_ms["llm"] == pytest.approx(6000, abs=100)
            assert 6000 <= latency.stages_ms["tts"] <= latency.stages_ms["sent"] < 6500
            assert ("heard" in latency.stages_ms) is reports
        assert [message.stages_ms for message in talk.of(TurnLatency)] == [latency.stages_ms for latency in latencies]
        assert talk.logged(BudgetReacted)[0].took == pytest.approx(6.0, abs=0.1)


async def test_a_turn_whose_answer_nobody_waited_for_is_told_all_the_same() -> None:
    async with asked(1, language_model=FakeLanguageModel(first_delta=6.0)) as talk:
        talk.say(TextInput("and now"))
        while len(talk.of(ReplyStarted)) < 2:
            talk.participant.arrived.clear()
            await talk.participant.arrived.wait()
        talk.say(Interrupt())
        await talk.heard_out(2)
        second = talk.logged(Latency)[-1]
        assert second.turn == 2
        assert second.aside_ms is not None
        assert not {"llm", "tts", "sent"} & set(second.stages_ms)
