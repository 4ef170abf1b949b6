from __future__ import annotations

from parley.asr.decoder import from_json, to_json
from parley.values import Transcript, TranscriptWord


def test_a_transcript_survives_the_way_between_processes() -> None:
    word = TranscriptWord("hello", 0.1, 0.4, 0.9)
    heard = Transcript("hello", final=True, stable=5, words=(word,), language="en-US", confidence=0.3)
    assert from_json(to_json(heard)) == heard
