"""Words in the formats that clients ask for."""

from __future__ import annotations

from parley.api.transcripts import Segment, Written, plain, srt, verbose, vtt
from parley.values import TranscriptWord

FIRST = Segment(
    0.5,
    2.0,
    "Salt & pepper. Now",
    (TranscriptWord(" Salt", 0.5, 0.8), TranscriptWord(" &", 0.8, 0.9), TranscriptWord(" pepper.", 0.9, 1.4),
     TranscriptWord(" Now", 1.6, 2.0)),
)  # fmt: skip
LATE = Segment(3661.25, 3662.0, "a < b")
WRITTEN = Written(3662.4, (FIRST, LATE), "en")


def test_the_text_is_one_line_and_the_usage_counts_seconds_begun() -> None:
    assert plain(WRITTEN) == {"text": "Salt & pepper. Now a < b", "usage": {"type": "duration", "seconds": 3663}}


def test_words_and_segments_are_listed_where_they_are_asked_for() -> None:
    said = verbose(WRITTEN, words=True, segments=False)
    assert [word["word"] for word in said["words"]] == ["Salt", "&", "pepper.", "Now"]
    assert "segments" not in said
    said = verbose(WRITTEN, words=False, segments=True)
    assert [(one["id"], one["start"], one["end"], one["text"]) for one in said["segments"]] == [
        (0, 0.5, 2.0, "Salt & pepper. Now"),
        (1, 3661.25, 3662.0, "a < b"),
    ]
    assert (said["task"], said["language"], said["duration"]) == ("transcribe", "en", 3662.4)


def test_subtitles_end_with_sentences_and_a_segment_without_word_times_stays_whole() -> None:
    assert srt(WRITTEN) == (
        "1\n00:00:00,500 --> 00:00:01,400\nSalt & pepper.\n\n"
        "2\n00:00:01,600 --> 00:00:02,000\nNow\n\n"
        "3\n01:01:01,250 --> 01:01:02,000\na < b\n"
    )
    assert vtt(WRITTEN).startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.400\nSalt &amp; pepper.\n")
    assert "a &lt; b" in vtt(WRITTEN)


def test_a_subtitle_is_short_enough_to_read() -> None:
    words = tuple(TranscriptWord("banana", at / 2, at / 2 + 0.4) for at in range(40))
    cues = srt(Written(20, (Segment(0, 20, "", words),))).split("\n\n")
    assert len(cues) == 4
    assert all(len(cue.splitlines()[2]) <= 84 for cue in cues)


def test_silence_has_no_subtitles() -> None:
    assert srt(Written(5, ())) == ""
    assert vtt(Written(5, ())) == "WEBVTT\n\n"
