"""One utterance inside the worker: pieces of text in, frames in order out, held or stopped at will.

The event loop owns it. Engines call its jobs from their own threads; audio is framed there, so
that the loop only passes finished frames on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame
from parley.errors import InvalidRequest, ParleyError
from parley.text.sentences import ends_sentence, sentences
from parley.text.speech.normaliser import Normaliser
from parley.text.speech.spoken import Spoken, as_written
from parley.tracing import OpenSpan, is_collecting
from parley.values import SynthesizedAudio, Voice
from parley.worker.framing import Framer, FramingOptions
from parley.worker.head_start import OPEN_CLAUSE, Opening, Speed
from parley.worker.job import Job
from parley.worker.lead import Lead
from parley.worker.words import weights, words

_FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class UtteranceLimits:
    """Bounds of one utterance."""

    read_ahead: float = 10.0
    """Seconds of audio made before anybody takes it."""
    parallel: int = 1
    """Pieces spoken at the same time."""
    max_text: int = 20_000
    """Characters."""
    head_start: float = 0.0
    """The most seconds for which the first frame of a slow voice waits."""


@dataclass(slots=True)
class UtteranceHooks:
    """What the utterance tells whoever counts."""

    waiting: Callable[[int], None] = lambda change: None
    """+1 when it begins to wait for an engine, -1 when an engine took it up or it ended."""
    first_frame: Callable[[float], None] = lambda seconds: None
    """Time from the first text to the first frame."""
    lead: Lead = field(default_factory=Lead)
    """How far the session is ahead of who listens, whatever utterance that was made for."""


class Utterance:
    """Frames of one utterance. One task reads them; control calls may come from others on the loop."""

    def __init__(
        self, utterance_id: str, voice: Voice, submit: Callable[[Job], None], wake: Callable[[], None],
        framing: FramingOptions, limits: UtteranceLimits, hooks: UtteranceHooks, *, language: str = "",
        normaliser: Normaliser | None = None, speed: Speed = Speed(),
    ) -> None:  # fmt: skip
        self.utterance_id = utterance_id
        self.voice, self._submit, self._wake_engine = voice, submit, wake
        self._limits, self._hooks, self._language, self._normaliser = limits, hooks, language, normaliser
        self.lead, self._loop = hooks.lead, asyncio.get_running_loop()
        self._stage = _Stage(Framer(utterance_id, framing), self._deliver)
        self._pieces: deque[_PieceJob] = deque()
        self._flying: set[_PieceJob] = set()
        self._opening = Opening(speed, most=limits.head_start)
        self._pace = speed.pace
        self._getting_ahead = False
        """The first frame waits, so that what follows comes in time."""
        self._open_clause = False
        """The last piece that came is no whole sentence."""
        self._count = 0
        self._text_length = 0
        self._blank = True
        """Only white space has come."""
        self._text_ended = False
        self._frames: deque[AudioFrame] = deque()
        self._inbox: deque[list[AudioFrame]] = deque()
        self._collecting = False
        self._changed = asyncio.Event()
        self._paused = self._stopped = self._finished = False
        self._delivered = self._first_left = False
        self._error: ParleyError | None = None
        self._first_text: float | None = None
        self._first_ready: float | None = None
        """Seconds from the first text to the first frame, until that has left."""
        self._waiting = False
        self._worked = self._made = 0.0
        self._worked_on: list[_PieceJob] = []
        """Pieces that an engine took up, while somebody collects."""
        self.last_sequence = -1
        """Sequence of the last frame that was handed out; -1 when none was."""
        self.cancelled = False

    # --- text ---

    def add_text(self, text: str) -> None:
        """Speak this next. Raises InvalidRequest when the utterance becomes too long."""
        start = self._text_length
        self._text_length += len(text)
        if self._text_length > self._limits.max_text:
            raise InvalidRequest(
                f"The utterance is longer than {self._limits.max_text} characters; send it as several utterances."
            )
        self._blank = self._blank and not text.strip()
        for first, end in sentences(text, self._language):
            self._add_piece(text[first:end], start + first)
        self._submit_next()

    def _add_piece(self, text: str, start: int) -> None:
        """Queue a sentence for the voice; dots, emoji and the like are nothing that any could speak."""
        spoken = self._normaliser.piece(text) if self._normaliser is not None else as_written(text)
        if not spoken.says_something:
            return
        if not self._count:
            self._first_text = self._opening.asked_at = time.perf_counter()
            self._set_waiting(True)
        self._open_clause = not ends_sentence(text)
        self._pieces.append(_PieceJob(self, self._count, spoken, start, self.voice))
        self._count += 1

    def end_text(self) -> None:
        """No more text comes. Raises InvalidRequest when there was none; text that says nothing is a silent frame."""
        self._text_ended = True
        if self._blank:
            raise InvalidRequest("The utterance has no text; send at least one word.")
        self._submit_next()

    # --- frames ---

    async def next_frames(self, most: int) -> list[AudioFrame]:
        """Wait for the next frames, at most ``most``; none once the utterance was stopped.

        Raises what went wrong in the engine, after the frames that were made before. Being asked again says
        that the frames taken before are on their way.
        """
        if not self._first_left and self.last_sequence >= 0:
            self._first_left = True
            self._let_engines_on()
        while not self._stopped:
            wait = None
            if not self._paused:
                if self._frames and not (wait := self._wait_to_open()):
                    return self._take(most)
                if self._error is not None and not self._frames:
                    raise self._error
            await self._change(wait)
        return []

    async def _change(self, within: float | None) -> None:
        """Wait until something has changed, no longer than ``within`` seconds where that is given."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()

    def _wait_to_open(self) -> float:
        """Seconds for which the first frame should wait, as things are; 0 once it may leave."""
        if self.last_sequence >= 0 or self._error is not None:
            return 0.0
        now = time.perf_counter()
        coming, worked = self._coming(now)
        wait = self._opening.wait(now, self.ahead(), coming, worked) if coming else 0.0
        if bool(wait) != self._getting_ahead:
            self._getting_ahead = bool(wait)
            self._let_engines_on()
        return wait

    def _coming(self, now: float) -> tuple[list[float], float]:
        """Seconds of audio that are expected piece by piece; seconds of work that went into the first of them."""
        if self.ahead() >= self._limits.read_ahead:
            return [], 0.0  # engines stand still
        jobs = sorted(self._flying, key=lambda job: job.index) + list(self._pieces)
        lengths = [max(0.0, job.expected(self._pace) - job.made) for job in jobs]
        if self._open_clause and not self._text_ended:
            lengths.append(OPEN_CLAUSE)
        first = jobs[0] if jobs else None
        return lengths, now - first.began if first is not None and first.began and not first.made else 0.0

    @property
    def real_time_factor(self) -> float:
        """Time that engines worked over the audio that they made; 0 when there is none."""
        return self._worked / self._made if self._made else 0.0

    def _take(self, most: int) -> list[AudioFrame]:
        if self._first_ready is not None:
            self._hooks.first_frame(self._first_ready + self._opening.waited(time.perf_counter()))
            self._first_ready = None
        half, held = self._limits.read_ahead / 2, self._stage.held_seconds
        before = self._frames_ahead()
        taken = [self._frames.popleft() for _ in range(min(most, len(self._frames)))]
        self.last_sequence = taken[-1].sequence
        after = self._frames_ahead()
        if self._flying and (before >= half > after or before + held >= half > after + held):
            self._wake_engine()
        return taken

    def pause(self) -> int:
        """Hand out no further frame until :meth:`resume`; returns the last one's sequence."""
        self._paused = True
        if not self._first_left:
            self._let_engines_on()
        return self.last_sequence

    def resume(self) -> int:
        """Go on with the very next frame; returns the last sequence handed out."""
        self._paused = False
        self._changed.set()
        return self.last_sequence

    def stop(self) -> int:
        """End it: frames not yet handed out are dropped, engines stop at their next chunk."""
        self._stopped = True
        self.cancel()
        self._changed.set()
        return self.last_sequence

    def fail(self, error: ParleyError) -> None:
        """End it with an error: what was made and not handed out is dropped."""
        if self._error is None:
            self._error = error
        self.cancel()
        self._paused = False
        self._changed.set()

    def cancel(self) -> None:
        """Let go of engines; safe to call twice."""
        self.cancelled = True
        self._pieces.clear()
        self._frames.clear()
        self._set_waiting(False)
        self._let_engines_on()

    def _let_engines_on(self) -> None:
        """What they were told of this utterance may no longer be so: let them ask again."""
        if self._flying:
            self._wake_engine()

    def trace(self, span: OpenSpan) -> None:
        """Tell what was worked on, piece by piece, as parts of ``span``."""
        for job in (*self._worked_on, *(job for job in self._flying if job.began)):
            span.inside(
                "engine", job.began, job.ended or time.perf_counter(),
                parley__piece=job.index, parley__work_s=round(job.worked, 6), parley__audio_s=round(job.made, 6),
                parley__process="engine" if job.pid else "worker", process__pid=job.pid or os.getpid(),
            )  # fmt: skip
        span.note(parley__pieces=self._count, parley__frames=self.last_sequence + 1)

    # --- called by its jobs, on engine threads ---

    def ahead(self) -> float:
        """Seconds of audio made but not handed out."""
        return self._frames_ahead() + self._stage.held_seconds

    def _frames_ahead(self) -> float:
        return _FRAME_SECONDS * (len(self._frames) + sum(len(frames) for frames in tuple(self._inbox)))

    def wants_more(self, job: _PieceJob) -> bool:
        """False from ``read_ahead`` seconds ahead until half of that has been taken.

        Also False for the moment in which the very first frame leaves: an engine that went on would hold
        the interpreter meanwhile, and the listener would wait for that frame.

        For the piece that is heard now only its own frames count: audio of later pieces, which waits
        for its end, must never hold it up.
        """
        if self._delivered and not self._first_left and not self._paused and not self._getting_ahead:
            return False
        limit = self._limits.read_ahead
        ahead = self._frames_ahead() + (self._stage.held_seconds if job.index != self._stage.current else 0.0)
        job.throttled = ahead >= (limit / 2 if job.throttled else limit)
        return not job.throttled

    def job_started(self) -> None:
        if self._waiting:
            self._tell(self._set_waiting, False)

    def job_push(self, index: int, audio: SynthesizedAudio, seconds: float) -> None:
        if not self.cancelled:
            self._worked += seconds
            self._made += audio.samples.size / audio.sample_rate
            self._stage.push(index, audio)

    def job_finished(self, job: _PieceJob, error: ParleyError | None) -> None:
        if error is None and not self.cancelled:
            self._stage.end(job.index)
        self._tell(self._job_done, job, error)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(call, *arguments)

    def _deliver(self, frames: list[AudioFrame]) -> None:
        """Pass frames to the loop; one wake-up for all that come before it has looked."""
        self._delivered = True
        self._inbox.append(frames)
        if not self._collecting:
            self._collecting = True
            self._tell(self._collect)

    # --- on the loop ---

    def _collect(self) -> None:
        self._collecting = False
        while self._inbox:
            self._frames.extend(self._inbox.popleft())
        if self.cancelled:
            self._frames.clear()
        if self._first_text is not None and self._frames and self._frames[0].sequence == 0:
            self._first_ready = time.perf_counter() - self._first_text
            self._first_text = None
            self._submit_next()
        self._changed.set()

    def _job_done(self, job: _PieceJob, error: ParleyError | None) -> None:
        self._flying.discard(job)
        if job.began and is_collecting():
            self._worked_on.append(job)
        if self.cancelled:
            return
        if error is not None and self._error is None:
            self._collect()
            self._error = error
            self._pieces.clear()
            self._changed.set()
            return
        self._submit_next()
        self._let_engines_on()  # the next piece is heard now, and may go on

    def _submit_next(self) -> None:
        # before the first frame the engines belong to the first sentence: others beside it would delay it
        most = self._limits.parallel if self._first_text is None else 1
        while self._pieces and len(self._flying) < most and not self.cancelled:
            job = self._pieces.popleft()
            self._flying.add(job)
            self._stage.expect(job.index, job.spoken, job.text_start)
            self._submit(job)
        if self._text_ended and not self._pieces and not self._flying and not self._finished and self._error is None:
            self._finished = True
            self._deliver(self._stage.finish())

    def _set_waiting(self, waiting: bool) -> None:
        if waiting != self._waiting:
            self._waiting = waiting
            self._hooks.waiting(1 if waiting else -1)


@dataclass(eq=False, slots=True)
class _PieceJob:
    """One sentence, as engines see it."""

    utterance: Utterance
    index: int
    spoken: Spoken
    text_start: int
    voice: Voice
    throttled: bool = False
    began: float = 0.0
    """When an engine took it up; 0 before."""
    made: float = 0.0
    """Seconds of its audio that have come."""
    worked: float = 0.0
    """Seconds of work that went into it."""
    ended: float = 0.0
    """When the engine was done with it."""
    pid: int = 0
    """Of the process that the engine lives in, where that is another one."""

    @property
    def text(self) -> str:
        return self.spoken.text

    @property
    def cancelled(self) -> bool:
        return self.utterance.cancelled

    def ahead(self) -> float:
        return max(self.utterance.ahead(), self.utterance.lead.ahead(time.perf_counter()))

    def wants_more(self) -> bool:
        return self.utterance.wants_more(self)

    def expected(self, pace: float) -> float:
        """Seconds that it will last, at ``pace`` seconds a letter."""
        return pace * sum(weights(self.text, words(self.text)))

    def started(self, pid: int = 0) -> None:
        self.began, self.pid = time.perf_counter(), pid
        self.utterance.job_started()

    def push(self, audio: SynthesizedAudio, seconds: float) -> None:
        length = audio.samples.size / audio.sample_rate
        self.made += length
        self.worked += seconds
        self.utterance.lead.made(length, time.perf_counter())
        self.utterance.job_push(self.index, audio, seconds)

    def finished(self, error: ParleyError | None) -> None:
        self.ended = time.perf_counter()
        self.utterance.job_finished(self, error)


@dataclass(slots=True)
class _Text:
    spoken: Spoken
    start: int
    early: list[SynthesizedAudio] = field(default_factory=list)
    ended: bool = False


class _Stage:
    """Brings audio of pieces that are spoken side by side into order and frames it."""

    def __init__(self, framer: Framer, deliver: Callable[[list[AudioFrame]], None]) -> None:
        self._framer, self._deliver = framer, deliver
        self._lock = threading.Lock()
        self._texts: dict[int, _Text] = {}
        self.current = 0
        """Index of the piece whose audio is framed now."""
        self._begun = False
        self.held_seconds = 0.0
        """Audio of later pieces that waits for its turn."""

    def expect(self, index: int, spoken: Spoken, start: int) -> None:
        with self._lock:
            self._texts[index] = _Text(spoken, start)

    def push(self, index: int, audio: SynthesizedAudio) -> None:
        with self._lock:
            if index == self.current:
                frames = self._frame(audio)
            else:
                self._texts[index].early.append(audio)
                self.held_seconds += audio.samples.size / audio.sample_rate
                return
            if frames:
                self._deliver(frames)

    def end(self, index: int) -> None:
        with self._lock:
            self._texts[index].ended = True
            frames: list[AudioFrame] = []
            while self.current in self._texts and self._texts[self.current].ended:
                frames += self._end_current()
            if frames:
                self._deliver(frames)

    def finish(self) -> list[AudioFrame]:
        with self._lock:
            return self._framer.finish()

    def _frame(self, audio: SynthesizedAudio) -> list[AudioFrame]:
        self._begin()
        return self._framer.push(audio)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            piece = self._texts[self.current]
            self._framer.begin_piece(piece.spoken, piece.start)

    def _end_current(self) -> list[AudioFrame]:
        """Close the current piece and frame what the next one has already said."""
        self._begin()
        frames = self._framer.end_piece()
        del self._texts[self.current]
        self.current += 1
        self._begun = False
        following = self._texts.get(self.current)
        if following is not None:
            for audio in following.early:
                self.held_seconds -= audio.samples.size / audio.sample_rate
                frames += self._frame(audio)
            following.early.clear()
        return frames
