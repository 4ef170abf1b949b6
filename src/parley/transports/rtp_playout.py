"""What leaves next on a media stream that never stops, and what has to leave again (pure).

A media stream goes on during silence, so a pause cannot hold it. What it can do is send silence,
remember what had already left, and, on resume, go back to the sample that the listener reached.
Positions of the stream are samples at 48 kHz since its first packet; positions of the voice are
samples since the start of its utterance.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame

_BYTES = 2  # per sample


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive samples of one utterance."""

    utterance_id: str
    start: int
    pcm: bytes
    final: bool = False

    @property
    def end(self) -> int:
        return self.start + len(self.pcm) // _BYTES

    def after(self, sample: int) -> Stretch:
        """The part from ``sample`` on."""
        skip = max(0, sample - self.start)
        return Stretch(self.utterance_id, self.start + skip, self.pcm[skip * _BYTES :], self.final)


@dataclass(frozen=True, slots=True)
class Anchor:
    """From here on, sample ``sample`` of the utterance stands at ``position`` of the stream."""

    utterance_id: str
    sample: int
    position: int


class PlayoutQueue:
    """Frames in, 20 ms of stream out; pause, resume and clear between any two samples.

    ``capacity``: samples that may wait; ``memory``: samples that are kept after they left;
    ``head_start``: the first packet of an utterance leaves one packet later if it is all there is,
    so that an utterance does not stumble over its second frame.
    """

    def __init__(
        self, *, capacity: int = SAMPLE_RATE // 2, memory: int = 2 * SAMPLE_RATE, head_start: bool = False
    ) -> None:
        self._head_start = head_start
        self._held_back = ""
        self._capacity = capacity
        self._memory = memory
        self._waiting: deque[Stretch] = deque()
        self._waiting_samples = 0
        self._left: deque[Stretch] = deque()
        self._left_samples = 0
        self._anchor: Anchor | None = None
        self.paused = False
        """While true, only silence leaves."""
        self.utterance_id = ""
        """The utterance that sounded last, or sounds now."""
        self.sent = 0
        """One past the last sample of it that left."""

    @property
    def full(self) -> bool:
        """Whether the next frame has to wait."""
        return self._waiting_samples >= self._capacity

    @property
    def samples(self) -> int:
        """Samples that wait."""
        return self._waiting_samples

    def push(self, frame: AudioFrame) -> None:
        """Add a frame behind what waits."""
        self._waiting.append(Stretch(frame.utterance_id, frame.start_sample, frame.pcm, frame.final))
        self._waiting_samples += frame.samples

    def take(self, position: int) -> tuple[bytes | None, Anchor | None]:
        """The next 20 ms for the packet at ``position``; None is silence.

        An anchor comes with it whenever utterance and stream begin to run together anew.
        """
        if self.paused or not self._waiting:
            return None, None
        first = self._waiting[0]
        if self._head_start and self._wants_head_start(first):
            self._held_back = first.utterance_id
            return None, None
        parts: list[bytes] = []
        wanted = FRAME_SAMPLES
        while wanted and self._waiting and self._continues(first, FRAME_SAMPLES - wanted):
            part = self._take_samples(wanted)
            parts.append(part.pcm)
            wanted -= len(part.pcm) // _BYTES
            if part.final and wanted:
                parts.append(bytes(wanted * _BYTES))
                wanted = 0
        if wanted and not self._gone_on(first):
            self._put_back(first, FRAME_SAMPLES - wanted)
            return None, None
        parts.append(bytes(wanted * _BYTES))
        self.utterance_id = first.utterance_id
        return b"".join(parts), self._anchored(first, position)

    def _wants_head_start(self, first: Stretch) -> bool:
        begun = first.utterance_id in (self.utterance_id, self._held_back)
        return not begun and len(self._waiting) == 1 and not first.final

    def _continues(self, first: Stretch, taken: int) -> bool:
        """Whether the head of the queue follows on what was taken of ``first``."""
        head = self._waiting[0]
        return head.utterance_id == first.utterance_id and head.start == first.start + taken

    def _gone_on(self, first: Stretch) -> bool:
        """Whether a part packet may leave as it is: something else stands behind it."""
        return bool(self._waiting) or first.final

    def _take_samples(self, wanted: int) -> Stretch:
        head = self._waiting.popleft()
        if head.end - head.start > wanted:
            self._waiting.appendleft(head.after(head.start + wanted))
            head = Stretch(head.utterance_id, head.start, head.pcm[: wanted * _BYTES])
        samples = head.end - head.start
        self._waiting_samples -= samples
        self._left.append(head)
        self._left_samples += samples
        while self._left_samples - (self._left[0].end - self._left[0].start) >= self._memory:
            oldest = self._left.popleft()
            self._left_samples -= oldest.end - oldest.start
        self.sent = head.end
        return head

    def _put_back(self, first: Stretch, taken: int) -> None:
        """Undo a take that found too little: the rest of the utterance is not here yet."""
        while taken > 0:
            last = self._left.pop()
            size = last.end - last.start
            self._left_samples -= size
            self._waiting.appendleft(last)
            self._waiting_samples += size
            taken -= size
        self.sent = first.start

    def _anchored(self, first: Stretch, position: int) -> Anchor | None:
        anchor = Anchor(first.utterance_id, first.start, position)
        before, self._anchor = self._anchor, anchor
        if before is None or before.utterance_id != anchor.utterance_id:
            return anchor
        runs_on = anchor.sample - before.sample == position - before.position
        return None if runs_on else anchor

    def pause(self) -> None:
        """Silence from the next packet on; what waits, waits."""
        self.paused = True

    def resume(self, heard: int | None) -> None:
        """Go on. ``heard`` is the sample that the listener reached when silence fell; None: all that left."""
        self.paused = False
        self._anchor = None
        if heard is not None:
            self._rewind(heard)

    def _rewind(self, heard: int) -> None:
        while self._left and self._left[-1].utterance_id == self.utterance_id and self._left[-1].end > heard:
            last = self._left.pop()
            self._left_samples -= last.end - last.start
            again = last.after(heard)
            self._waiting.appendleft(again)
            self._waiting_samples += again.end - again.start
            self.sent = again.start

    def clear(self) -> None:
        """Drop what waits and forget what left."""
        self._waiting.clear()
        self._waiting_samples = 0
        self._left.clear()
        self._left_samples = 0
        self._anchor = None
        self.paused = False
