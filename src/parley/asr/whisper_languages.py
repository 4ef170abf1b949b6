"""The languages that Whisper names, found by any tag of theirs."""

from __future__ import annotations

from parley.text.languages import best, primary

_KNOWN = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id "
    "is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si "
    "sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh"
)
_CODES = tuple(_KNOWN.split())


def whisper_code(language: str) -> str:
    """Whisper's code for a BCP 47 tag; empty, which means that it finds out itself, where it has none."""
    if primary(language) == "yue":
        return "zh"  # only the newest models know Cantonese by a code of its own
    return (best(_CODES, language) or "") if language else ""
