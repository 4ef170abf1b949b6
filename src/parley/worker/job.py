"""One piece of text on its way through an engine: the seam between utterances and engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from parley.errors import ParleyError
from parley.values import SynthesizedAudio, Voice, WordMarks

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable
    from pathlib import Path


class Job(Protocol):
    """What an engine needs to know. All methods are called from the engine's thread and must be quick."""

    @property
    def text(self) -> str:
        """A sentence or a clause; never empty."""

    @property
    def voice(self) -> Voice:
        """Who speaks it, and how."""

    @property
    def cancelled(self) -> bool:
        """True when nobody wants the rest: the engine stops at its next chunk."""

    def ahead(self) -> float:
        """Seconds of audio by which it is ahead of who listens; the job with the least goes first."""

    def wants_more(self) -> bool:
        """False while enough audio waits to be taken; the engine is woken when that changes."""

    def started(self, pid: int = 0) -> None:
        """An engine begins to work on it, in the process ``pid`` where that is another one."""

    def push(self, audio: SynthesizedAudio, seconds: float) -> None:
        """Take the next stretch of audio, which the engine worked on for ``seconds``."""

    def finished(self, error: ParleyError | None) -> None:
        """The last call: all audio has been pushed, or the engine failed. Also after a cancel."""


def take_next(waiting: deque[Job]) -> Job:
    """Take out of the line what an engine does next: what nobody wants any more is soon done, then the hungriest."""
    job = min(waiting, key=lambda job: (not job.cancelled, job.ahead())) if len(waiting) > 1 else waiting[0]
    waiting.remove(job)
    return job


class Engine(Protocol):
    """One loaded instance of a model. Speaks jobs on a thread of its own."""

    lora_lost: Callable[[str, ParleyError], None]
    """Called on the event loop with a LoRA that is no longer there, and why."""

    async def load(self) -> None:
        """Make it ready. Raises ConfigError or EngineError; then nothing is left behind."""

    def submit(self, job: Job) -> None:
        """Queue a job; returns at once. ``job.finished`` is called in any case."""

    def wake(self) -> None:
        """A job wants more again, or was cancelled."""

    @property
    def load_factor(self) -> int:
        """Jobs that it works on or that wait for it."""

    @property
    def memory_bytes(self) -> int:
        """Memory that it was seen to take; 0 when unknown."""

    @property
    def word_marks(self) -> WordMarks:
        """Whose word marks the loaded model gives; known once it is loaded."""

    async def load_lora(self, name: str, folder: Path) -> int:
        """Read a LoRA, in place of one of that name, between two chunks of what is spoken; returns its bytes.

        Raises ConfigError or EngineError; then what was there before is there.
        """

    async def drop_lora(self, name: str) -> None:
        """Forget a LoRA; one that is not there is forgotten already."""

    async def take_voice(self, name: str) -> None:
        """Hear a recording that has come into the pack as a speaker, between two chunks of what is spoken.

        Raises ConfigError or EngineError where the model can not speak as it.
        """

    async def drop_voice(self, name: str) -> None:
        """Forget what was made of a recording that has gone; one that was never heard is forgotten already."""

    async def unload(self) -> None:
        """Fail what is left with UnavailableError, free the memory, end the thread."""
