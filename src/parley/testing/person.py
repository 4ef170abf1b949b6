"""A participant who speaks, types and presses buttons whenever told to, and knows afterwards what must not be lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from parley.audio.frame import AudioFrame
from parley.messages import ErrorMessage, ReplyEnded, SayDelta, SayEnd, StateChanged, TextInput, TranscriptUpdate
from parley.session.decide.floor_table import Agent, Participant
from parley.session.decide.lexicon import lexicon, only_backchannels, words
from parley.testing.conversation import Conversation
from parley.testing.fakes import ALOUD, FakeRecognizer
from parley.values import Transcript

_STEP, _LONG_STEP, _QUIET = 0.02, 0.1, 3.0
"""Seconds of microphone at a time; longer pieces when nothing has been said for so long."""
_SOFT = ALOUD // 4


@dataclass
class AttentiveRecognizer(FakeRecognizer):
    """Understands whatever :attr:`said` is when a stretch of speech begins: half of it after 0.4 s, all after 0.8."""

    said: str = ""

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]:
        half = " ".join(self.said.split()[: (len(self.said.split()) + 1) // 2])
        self.turns = [[]] * len(self.heard) + [[(0.4, half), (0.8, self.said)] if self.said else []]
        async for transcript in super().transcribe(audio, language=language):
            yield transcript


@dataclass
class Person:
    """Has a microphone that is always on, until it is muted."""

    talk: Conversation
    loud: bool = False
    soft: bool = False
    """Somebody else, far away, when nothing is loud."""
    muted: bool = False
    typed: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    async def _live(self) -> None:
        quiet = 0.0
        while True:
            step = _STEP if quiet < _QUIET else _LONG_STEP
            await asyncio.sleep(step)
            quiet = 0.0 if self.loud or self.soft else quiet + step
            if not self.muted:
                level = ALOUD if self.loud else _SOFT if self.soft else 0
                samples = np.full(int(16_000 * step), level, "<i2")
                await self.talk.participant.speak(samples.tobytes())

    async def speak(self, seconds: float) -> None:
        """Something; the recogniser knows what."""
        self.loud = True
        await asyncio.sleep(seconds)
        self.loud = False

    def type(self, text: str) -> None:
        """A turn."""
        self.typed.append(text)
        self.talk.say(TextInput(text))

    def give(self, text: str, *, ended: bool = True) -> None:
        """Text that the agent is to speak."""
        self.given.append(text)
        self.talk.say(SayDelta(text))
        if ended:
            self.talk.say(SayEnd())

    async def until(self, participant: Participant, agent: Agent) -> None:
        """Wait for a state."""
        async with asyncio.timeout(10):
            while self.talk.engine._floor.states != (participant, agent):  # noqa: ASYNC110 (polled on purpose)
                await asyncio.sleep(_STEP / 4)

    # --- afterwards ----------------------------------------------------------------------

    def check_that_nothing_hangs(self) -> None:
        """To be asked when everybody has been quiet for long enough: all that waited to be spoken was heard, too."""
        last = self.talk.of(StateChanged)[-1:]
        assert not last or last[0].agent == "idle", "somebody waits for ever"
        asked = self.talk.history and self.talk.history[-1][0] == "user"
        assert not asked or self._taken_back or self._troubled, "a question was never answered"
        heard = " ".join(ended.heard_text for ended in self.talk.of(ReplyEnded))
        for text in self.given:
            assert text in heard or self.typed or self._taken_back or self._troubled, "outside text was lost"

    def check_that_nothing_is_lost(self) -> None:
        """What was typed and understood is in the history."""
        talk = self.talk
        said = " ".join(text for role, text in talk.history if role == "user")
        for text in self.typed:
            assert text in said, "what was typed is not in the history"
        for update in talk.of(TranscriptUpdate):
            if update.final and not only_backchannels(words(update.text), lexicon("en").backchannels):
                assert update.text in said, "what was understood is not in the history"

    @property
    def _taken_back(self) -> bool:
        return bool({"floor_taken", "interrupted"} & {event for event, _ in self.talk.states()})

    @property
    def _troubled(self) -> bool:
        return bool(self.talk.of(ErrorMessage))


@asynccontextmanager
async def person_in(talk: Conversation) -> AsyncIterator[Person]:
    """Somebody at the other end, for the length of the block."""
    person = Person(talk)
    life = asyncio.create_task(person._live())
    try:
        yield person
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
