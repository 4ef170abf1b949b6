"""What espeak-ng calls its voices, for all families that speak or phonemise with it."""

from __future__ import annotations

from collections.abc import Iterable

from parley.text.languages import best

_TAGS = {"en": "en-GB", "fr-fr": "fr"}
"""Where its own name is another tag than what is behind it."""


def voice_name(available: Iterable[str], tag: str) -> str | None:
    """Its name for the voice nearest to a BCP 47 tag; None where it has none of that language."""
    names = {_TAGS.get(name.lower(), name): name for name in available}
    nearest = best(names, tag)
    return None if nearest is None else names[nearest]
