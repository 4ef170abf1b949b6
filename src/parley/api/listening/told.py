"""What a client of ``/v1/audio/listen`` is told, as JSON (pure)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from parley.errors import ParleyError

if TYPE_CHECKING:
    from parley.values import Transcript

STARTED = json.dumps({"type": "started"})


def speech(kind: str, number: int, at: float) -> str:
    """``speech_started`` or ``speech_stopped``, with where in the stream."""
    return json.dumps({"type": kind, "utterance": number, "at": round(at, 3)})


def transcript(number: int, begin: float, end: float, said: Transcript) -> str:
    """What was understood so far; times count from the start of the stream."""
    words = [
        {
            "word": word.text.strip(),
            "start": round(begin + word.start, 3),
            "end": round(begin + word.end, 3),
            "confidence": round(word.probability, 3),
        }
        for word in said.words
    ]
    fields = {
        "type": "transcript",
        "utterance": number,
        "text": said.text.strip(),
        "stable": len(said.text.strip() if said.final else said.text[: said.stable].strip()),
        "final": said.final,
        "start": round(begin, 3),
        "end": round(max(begin, end), 3),
        "language": said.language,
        "confidence": round(said.confidence, 3),
        "words": words,
    }
    return json.dumps(fields, ensure_ascii=False)


def done(seconds: float) -> str:
    """All is said; so much was listened to."""
    return json.dumps({"type": "done", "seconds": round(seconds, 3)})


def failure(error: ParleyError) -> str:
    """Why the stream ends."""
    return json.dumps(
        {"type": "error", "code": error.code, "message": error.message, "retryable": error.retryable},
        ensure_ascii=False,
    )
