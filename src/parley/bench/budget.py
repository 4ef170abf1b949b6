"""What reactions to late answers are worth: three faults, in virtual time, with the budget policy and without.

One session of turns that follow each other; the fault lasts all the while. The engine is the real one; what hears,
thinks and speaks takes exactly as long as is said here. The voice speaks clause by clause, as voices do that cannot
stream: a clause sounds once all of it is made. Counted from the last voice of the participant to the first sound of
the reply in their ear, and to the first sound of the answer itself (what is said to fill the wait is no answer);
silence is what is heard in mid-reply. An answer that is not heard to its end, or not kept in the history, is lost.

``--trials``: turns (40). ``--set``: late (seconds of the language model and of the ears: 1.5, 1.0 where not given),
factor (real-time factor of the voice, 1.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from parley.audio.frame import SAMPLE_RATE, AudioFrame
from parley.bench.report import BenchOptions, Goal, Row, percentile, row
from parley.messages import ReplyEnded, ReplyText
from parley.session.log import BudgetReacted
from parley.session.pressure import Relief
from parley.session.settings import BudgetSettings, SessionSettings
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import (
    CHARACTER_SAMPLES,
    FakeLanguageModel,
    FakeRecognizer,
    FakeSynthesis,
    FakeSynthesizer,
    fake_speech,
)
from parley.testing.virtual_time import run_virtual
from parley.values import Voice, Wording

if TYPE_CHECKING:
    from parley.values import ChatMessage, ReplyOptions, ReplyPart, ToolInfo

TURNS = 40
SLOT = 30.0
"""Seconds from the beginning of a turn to that of the next: every reply is over by then."""
SAID, SPEECH = "what is the weather like in the mountains", 1.2
ANSWER = (
    "It will be cold and clear in the mountains tomorrow morning, with a little snow above two thousand metres. "
    "Take a warm coat and leave early."
)
BRIEF = "It will be cold and clear in the mountains tomorrow."
QUICK, USUAL = Voice(model="quick"), Voice(model="usual")
_MODEL, _EARS, _VOICE = 0.3, 0.05, 0.15
"""Seconds to the first words and to the final transcript, and a real-time factor, where nothing is wrong."""
_LESS = 30.0
"""Percent by which the first sound is to come sooner."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What takes how long."""

    model: float = _MODEL
    ears: float = _EARS
    voice: float = _VOICE
    alone: bool = False
    """No other voice is in memory."""


def run(options: BenchOptions) -> list[Row]:
    turns = options.trials or TURNS
    faults = {
        "nothing is wrong": Fault(),
        "language model late": Fault(model=_MODEL + options.number("late", 1.5)),
        "voice too slow": Fault(voice=options.number("factor", 1.3)),
        "voice too slow, no other there": Fault(voice=options.number("factor", 1.3), alone=True),
        "ears late": Fault(ears=_EARS + options.number("late", 1.0)),
    }
    rows: list[Row] = []
    for name, fault in faults.items():
        without, with_it = (run_virtual(_session(fault, turns, enabled=on)) for on in (False, True))
        rows += _rows(name, without, with_it)
    return rows


@dataclass(slots=True)
class Outcome:
    """What a session's participant heard, per turn, in seconds."""

    sound: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)
    silence: list[float] = field(default_factory=list)
    lost: int = 0
    reactions: list[str] = field(default_factory=list)


def _rows(fault: str, without: Outcome, with_it: Outcome) -> list[Row]:
    rows = []
    for what in ("sound", "answer", "silence"):
        name = {"sound": "first sound", "answer": "first sound of the answer", "silence": "silence in mid-reply"}[what]
        for policy, outcome in (("off", without), ("on", with_it)):
            rows.append(row(name, "s", getattr(outcome, what), params={"fault": fault, "budget": policy}))
    before, after = (percentile(one.sound, 95) or 0.0 for one in (without, with_it))
    less = 100 * (1 - after / before)
    goal = Goal(_LESS, at_least=True) if fault.endswith(("late", "slow")) else Goal(0, at_least=True)
    reacted = ", ".join(with_it.reactions) or "nothing"
    rows.append(row("first sound sooner (p95)", "%", [less], goal=goal, params={"fault": fault, "did": reacted}))
    lost = Goal(0)
    rows.append(row("answers lost, off and on", "answers", [without.lost + with_it.lost], goal=lost,
                    params={"fault": fault, "turns": len(with_it.sound)}))  # fmt: skip
    return rows


async def _session(fault: Fault, turns: int, *, enabled: bool) -> Outcome:
    sounds = [(1 + SLOT * turn, 1 + SLOT * turn + SPEECH) for turn in range(turns)]
    listening = [(begin - 0.5, end + 3.0) for begin, end in sounds]
    muted = [(until, begin) for (_, until), (begin, _) in pairwise(listening)]
    known = SPEECH if fault.ears == _EARS else 1e9  # late ears have said nothing before the end
    settings = SessionSettings(budget=BudgetSettings(enabled=enabled))
    voice = _Voices(factors={"usual": fault.voice, "quick": _VOICE})
    model = _Model(answer=lambda _: ANSWER, first_delta=fault.model, delta=0.02)
    ears = FakeRecognizer(turns=[[(known, SAID)]] * turns, latency=fault.ears)
    relief = Relief(
        FakeRecognizer(turns=[[(SPEECH, SAID)]] * turns, latency=_EARS),
        lambda now: QUICK if now != QUICK and fault.voice > 1 and not fault.alone else None,
    )
    async with conversation(
        sounds=sounds, muted=muted, settings=settings, synthesizer=voice, language_model=model, recognizer=ears,
        relief=relief, voice=USUAL,
    ) as talk:  # fmt: skip
        await talk.until(SLOT * turns + 1)
        return _judged(talk, [end for _, end in sounds])


def _judged(talk: Conversation, ends: list[float]) -> Outcome:
    outcome = Outcome()
    talk.participant.ear.position()
    replies = talk.of(ReplyEnded)
    kept = [text for role, text in talk.history if role == "assistant"]
    whole = sum(text.strip() in (ANSWER, BRIEF) for text in kept)
    finished = sum(ended.outcome == "finished" for ended in replies)
    outcome.lost = 2 * len(ends) - min(whole, len(ends)) - min(finished, len(ends))
    for end, ended in zip(ends, replies, strict=False):
        heard = [one for one in talk.participant.ear.stretches if one.utterance_id == ended.utterance_id]
        first = next(text.text for text in talk.of(ReplyText) if text.utterance_id == ended.utterance_id)
        filler = 0 if ANSWER.startswith(first.strip()) or BRIEF.startswith(first.strip()) else len(first)
        sample = filler * CHARACTER_SAMPLES
        answer = next(one for one in heard if one.end_sample > sample)
        outcome.sound.append(heard[0].at - end)
        outcome.answer.append(answer.at + max(0, sample - answer.start_sample) / SAMPLE_RATE - end)
        outcome.silence.append(max(0.0, heard[-1].until - heard[0].at - heard[-1].end_sample / SAMPLE_RATE))
    for entry in talk.logged(BudgetReacted):
        outcome.reactions.append(f"{entry.reaction} {'on' if entry.on else entry.why}")
    return outcome


class _Model(FakeLanguageModel):
    """Brief when it is asked to be."""

    async def reply(
        self,
        history: list[ChatMessage],  # type: ignore[override]
        tools: tuple[ToolInfo, ...] = (),  # type: ignore[override]
        options: ReplyOptions | None = None,
    ) -> AsyncGenerator[ReplyPart, None]:
        asked = replace(self, answer=lambda _: BRIEF) if options is not None and options.brief else self
        async for part in FakeLanguageModel.reply(asked, history, tools):
            yield part


@dataclass
class _Voices(FakeSynthesizer):
    """Voices that make a clause as a whole: ``factors``, seconds of work for a second of sound, by model."""

    factors: dict[str, float] = field(default_factory=dict)

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> FakeSynthesis:
        return _Clauses(self, text, voice, session_id, utterance_id)


class _Clauses(FakeSynthesis):
    """One utterance: made ahead of who takes it."""

    def __init__(
        self, owner: _Voices, text: AsyncIterable[str], voice: Voice, session_id: str, utterance_id: str
    ) -> None:
        super().__init__(owner, text, voice, session_id, utterance_id)
        self._factor = owner.factors[voice.model]
        self._ready: asyncio.Queue[AudioFrame | None] = asyncio.Queue()
        self._working = asyncio.create_task(self._work(text))

    async def aclose(self) -> None:
        self._working.cancel()
        await asyncio.gather(self._working, return_exceptions=True)

    async def _work(self, pieces: AsyncIterable[str]) -> None:
        start = 0
        async for piece in pieces:
            await asyncio.sleep(self._factor * len(fake_speech(piece)) / 2 / SAMPLE_RATE)
            for frame in self._frames_of(piece, start):
                self._ready.put_nowait(frame)
            start += len(piece)
        self._ready.put_nowait(None)

    async def _speak(self, pieces: AsyncIterable[str]) -> AsyncGenerator[AudioFrame, None]:
        held = await self._ready.get()
        while held is not None:
            # The newest frame is not kept back to know whether it is the last: the last one is silent and its own.
            yield held
            following = await self._ready.get()
            if following is None:
                end = held.end_sample
                yield AudioFrame(b"\0" * 1920, SAMPLE_RATE, held.utterance_id, held.sequence + 1, end, final=True)
            held = following
