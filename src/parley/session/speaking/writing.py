"""Where a reply's text comes from: its language model, round after round while that asks for tools; or from outside."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from parley.errors import InvalidRequest, NoReply
from parley.session.decide.outcomes import NO_MORE
from parley.session.decide.remarks import Remark, remark
from parley.session.speaking.deltas import Deltas
from parley.text.sentences import Sentences
from parley.text.speech.normaliser import has_words, seam
from parley.values import ChangeVoice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parley.errors import ParleyError
    from parley.interfaces import LanguageModel
    from parley.session.log import Stages
    from parley.session.settings import SessionSettings
    from parley.session.speaking.tools import ReplyCalls
    from parley.values import ChatMessage, ReplyOptions, ToolInfo, Usage, Voice

_LONGEST_CLAUSE = 240
"""Characters: what comes without an end is spoken in pieces."""


class Paper(Protocol):
    """The reply that is written."""

    stages: Stages

    @property
    def text(self) -> str:
        """All of it so far."""

    async def give_in_time(self, clause: str) -> None:
        """The next clause, as soon as it may be spoken."""

    def give(self, clause: str) -> None:
        """The next clause, now."""

    async def until_wanted(self) -> None:
        """Wait while it is a guess."""

    def order_voice(self, voice: Voice) -> None:
        """Speak with this voice from the next utterance on."""

    def trouble(self, error: ParleyError) -> bool:
        """There are no words, or no more; returns whether to apologise."""

    def no_more_text(self) -> None:
        """That was all."""


class Filler:
    """What is said in place of an answer that is late, until there is one. ``task`` waits for its moment."""

    def __init__(self, task: asyncio.Task[None] | None) -> None:
        self._task = task

    async def aclose(self) -> None:
        """It is not needed any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None


class Writing:
    """Cuts text into clauses as it comes, and has tools called where the model asks for them."""

    def __init__(
        self, paper: Paper, calls: ReplyCalls, settings: SessionSettings, language: str, *, aloud: bool = True
    ) -> None:
        """``aloud``: somebody waits for its sound."""
        self._aloud = aloud
        self.usage: Usage | None = None
        """What the language model counted so far, where it does."""
        self.told = 0
        """Characters that it was told."""
        self.asides: list[tuple[int, int]] = []
        """Where in the text something is said that is not worth remembering."""
        self._paper = paper
        self._calls = calls
        self._settings = settings
        self._language = language
        self._rounds = 0
        self._clauses = self._new_clauses()
        self._seam = False
        """What comes next is another sentence than what came before."""

    @property
    def opening(self) -> int:
        """Characters at the beginning of the text that are said in place of an answer, which begins behind them."""
        end = 0
        for start, stop in self.asides:
            end = stop if start == end else end
        return end

    # --- from outside --------------------------------------------------------------------

    def say(self, delta: str) -> None:
        """The next piece of text from outside."""
        for clause in self._clauses.add(delta):
            self._paper.give(clause)

    def say_end(self) -> None:
        """The text from outside is complete."""
        for clause in self._clauses.finish():
            self._paper.give(clause)
        if self._paper.text.strip() and not has_words(self._paper.text):
            self._paper.trouble(InvalidRequest("Nothing in this text can be spoken."))
        self._paper.no_more_text()

    # --- from a model --------------------------------------------------------------------

    async def write(self, model: LanguageModel, history: Sequence[ChatMessage], tools: Sequence[ToolInfo]) -> None:
        """All of it."""
        told, options = list(history), self._calls.options
        while True:
            offered = tools if self._rounds < self._settings.tools.max_rounds else ()
            self.told = sum(len(message.text) for message in told)
            more = await self._round(model, told, offered, options)
            options = replace(options, tool_choice="auto", tool="")  # what has to be asked for was asked for
            if not more:
                break
            told += more
        self._paper.no_more_text()

    async def _round(
        self, model: LanguageModel, told: Sequence[ChatMessage], tools: Sequence[ToolInfo], options: ReplyOptions
    ) -> list[ChatMessage]:
        """What the model says until it ends or asks for tools; returns what it is told before it goes on."""
        deltas, said = Deltas(model, told, self._settings.limits, tools, options), ""
        async with aclosing(deltas), aclosing(self._filler()) as filler:
            while (delta := await deltas.next()) is not None:
                await filler.aclose()
                self._paper.stages.mark("llm")
                if isinstance(delta, ChangeVoice):
                    await self._paper.until_wanted()
                    self._paper.order_voice(delta.voice)
                else:
                    said += delta
                    await self._give_all(self._clauses.add(delta))
        if deltas.usage is not None:
            self.usage = deltas.usage if self.usage is None else self.usage + deltas.usage
        rest = deltas.finish()
        error = deltas.error(said + rest, aloud=self._aloud)
        if error is not None:
            # Once tools were called, a model that has nothing to add has done what it was asked for.
            if not (self._rounds and isinstance(error, NoReply) and not has_words(said)):
                await self._apologise(error)
            return []
        said += rest
        await self._give_all((*self._clauses.add(rest), *self._clauses.finish()))
        if not deltas.calls:
            return []
        if not tools:
            if not said.strip():
                await self._apologise(NoReply(NO_MORE))
            return []
        self._rounds, self._seam = self._rounds + 1, True
        self._clauses = self._new_clauses()
        results = await self._calls.make(said, deltas.calls, self._still_working)
        return [] if self._calls.handed else results  # the client goes on, when it has done what it was asked for

    async def _give_all(self, clauses: Iterable[str]) -> None:
        for clause in clauses:
            apart, self._seam = self._seam, False
            await self._paper.give_in_time(self._apart(clause) if apart else clause)

    async def _apologise(self, error: ParleyError) -> None:
        if self._paper.trouble(error):
            apology = remark(Remark.CANNOT_THINK, self._settings.reply.apology, self._language)
            if apology:
                await self._paper.give_in_time(self._apart(apology))

    def _still_working(self) -> None:
        self._say_aside(Remark.STILL_WORKING, self._settings.reply.still_working)

    def _filler(self) -> Filler:
        """Says once that it takes a moment, where the model has said nothing for so long that this is a measure."""
        longest = self._calls.measures.filler_after
        if self._rounds or not self._aloud or longest == float("inf"):
            return Filler(None)

        async def wait() -> None:
            await asyncio.sleep(longest)
            await self._paper.until_wanted()
            if not self._paper.text:
                self._say_aside(Remark.ONE_MOMENT, self._settings.reply.one_moment)
                self._seam = True

        return Filler(self._calls.spawn(wait, "filler"))

    def _say_aside(self, kind: Remark, setting: str) -> None:
        """It takes a little longer."""
        text = remark(kind, setting, self._language)
        if text:
            start = len(self._paper.text)
            self._paper.give(self._apart(text))
            self.asides.append((start, len(self._paper.text)))

    def _apart(self, text: str) -> str:
        """Another sentence than the one before."""
        between = seam(self._paper.text)
        return text if between == " " and text[:1].isspace() else between + text

    def _new_clauses(self) -> Sentences:
        first, most = self._settings.reply.first_clause, self._calls.measures.first_longest
        most = 0 if self._rounds else most
        # a slow voice that is given much after little leaves its listener in silence
        longest = min(_LONGEST_CLAUSE, 2 * most) if most else _LONGEST_CLAUSE
        return Sentences(self._language, longest=longest, first_clause=first, first_longest=most)
