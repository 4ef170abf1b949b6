"""Three temperaments: how eagerly a session takes, keeps and gives the floor."""

from __future__ import annotations

from collections.abc import Mapping

PRESETS: Mapping[str, Mapping[str, float | int | bool | str]] = {
    "default": {},
    "fast": {
        "endpointing.min_delay": 0.2,
        "endpointing.delay": 0.3,
        "endpointing.sentence_delay": 0.35,
        "endpointing.doubtful_delay": 0.5,
        "endpointing.max_delay": 0.7,
    },
    "patient": {
        "endpointing.min_delay": 0.5,
        "endpointing.delay": 0.8,
        "endpointing.sentence_delay": 1.0,
        "endpointing.doubtful_delay": 1.2,
        "endpointing.max_delay": 2.2,
        "barge_in.take_floor_after": 1.1,
    },
}
"""By name: session settings by dotted key, as clients may give them too (``StartSession.settings``)."""
