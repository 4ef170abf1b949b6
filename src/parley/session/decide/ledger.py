"""The ledger of one utterance: what was sent, where it was paused, what was heard.

Samples are counted at 48 kHz from the utterance's first sample. ``now`` is any clock in seconds, as
long as it is the same one in every call.

Two positions differ: the *clock* says how far a listener without any delay would be, and paces the
sending; *heard* says how far this listener is, by their own reports where there are any.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from parley.audio.frame import SAMPLE_RATE
from parley.conversation.heard import CHARACTERS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.audio.frame import WordMark


_WORD = re.compile(r"\S*\w\S*")


class Ledger:
    """``lead``: seconds of audio that may be on their way. ``delay``: seconds from sending to hearing."""

    def __init__(self, *, lead: float, delay: float = 0.0) -> None:
        self._lead = round(lead * SAMPLE_RATE)
        self._delay = delay
        self._anchor_sample = 0
        self._anchor_at = 0.0
        self.sent_samples = 0
        self.gap = 0.0
        """Seconds for which the listener had run dry when the newest frame left."""
        self.voice_gap = 0.0
        """Those of them for which the voice had words that it had not spoken."""
        self.answer_from: int | None = None
        """The first sample of the answer, once it is on its way; what is said in its place meanwhile is before it."""
        self.paused = False
        self._reported: tuple[int, float] | None = None
        self._stopped_at = 0
        self.marks: list[WordMark] = []
        self._sent_at = 0.0
        self._given: list[tuple[int, float]] = []
        """Of each piece of text: where its last word begins, and when the voice was given it."""
        self._text_over: float | None = None

    # --- the clock, which paces ---------------------------------------------------------

    def reached(self, now: float) -> int:
        """One past the sample that the clock has come to; never beyond what was sent."""
        if self.paused:
            return self._anchor_sample
        elapsed = round((now - self._anchor_at) * SAMPLE_RATE)
        return min(self.sent_samples, self._anchor_sample + elapsed)

    def due_in(self, end_sample: int, now: float) -> float:
        """Seconds until a frame that ends at ``end_sample`` may be sent; not positive when it may go now."""
        if self.sent_samples <= self.reached(now):  # nothing is on its way: nothing to wait for
            return 0.0
        return (end_sample - self._lead - self._anchor_sample) / SAMPLE_RATE - (now - self._anchor_at)

    def late_by(self, end_sample: int, now: float) -> float:
        """Seconds by which a frame that leaves now has missed its moment, also when the listener has run dry.

        Nothing is due before the first frame, nor before the moment from which the listener's clock runs.
        """
        if not self.sent_samples:
            return 0.0
        ahead = max(0.0, (end_sample - self._lead - self._anchor_sample) / SAMPLE_RATE)
        return max(0.0, now - self._anchor_at - ahead)

    def sent(self, start_sample: int, end_sample: int, now: float) -> None:
        """A frame has left. If the listener had run dry, their clock starts again with it."""
        self.gap = self.voice_gap = 0.0
        if self.sent_samples <= self.reached(now):
            if self.sent_samples and not self.paused:
                heard_out = self._anchor_at + (self.sent_samples - self._anchor_sample) / SAMPLE_RATE
                self.gap = max(0.0, now - heard_out)
                self.voice_gap = max(0.0, now - max(heard_out, self._unspoken_since(now)))
            self._anchor_sample, self._anchor_at = start_sample, now
        self.sent_samples, self._sent_at = end_sample, now

    def left_in(self, now: float) -> float:
        """Seconds until everything sent has been heard."""
        return (self.sent_samples - self.heard(now)) / SAMPLE_RATE

    def pause(self, now: float) -> None:
        """The clock stops."""
        if not self.paused:
            self._stopped_at = self.heard(now)
            self._anchor_sample, self._anchor_at, self.paused = self.reached(now), now, True

    def resume(self, now: float) -> None:
        """The clock goes on."""
        if self.paused:
            self._anchor_at, self.paused = now, False
            if self._reported:
                self._reported = (self._stopped_at, now)

    # --- the voice ----------------------------------------------------------------------

    def given(self, text_start: int, clause: str, now: float) -> None:
        """The voice was given a piece of text, which begins at this character of the whole."""
        words = list(_WORD.finditer(clause))
        if words:
            self._given.append((text_start + words[-1].start(), now))

    def text_over(self, now: float) -> None:
        """The voice knows that there is no more text: whatever is still to come, it is not waiting for anybody."""
        if self._text_over is None:
            self._text_over = now

    @property
    def spoken_text(self) -> int:
        """One past the last character of the words that had begun in what was sent; 0 where no marks tell."""
        begun = bisect_left(self.marks, self.sent_samples, key=lambda mark: mark.start_sample)
        return self.marks[begun - 1].text_end if begun else 0

    def _unspoken_since(self, now: float) -> float:
        """When the voice was given what it has not spoken; ``now`` where it has spoken everything.

        By the marks of its words. A voice without any is taken to have spoken what it had when its newest frame left.
        """
        if self.marks:
            spoken = self.spoken_text
            unspoken = (at for start, at in self._given if start >= spoken)
        else:
            unspoken = (at for _, at in self._given if at >= self._sent_at)
        over = now if self._text_over is None else self._text_over
        return min(over, next(unspoken, now))

    # --- the ear -----------------------------------------------------------------------

    def report(self, sample: int, now: float, *, stopped: bool = False) -> None:
        """The listener says how far they are; ``stopped`` when it answers a pause or clear."""
        sample = max(0, min(sample, self.sent_samples))
        if not self.paused:
            self._reported = (sample, now)
        elif stopped or sample > self._stopped_at:
            # A report that was under way when the pause fell says less than the answer to it.
            self._stopped_at = sample
            self._reported = (sample, now)

    def heard(self, now: float) -> int:
        """One past the last sample heard, as far as is known."""
        if self.paused:
            return self._stopped_at
        if self._reported:
            sample, at = self._reported
            return min(self.sent_samples, sample + max(0, round((now - at) * SAMPLE_RATE)))
        return max(0, self.reached(now - self._delay))

    def add_marks(self, marks: Sequence[WordMark]) -> None:
        """Words became known, in any order."""
        for mark in marks:
            insort(self.marks, mark, key=lambda known: known.start_sample)


def expected_duration(text: str, marks: Sequence[WordMark]) -> float:
    """Seconds that the whole text takes, by the pace of the words that are known."""
    if not marks or not marks[-1].text_end:
        return len(text) / CHARACTERS_PER_SECOND
    last = marks[-1]
    return last.end_sample / SAMPLE_RATE * len(text) / last.text_end
