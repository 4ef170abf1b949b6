"""Whisper for conversation: decodes what was said instead of half a minute, in bounded time, and says how sure it is.

The model was trained on windows of thirty seconds; the library pads every recording to one, and pays for it. A
window that ends a little after the speech has the same words in a fourth of the time. What such a window brings
are repetitions of the sentence into the padding: the model's own time stamps tell where the speech ended, so
whatever it says beyond is dropped, and the number of tokens is bounded by the length of the audio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.asr.decoder import RATE
from parley.asr.incremental import Unwanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

LONGEST = 28.0
"""Seconds that one window holds; longer recordings are for the library."""
_SHORTEST_WINDOW = 6.0
"""Below this the words get worse (docs/performance.md has the curve)."""
_TAIL = 1.0
_WINDOW_LIMIT = 30.0
_TOKENS_PER_SECOND = 6
"""Twice what people say."""
_TOKENS_AT_LEAST = 20
_MOST_A_SECOND = 4.5
"""Tokens that somebody in a hurry says."""
_PHRASE = 2
"""Tokens that can be a repeated phrase: a word and its punctuation."""
_STAMP = 0.02
"""Seconds between two time stamps."""
_PROMPT_TOKENS = 96
_BEYOND = 0.15
"""A stamp this close to the end of the audio is its end."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words between two time stamps."""

    text: str
    end: float
    """Seconds from the start of the recording."""


@dataclass(frozen=True, slots=True)
class Window:
    """What was heard in one window."""

    stretches: tuple[Stretch, ...]
    language: str
    confidence: float
    """0 to 1, of all of it."""
    language_probability: float = 1.0
    """How sure a language that was not given is."""


def decode(
    model: Any,
    audio: NDArray[np.float32],
    *,
    language: str | None,
    prompt: str,
    hot_words: Sequence[str],
    beam: int,
    wanted: Callable[[], bool] = lambda: True,
) -> Window:
    """Decode at most ``LONGEST`` seconds (16 kHz, mono, -1..1) with a loaded ``faster_whisper.WhisperModel``.

    Raises Unwanted when ``wanted`` becomes False between two steps; the longest of them is over half of the work.
    """
    seconds = audio.size / RATE
    encoded = model.encode(_features(model, audio))
    if not wanted():
        raise Unwanted
    language, sure = (language, 1.0) if language else _detect(model, encoded)
    tokenizer = _tokenizer(model, language)
    tokens = _prompt(tokenizer, prompt, hot_words)
    most = _TOKENS_AT_LEAST + math.ceil(_TOKENS_PER_SECOND * seconds)
    result = model.model.generate(
        encoded,
        [tokens],
        beam_size=beam,
        max_length=max(2 * most, len(tokens) + most),  # half of it, or what the prompt leaves, may be new
        max_initial_timestamp_index=round(min(seconds, 1.0) / _STAMP),
        return_scores=True,
        return_no_speech_prob=True,
        sampling_temperature=0.0,
    )[0]
    stretches = [
        Stretch(text, end)
        for ids, end in stretches_of(result.sequences_ids[0], tokenizer.timestamp_begin, tokenizer.eot, seconds)
        if (text := tokenizer.decode(ids).strip())
    ]
    return Window(tuple(stretches), language, confidence(result.scores[0], result.no_speech_prob), sure)


def stretches_of(tokens: Sequence[int], first_stamp: int, end: int, seconds: float) -> list[tuple[list[int], float]]:
    """Runs of text tokens with the time at which each ends; nothing that begins after the audio's end."""
    found: list[tuple[list[int], float]] = []
    current: list[int] = []
    begun = 0.0
    for token in tokens:
        if token < first_stamp:
            if token < end:
                current.append(token)
            continue
        at = (token - first_stamp) * _STAMP
        if current:
            found.append((once(current, min(at, seconds) - begun), min(at, seconds)))
            current = []
        if found and at >= seconds - _BEYOND:
            return found
        begun = at
    return [*found, (once(current, seconds - begun), seconds)] if current else found


def once(tokens: list[int], seconds: float) -> list[int]:
    """Without what a model says again, and again, when it runs past the sound and sets no time stamp.

    Only where it is more than anybody says in so many seconds: people do repeat themselves.
    """
    if len(tokens) <= _MOST_A_SECOND * seconds:
        return tokens
    for at in range(_PHRASE, len(tokens) - _PHRASE + 1):
        for size in range(_PHRASE, min(at, len(tokens) - at) + 1):
            if tokens[at : at + size] == tokens[at - size : at]:
                return tokens[:at]
    return tokens


def confidence(log_probability: float, no_speech: float) -> float:
    """How far the words can be believed, from the mean log probability of a token and the sign of "no speech"."""
    believed = 1 / (1 + math.exp(-_STEEPNESS * (log_probability - _MIDDLE)))
    return round(believed * (1 - no_speech), 4)


_MIDDLE = -0.85
"""Mean log probability of a token at which words are as often right as wrong."""
_STEEPNESS = 7.0


def _features(model: Any, audio: NDArray[np.float32]) -> NDArray[np.float32]:
    seconds = min(_WINDOW_LIMIT, max(_SHORTEST_WINDOW, audio.size / RATE + _TAIL))
    padded = np.zeros(int(seconds * RATE), np.float32)
    padded[: audio.size] = audio
    features: NDArray[np.float32] = model.feature_extractor(padded, padding=0)
    return np.ascontiguousarray(features[:, : features.shape[1] // 2 * 2])  # the encoder halves the frames


def _detect(model: Any, encoded: Any) -> tuple[str, float]:
    """The likeliest language, and how likely it is."""
    if not model.model.is_multilingual:
        return "en", 1.0
    language, probability = model.model.detect_language(encoded)[0][0]
    return language.strip("<|>"), float(probability)


def _tokenizer(model: Any, language: str) -> Any:
    from faster_whisper.tokenizer import Tokenizer

    return Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language)


def _prompt(tokenizer: Any, before: str, hot_words: Sequence[str]) -> list[int]:
    said: list[int] = tokenizer.encode(" " + " ".join(hot_words))[:_PROMPT_TOKENS] if hot_words else []
    if before:
        said += tokenizer.encode(" " + before.strip())[-_PROMPT_TOKENS:]
    return [*([tokenizer.sot_prev, *said] if said else []), *tokenizer.sot_sequence]
