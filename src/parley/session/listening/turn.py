"""One turn of the participant: its audio on the way to the recogniser, and what was understood."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parley import clock
from parley.audio.frame import AudioFrame
from parley.errors import CapacityError, ParleyError
from parley.interfaces import Recognizer
from parley.session.feeds import Feed
from parley.session.guard import GuardedStream
from parley.session.log import Stages
from parley.values import Transcript

if TYPE_CHECKING:
    from parley.conversation import Message
    from parley.session.decide.melody import Melody

_WAITING = 30
"""Seconds of audio that may wait for the recogniser, whatever frames they come in."""
_BLOCK = 0.1
"""Seconds of the newest sound that a streaming engine may hold back, and all the same have heard the last voice."""


class Part:
    """A stretch of a turn that the recogniser hears as one.

    ``tells``: this recogniser is known to say how much its transcripts cover.
    """

    def __init__(self, rate: int, *, tells: bool = False) -> None:
        self.audio: Feed[AudioFrame] = Feed(_WAITING * rate, size=lambda frame: frame.samples)
        self.text = ""
        self.stable = 0
        self.confidence = 1.0
        self.tells = tells
        self.done = False
        self.failed = False
        """True when the recogniser did not say all that it could."""
        self.task: asyncio.Task[None] | None = None
        self._rate = rate
        self._position = 0
        self._covered = 0.0
        self._sequence = 0
        self._stream: GuardedStream[Transcript] | None = None
        self._due: float | None = None

    @property
    def seconds(self) -> float:
        """Of audio that it was given."""
        return self._position / self._rate

    def tell_unheard(self) -> float:
        """Seconds of audio that were dropped, because the recogniser was too far behind; once."""
        lost, self.audio.lost = self.audio.lost, 0
        return lost / self._rate

    def hear(self, pcm: bytes, *, speaking: bool = True) -> None:
        """The next samples, at whose end somebody speaks, or nobody does."""
        self.audio.put(AudioFrame(pcm, self._rate, "", self._sequence, self._position, speaking=speaking))
        self._sequence += 1
        self._position += len(pcm) // 2

    def covers(self, silence: float) -> bool:
        """False while its words are known not to reach the last voice, which is so many seconds of audio ago."""
        if self.done or not self.tells:
            return True
        return self._covered >= self._position / self._rate - silence - _BLOCK

    def close(self, timeout: float) -> None:
        """No more audio; the final transcript has ``timeout`` seconds to arrive."""
        if not self.audio.closed:
            self.audio.close()
            self._due = clock.now() + timeout
            if self._stream is not None:
                self._stream.hurry(self._due)

    def cancel(self) -> None:
        """Forget this stretch."""
        self.done = True
        self.audio.close()
        if self.task is not None:
            self.task.cancel()

    async def recognize(
        self, recognizer: Recognizer, language: str, changed: Callable[[], None], failed: Callable[[ParleyError], None]
    ) -> None:
        """Follow the recogniser to its final transcript; ``changed`` is called after each, and once at the end."""
        self._stream = stream = GuardedStream(
            "recogniser", lambda: recognizer.transcribe(self.audio, language=language), hurried=True
        )
        async with aclosing(stream):
            while not self.done and (transcript := await stream.next(self._due)) is not None:
                self._understood(transcript)
                if not self.done:
                    changed()
        error = stream.error or self._unheard()
        if error is not None:
            self.failed = True
            failed(error)
        self.done = True
        self.audio.close()
        changed()

    def _unheard(self) -> CapacityError | None:
        """What is told where the recogniser was so far behind that sound had to be dropped."""
        if not self.audio.lost:
            return None
        seconds = self.audio.lost / self._rate
        return CapacityError(f"The recogniser is behind: {seconds:.1f} s of what you said were not heard.")

    def _understood(self, transcript: Transcript) -> None:
        self.text, self.stable, self.confidence = transcript.text, transcript.stable, transcript.confidence
        self._covered = max(self._covered, transcript.covered)  # what has once been decoded stays so
        self.tells = self.tells or transcript.covered > 0
        self.done = transcript.final


@dataclass(slots=True)
class Turn:
    """What the participant says until it is answered; pauses that looked like its end add parts."""

    number: int = 0
    """0 while it is only a sound over a reply."""
    parts: list[Part] = field(default_factory=list)
    ended_at: float = 0.0
    """Loop time of its last voice."""
    began_at: float = 0.0
    voiced_before: float = 0.0
    """Seconds of voice that came before it."""
    voiced: float = 0.0
    """Seconds of voice in it, when it was closed."""
    overdue: bool = False
    """True when its last words are no longer waited for."""
    tries: int = 0
    """Speculative replies begun."""
    probability: float | None = None
    """A turn model's answer to "is it over?", for the latest pause."""
    melody: Melody | None = None
    """Of the speech before the latest pause; None where it says nothing."""
    item_id: str = ""
    """What whoever knows the conversation entry by entry calls it."""
    place: Message | None = None
    """Where it stands in the conversation, once it is over, where entries keep their places."""
    sounding: bool = False
    """Whoever knows the entries was told that it began, and not yet that it has ended."""
    told: tuple[str, bool] = ("", False)
    """What the participant has been shown of it."""
    over_reply: bool = False
    """It began while a reply sounded, and took the floor from it or was there when it ended."""
    passed_over: bool = False
    """That, and something else is answered in its place: of nods in it nothing is kept."""
    kept: str = ""
    """Set when this was heard over a reply that went on: what it was taken for."""
    too_quiet: bool = False
    """It was kept so because it was quiet: once it is not, it is evidence again."""
    stages: Stages = field(default_factory=lambda: Stages(0.0))
    """How far it has come, counted from its last voice."""

    @property
    def text(self) -> str:
        """Everything understood so far."""
        return " ".join(part.text.strip() for part in self.parts if part.text.strip())

    @property
    def stable(self) -> int:
        """Characters at the front that will not change."""
        if not self.parts:
            return 0
        last = self.parts[-1]
        return len(self.text) - len(last.text.strip()) + min(last.stable, len(last.text.strip()))

    @property
    def confidence(self) -> float:
        """How far the newest words can be believed, 0 to 1."""
        return next((part.confidence for part in reversed(self.parts) if part.text.strip()), 1.0)

    @property
    def done(self) -> bool:
        """True when no part will change any more."""
        return all(part.done for part in self.parts)

    @property
    def failed(self) -> bool:
        """True when the recogniser failed, or takes too long."""
        return self.overdue or any(part.failed for part in self.parts)

    def covers(self, silence: float) -> bool:
        """False while the last words are known to be missing: the last voice is so many seconds of audio ago."""
        return not self.parts or self.parts[-1].covers(silence)

    def understood(self, silence: float) -> bool:
        """True when the words are known to be all there, though the recogniser may still word them better."""
        *earlier, last = self.parts or [Part(1)]
        return last.tells and last.covers(silence) and all(part.done for part in earlier) and bool(self.text)

    def hear(self, pcm: bytes, *, speaking: bool) -> None:
        """The next samples, at whose end somebody speaks, or nobody does."""
        if self.parts:
            self.parts[-1].hear(pcm, speaking=speaking)

    # --- what happens to it --------------------------------------------------------------

    def paused(self, last_voice_at: float, melody: Melody | None) -> None:
        """Its speaker is silent, perhaps only for a moment."""
        self.melody = melody
        self.ended(last_voice_at)
        self.stages.mark("vad")

    def ended(self, at: float) -> None:
        """Nothing more belongs to it, as far as is known, after this moment."""
        self.ended_at, self.stages = at, Stages(at)

    def goes_on(self) -> None:
        """Its speaker speaks again: what a turn model thought of the pause counts no more."""
        self.probability = None

    def rated(self, probability: float) -> None:
        """A turn model says how likely it is over."""
        self.probability = probability

    def guessed(self) -> None:
        """A reply to what is known of it was begun."""
        self.tries += 1

    def closing(self, voiced: float) -> None:
        """It is over, after so many seconds of voice; its last words are waited for."""
        self.voiced, self.overdue = voiced, False

    def waited_out(self) -> None:
        """Its last words are no longer waited for."""
        self.overdue = True

    def judged(self, outcome: str, *, too_quiet: bool) -> None:
        """It was heard over a reply, and taken for this; ``too_quiet``: while it went on, because it was quiet."""
        self.kept, self.too_quiet = outcome, too_quiet

    @property
    def seconds(self) -> float:
        """Of audio that were listened to."""
        return sum(part.seconds for part in self.parts)

    def adopted(self, number: int) -> None:
        """It was no mere sound over a reply: it is a turn, and has a number."""
        self.number, self.kept, self.over_reply = number, "", True

    def passed(self) -> None:
        """Something else is answered."""
        self.passed_over = self.over_reply

    def sounds(self, *, started: bool) -> bool:
        """Whoever knows the entries is to be told that it begins, or has ended; False when they have been."""
        known, self.sounding = self.sounding, started
        return known != started

    def shown(self, text: str, *, final: bool) -> bool:
        """The participant is to see this of it; False when they have."""
        known, self.told = self.told, (text, final)
        return known != self.told

    def close(self, timeout: float) -> None:
        """No more audio."""
        for part in self.parts:
            part.close(timeout)

    def cancel(self) -> None:
        """Forget it."""
        for part in self.parts:
            part.cancel()
