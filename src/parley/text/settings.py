"""What may be said about the way from written text to spoken words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How written text becomes words that a voice says."""

    normalize: Annotated[
        bool, Setting("Put Markdown, emoji, numbers, money, dates, addresses and the like into words.")
    ] = True
    lexicon: Annotated[
        str,
        Setting("Words and how they are said, on lines or between semicolons: word = respelling, or word = /IPA/."),
    ] = ""
