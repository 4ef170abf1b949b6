from __future__ import annotations

from parley.bench.asr import word_delays
from parley.values import Transcript, TranscriptWord

WORDS = (TranscriptWord("tell", 0.1, 0.4), TranscriptWord("me", 0.4, 0.6), TranscriptWord("more", 0.6, 1.0))


def test_a_word_is_told_by_the_first_transcript_that_is_long_enough() -> None:
    transcripts = [
        (0.7, Transcript("bell")),
        (0.9, Transcript("tell me")),
        (1.3, Transcript("tell me more", final=True)),
    ]
    assert [round(delay, 3) for delay in word_delays(transcripts, WORDS)] == [0.3, 0.3, 0.3]


def test_a_word_that_no_transcript_has_is_left_out() -> None:
    assert len(word_delays([(0.7, Transcript("tell"))], WORDS)) == 1
