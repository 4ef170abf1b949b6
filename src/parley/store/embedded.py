"""The models that come with Parley: the floor that every machine has, without a file in the store."""

from __future__ import annotations

from parley.store.catalog import Entry

EARS, VOICE, TURN, LLM = "pocketsphinx", "espeak", "words", "script"
"""Their names, by kind."""

EMBEDDED: tuple[Entry, ...] = (
    Entry(
        EARS,
        "ears",
        "pocketsphinx",
        "BSD-2-Clause",
        (),
        languages=("en-US",),
        description="Plain US English in a quiet room; one wrong word in four on recordings of people",
        origin="CMU Sphinx, US English, in the package pocketsphinx",
        memory_mb=110,
    ),
    Entry(
        VOICE,
        "voice",
        "espeak",
        "GPL-3.0-or-later",
        (),
        description="espeak-ng, a small synthetic voice in a hundred languages",
        origin="espeak-ng, in the package espeakng-loader",
        memory_mb=60,
    ),
    Entry(
        TURN,
        "turn",
        "words",
        "MIT",
        (),
        description="What was said, its melody, and how long it has been silent since",
        origin="Parley",
    ),
    Entry(
        LLM,
        "llm",
        "script",
        "MIT",
        (),
        languages=("en",),
        description="Greets, counts, adds, tells the time and a story; understands nothing else",
        origin="Parley",
    ),
)


def embedded(kind: str) -> Entry:
    """The one of a kind."""
    return next(entry for entry in EMBEDDED if entry.kind == kind)
