"""What was understood of a recording, in the formats that clients ask for (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parley.values import TranscriptWord

_CUE_LETTERS, _CUE_SECONDS = 84, 6.0
"""Two lines of 42 characters, and the time in which they are read."""
_ENDS = (".", "!", "?", "…", "。", "！", "？", "।")


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the recording and its words."""

    start: float
    """Seconds from the recording's start; so for words."""
    end: float
    text: str
    words: tuple[TranscriptWord, ...] = ()
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Written:
    """All of it."""

    duration: float
    segments: tuple[Segment, ...]
    language: str = ""

    @property
    def text(self) -> str:
        """As one line."""
        return " ".join(segment.text for segment in self.segments if segment.text)


def plain(written: Written) -> dict[str, Any]:
    """``json``."""
    return {"text": written.text, "usage": usage(written.duration)}


def verbose(written: Written, *, words: bool, segments: bool) -> dict[str, Any]:
    """``verbose_json``; words are listed where the recogniser says when they were."""
    said: dict[str, Any] = {
        "task": "transcribe",
        "language": written.language,
        "duration": round(written.duration, 3),
        "text": written.text,
        "usage": usage(written.duration),
    }
    if segments:
        said["segments"] = [
            {
                "id": number,
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": segment.text,
                "confidence": round(segment.confidence, 3),
            }
            for number, segment in enumerate(written.segments)
        ]
    if words:
        said["words"] = [
            {"word": word.text.strip(), "start": round(word.start, 3), "end": round(word.end, 3)}
            for segment in written.segments
            for word in segment.words
        ]
    return said


def usage(duration: float) -> dict[str, Any]:
    """What was heard, in seconds begun."""
    return {"type": "duration", "seconds": -int(-duration // 1)}


def cues(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Pieces that can be read while they are heard, where words have times; else the segments as they are."""
    for segment in segments:
        held: list[TranscriptWord] = []
        for word in segment.words:
            if held and _full(held, word):
                yield _cue(held)
                held = []
            held.append(word)
        if held:
            yield _cue(held)
        elif segment.text:
            yield segment


def _full(held: Sequence[TranscriptWord], word: TranscriptWord) -> bool:
    letters = sum(len(one.text.strip()) + 1 for one in held) + len(word.text.strip())
    ended = held[-1].text.strip().endswith(_ENDS)
    return ended or letters > _CUE_LETTERS or word.end - held[0].start > _CUE_SECONDS


def _cue(words: Sequence[TranscriptWord]) -> Segment:
    return Segment(words[0].start, words[-1].end, " ".join(word.text.strip() for word in words))


def srt(written: Written) -> str:
    """SubRip."""
    blocks = (
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues(written.segments), 1)
    )
    return "\n".join(blocks)


def vtt(written: Written) -> str:
    """WebVTT. Two signs mean something there: they are written out."""
    blocks = (
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{cue.text.replace('&', '&amp;').replace('<', '&lt;')}\n"
        for cue in cues(written.segments)
    )
    return "WEBVTT\n\n" + "\n".join(blocks)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    return (
        f"{milliseconds // 3_600_000:02}:{milliseconds // 60_000 % 60:02}:"
        f"{milliseconds // 1000 % 60:02}{point}{milliseconds % 1000:03}"
    )
