"""One utterance as a timeline: frames and marks of several workers, spliced at words. Pure.

The caller says what arrived, what was taken and who failed; this says what is handed on, where to cut,
and from which character the next worker is to go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES, AudioFrame, WordMark
from parley.routing.continuation import Cut, Shift, cut, skipped_frames, trim
from parley.text.speech.normaliser import has_words

SILENCE = bytes(FRAME_BYTES)
LEAD_IN = 50
"""Frames in which the first word of a continued utterance must have begun."""


class Utterance:
    """What is known of an utterance's audio, whoever made it."""

    def __init__(self, utterance_id: str) -> None:
        self.utterance_id = utterance_id
        self.delivered = 0
        """One past the last sample that was taken."""
        self.held = 0
        """One past the last sample at hand."""
        self.part = Cut(0, 0)
        """Where the worker that speaks now began."""
        self._frames: deque[AudioFrame] = deque()
        self._marks: list[WordMark] = []
        self._early: list[WordMark] = []
        self._apologising = False

    # --- what goes out -------------------------------------------------------------------

    def __len__(self) -> int:
        """Frames at hand."""
        return len(self._frames)

    def take(self) -> AudioFrame:
        """The next frame; IndexError when there is none."""
        frame = self._frames.popleft()
        self.delivered = frame.end_sample
        return frame

    def drop(self) -> None:
        """Nobody takes the rest."""
        self._frames.clear()

    # --- what comes in -------------------------------------------------------------------

    def push(self, frame: AudioFrame) -> None:
        """Take the utterance's next frame. Each mark goes out with the frame in which its word begins."""
        if self._apologising:
            frame = replace(frame, marks=(), final=False)
        self._marks.extend(frame.marks)
        if self._early or (frame.marks and frame.marks[-1].start_sample >= frame.end_sample):
            known = (*self._early, *frame.marks)
            due = [mark for mark in known if mark.start_sample < frame.end_sample or frame.final]
            self._early = [mark for mark in known if mark not in due]
            frame = replace(frame, marks=tuple(due))
        self._frames.append(frame)
        self.held = frame.end_sample

    def push_continued(self, frames: Sequence[AudioFrame], shift: Shift) -> None:
        """Take frames of a worker that goes on; marks of left out frames go with the first one that is not."""
        carried: tuple[WordMark, ...] = ()
        for frame in frames:
            if frame.sequence < shift.skip:
                carried += frame.marks
                continue
            moved = shift.apply(replace(frame, marks=carried + frame.marks))
            carried = ()
            if self.part.spoken and moved.marks and moved.marks[0].text_start == self.part.resume_char:
                self._go_on_with(moved.marks[0])
                moved = replace(moved, marks=moved.marks[1:])
            self.push(moved)

    def _go_on_with(self, mark: WordMark) -> None:
        """A word that goes on after a cut keeps its start and gets its new end."""
        self._marks = [
            replace(mark, start_sample=known.start_sample) if known.text_start == mark.text_start else known
            for known in self._marks
        ]

    def end(self) -> None:
        """Every word is there; only the end was missing."""
        if self._frames:
            self._frames[-1] = replace(self._frames[-1], final=True)
            return
        sequence = self.held // FRAME_SAMPLES
        self.push(
            AudioFrame(SILENCE, utterance_id=self.utterance_id, sequence=sequence, start_sample=self.held, final=True)
        )

    # --- what is decided -----------------------------------------------------------------

    def waits(self, text: str) -> bool:
        """All of ``text``, which is what came so far, is spoken: nobody can expect a frame before there is more."""
        spoken = self._marks[-1].text_end if self._marks else self.part.resume_char
        begun = self.held > self.part.frames * FRAME_SAMPLES
        unmarked = begun and spoken <= self.part.resume_char
        return unmarked or not has_words(text[spoken:])

    def cut(self, text: str) -> None:
        """Its worker failed: keep whole words only; ``part`` is where the next one begins."""
        before = self.part
        self.part = new = cut(
            text,
            [mark for mark in self._marks if mark.text_start >= before.resume_char],
            delivered=self.delivered,
            held=self.held,
            from_char=before.resume_char,
            from_sample=before.frames * FRAME_SAMPLES,
        )

        def stays(mark: WordMark) -> bool:
            return mark.text_start < new.resume_char or (new.spoken > 0 and mark.text_start == new.resume_char)

        self._frames = deque(
            frame if all(map(stays, frame.marks)) else replace(frame, marks=tuple(filter(stays, frame.marks)))
            for frame in trim(self._frames, new.end_sample)
        )
        self._marks = [mark for mark in self._marks if stays(mark)]
        self._early.clear()
        self.held = new.frames * FRAME_SAMPLES

    def apologise(self) -> None:
        """What comes now are none of its words: no marks, no final frame."""
        self.part, self._marks, self._apologising = Cut(self.part.end_sample, 0), [], True


class Continuation:
    """Finds the place from which a worker's audio goes on: after what was heard of the first word."""

    def __init__(self, utterance: Utterance) -> None:
        part = utterance.part
        self._utterance = utterance
        self._spoken = part.spoken
        self._waiting: list[AudioFrame] = []
        self._searching = part.spoken > 0
        self.shift = Shift(utterance.utterance_id, part.frames, part.resume_char)
        """How its frames are moved, as far as is known."""

    def push(self, frame: AudioFrame) -> None:
        """Take the worker's next frame; the utterance has it once its place is known."""
        self._waiting.append(frame)
        if self._searching:
            if not (frame.marks or frame.final or len(self._waiting) > LEAD_IN):
                return
            self._searching = False
            skip = skipped_frames(self._spoken, frame.marks[0]) if frame.marks else 0
            self.shift = replace(self.shift, skip=skip)
        if frame.sequence < self.shift.skip:
            if not frame.final:
                return
            self.shift = replace(self.shift, skip=frame.sequence)
        waiting, self._waiting = self._waiting, []
        self._utterance.push_continued(waiting, self.shift)
