"""Where to cut an utterance whose worker died, and where in the text another one goes on. Pure.

Samples are counted at 48 kHz from the utterance's first one, characters in the text of the whole utterance.

The audio is cut where a word ends, as late as the frames at hand allow, but never before what was handed on
already. Handed on means gone: then the word under way is spoken again by the next worker, and as much of it
as was heard is left out, so that it is heard once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, AudioFrame, WordMark

CHARACTERS_PER_SECOND = 15
"""Speaking rate assumed where a voice gives no word marks at all."""
FADE_SAMPLES = 240
"""5 ms: the cut is faded, so that it does not click."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What is kept of the dead worker's audio, and what the next one is to say."""

    end_sample: int
    """One past the last sample that is kept; the frame that holds it is filled up with silence."""
    resume_char: int
    """First character for the next worker."""
    spoken: float = 0.0
    """Part of the word at ``resume_char`` that was spoken already, 0 to 1; it is left out when spoken again."""

    @property
    def frames(self) -> int:
        """Frames that remain, the last one perhaps in part."""
        return -(-self.end_sample // FRAME_SAMPLES)


def cut(
    text: str, marks: Sequence[WordMark], *, delivered: int, held: int, from_char: int = 0, from_sample: int = 0
) -> Cut:
    """Choose the cut.

    ``delivered`` and ``held`` are one past the last sample handed on and at hand; ``delivered <= held``.
    ``text`` is what is known of the utterance's text; the dead worker began at ``from_char`` in it and at
    ``from_sample`` in the audio, and ``marks`` are those of its words.
    """
    if not marks:
        return _unmarked(text, held, from_char, from_sample)
    begun = sorted((mark for mark in marks if mark.start_sample < held), key=lambda mark: mark.text_start)
    whole = [mark for mark in begun if mark.end_sample <= held]
    broken = next((mark for mark in begun if mark.end_sample > held), None)
    last = whole[-1] if whole else None
    after_last = next_word(text, last.text_end) if last else from_char
    if broken is None:
        # all that began is whole: keep it, and of the pause after it only what was handed on already
        return Cut(max(delivered, last.end_sample if last else 0), after_last)
    if broken.start_sample >= delivered:
        return Cut(max(delivered, broken.start_sample), broken.text_start)
    length = max(1, broken.end_sample - broken.start_sample)
    return Cut(held, broken.text_start, (held - broken.start_sample) / length)


def next_word(text: str, position: int) -> int:
    """Where the next word starts after a word that ends at ``position``: its closing punctuation is passed over."""
    while position < len(text) and not (text[position].isalnum() or text[position].isspace()):
        position += 1
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _unmarked(text: str, held: int, from_char: int, from_sample: int) -> Cut:
    """No marks to go by: the nearest start of a word at an average rate of speech."""
    position = from_char + int((held - from_sample) / SAMPLE_RATE * CHARACTERS_PER_SECOND)
    if position >= len(text) and position > from_char:
        return Cut(held, len(text))
    return Cut(held, max(from_char, text.rfind(" ", from_char, position) + 1))


# --- frames ----------------------------------------------------------------------------


def trim(frames: Sequence[AudioFrame], end_sample: int) -> list[AudioFrame]:
    """The frames up to the cut; the last one is faded out and filled with silence."""
    kept: list[AudioFrame] = []
    for frame in frames:
        if frame.start_sample >= end_sample:
            break
        if frame.end_sample > end_sample:
            pcm = _faded(frame.pcm[: 2 * (end_sample - frame.start_sample)])
            frame = replace(frame, pcm=pcm.ljust(FRAME_BYTES, b"\0"))
        kept.append(replace(frame, final=False) if frame.final else frame)
    return kept


def _faded(pcm: bytes) -> bytes:
    samples = list(memoryview(pcm).cast("h"))
    count = min(FADE_SAMPLES, len(samples))
    for i in range(count):
        samples[-1 - i] = samples[-1 - i] * i // count
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)


def skipped_frames(spoken: float, word: WordMark) -> int:
    """How many frames of the next worker's audio repeat the part of its first word that was heard."""
    return int((word.start_sample + spoken * (word.end_sample - word.start_sample)) // FRAME_SAMPLES)


@dataclass(frozen=True, slots=True)
class Shift:
    """Moves a worker's frames to their place in the whole utterance."""

    utterance_id: str
    sequence: int = 0
    """Sequence number of its first frame that is used."""
    text: int = 0
    """Characters before the text that it was given."""
    skip: int = 0
    """Frames at its start that are left out."""

    def apply(self, frame: AudioFrame) -> AudioFrame:
        """The frame as the utterance's. Frames before ``skip`` are not to be asked for."""
        frames = self.sequence - self.skip
        sequence = frame.sequence + frames
        return replace(
            frame,
            utterance_id=self.utterance_id,
            sequence=sequence,
            start_sample=sequence * FRAME_SAMPLES,
            marks=tuple(self.mark(mark) for mark in frame.marks),
        )

    def mark(self, mark: WordMark) -> WordMark:
        """The mark in the whole utterance; what was left out of a word is not counted twice."""
        samples = (self.sequence - self.skip) * FRAME_SAMPLES
        floor = self.sequence * FRAME_SAMPLES
        start = max(floor, mark.start_sample + samples)
        return WordMark(
            mark.text_start + self.text, mark.text_end + self.text, start, max(start, mark.end_sample + samples)
        )
