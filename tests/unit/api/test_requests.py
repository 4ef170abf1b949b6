"""What a request may say."""

from __future__ import annotations

from typing import Any

import pytest

from parley.api.requests import speech_request, transcription_request
from parley.errors import InvalidRequest


def test_a_request_of_few_words_has_openais_defaults() -> None:
    asked = speech_request({"model": "tts-1", "input": "Hello.", "voice": {"id": "joe"}, "instructions": "warmly"}, 100)
    assert (asked.text, asked.voice, asked.format, asked.speed, asked.stream) == ("Hello.", "joe", "mp3", 1.0, "audio")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "no JSON object"),
        ({}, "input is empty"),
        ({"input": "  "}, "input is empty"),
        ({"input": 5}, "input must be text"),
        ({"input": "x" * 101}, "101 characters; 100 are allowed"),
        ({"input": "x", "voice": 5}, "voice must be"),
        ({"input": "x", "response_format": "midi"}, "must be one of mp3, opus, aac, flac, wav, pcm"),
        ({"input": "x", "stream_format": "ndjson"}, "audio, sse"),
        ({"input": "x", "speed": 9}, "number from 0.25 to 4"),
        ({"input": "x", "speed": 10**400}, "number from 0.25 to 4"),
        ({"input": "x", "speed": True}, "speed must be a number"),
        ({"input": "x", "speed": float("nan")}, "speed must be a number"),
    ],
)
def test_a_request_that_can_not_be_meant_says_what_is_wrong(body: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        speech_request(body, 100)


def test_a_transcription_lists_segments_unless_words_are_asked_for() -> None:
    asked = transcription_request({"model": "whisper-1", "temperature": "0", "vad_filter": "true"}, ())
    assert (asked.format, asked.segments, asked.words, asked.stream) == ("json", True, False, False)
    assert asked.hot_words == ()
    asked = transcription_request({"prompt": "ZyntriQix, Digique Plus,\nNode.js and C#. A talk about them."}, ())
    assert asked.hot_words == ("ZyntriQix", "Digique Plus", "Node.js and C#", "A talk about them")
    asked = transcription_request({"response_format": "verbose_json", "stream": "True"}, ("word",))
    assert (asked.format, asked.segments, asked.words, asked.stream) == ("verbose_json", False, True, True)


def test_formats_and_granularities_that_do_not_exist_are_refused() -> None:
    for fields, granularities in (({"response_format": "docx"}, ()), ({"stream": "perhaps"}, ()), ({}, ("letter",))):
        with pytest.raises(InvalidRequest, match="must be one of"):
            transcription_request(fields, granularities)
