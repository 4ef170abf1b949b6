"""Requests and files with mistakes in them, by the thousand: each is refused, or taken as far as it goes."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.api.encoding import FORMATS
from parley.api.names import voice_of
from parley.api.recordings import decoded
from parley.api.requests import speech_request, transcription_request
from parley.errors import InvalidRequest, NotFound

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
FIELDS = ("input", "model", "voice", "response_format", "speed", "stream_format", "language", "id")
TONE = (8_000 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 48_000)).astype(np.int16).tobytes()


@settings(max_examples=1_000)
@given(ANYTHING | st.dictionaries(st.sampled_from(FIELDS), ANYTHING | st.just("x"), max_size=8))
def test_any_json_is_a_request_or_is_refused(body: Any) -> None:
    with contextlib.suppress(InvalidRequest, NotFound):
        asked = speech_request(body, 100)
        voice_of(asked.model, asked.voice, {"espeak": ("klatt",)}, {})


@settings(max_examples=500)
@given(st.dictionaries(st.sampled_from(("response_format", "stream", "model", "language")), st.text(max_size=8)))
def test_any_form_is_a_request_or_is_refused(fields: dict[str, str]) -> None:
    with contextlib.suppress(InvalidRequest):
        transcription_request(fields, ())


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "pcm"])
def test_a_damaged_file_is_read_as_far_as_it_can_be_or_refused(name: str) -> None:
    encoder = FORMATS[name]()
    whole = encoder.add(TONE) + encoder.finish()
    chance = random.Random(name)
    read = 0
    for _ in range(150):
        file = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            file[chance.randrange(len(file))] = chance.randrange(256)
        try:
            samples = decoded(bytes(file[: chance.randint(20, len(file))]), longest=2)
        except InvalidRequest:
            continue
        read += 1
        assert 0 < samples.size <= 2.5 * 16_000
    assert read > 10
