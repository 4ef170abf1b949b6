"""Language tags (BCP 47): which of them mean the same, and which voice is near enough to a wanted one.

Models, recognisers and people write one language in many ways: ``zh``, ``zh-CN``, ``cmn``; ``no``, ``nb-NO``; ``iw``,
``he``. Every comparison of two tags in Parley is made here. The table holds what the registry of subtags calls
deprecated, preferred and macrolanguages, as far as voices and recognisers exist for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

_SAME = {
    # deprecated codes
    "iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "tl": "fil", "sh": "sr",
    # the individual language that a macrolanguage's code means where nothing else is said
    "cmn": "zh", "nb": "no", "arb": "ar", "pes": "fa", "swh": "sw", "lvs": "lv", "ekk": "et", "azj": "az", "uzn": "uz",
    "khk": "mn", "npi": "ne", "ory": "or", "als": "sq", "zsm": "ms", "pbu": "ps", "kmr": "ku", "gug": "gn",
    "plt": "mg", "ydd": "yi",
    # three letters where there are two (ISO 639-2 and 639-3)
    "eng": "en", "deu": "de", "ger": "de", "fra": "fr", "fre": "fr", "spa": "es", "ita": "it", "por": "pt",
    "nld": "nl", "dut": "nl", "pol": "pl", "rus": "ru", "ukr": "uk", "ces": "cs", "cze": "cs", "slk": "sk",
    "slo": "sk", "hun": "hu", "ron": "ro", "rum": "ro", "bul": "bg", "ell": "el", "gre": "el", "tur": "tr",
    "swe": "sv", "nor": "no", "nob": "no", "nno": "nn", "dan": "da", "fin": "fi", "est": "et", "lav": "lv",
    "lit": "lt", "hrv": "hr", "srp": "sr", "slv": "sl", "cat": "ca", "eus": "eu", "baq": "eu", "gle": "ga",
    "cym": "cy", "wel": "cy", "isl": "is", "ice": "is", "epo": "eo", "lat": "la", "ara": "ar", "heb": "he",
    "fas": "fa", "per": "fa", "hin": "hi", "ben": "bn", "tam": "ta", "tel": "te", "urd": "ur", "tha": "th",
    "vie": "vi", "ind": "id", "msa": "ms", "may": "ms", "swa": "sw", "jpn": "ja", "kor": "ko", "zho": "zh",
    "chi": "zh",
}  # fmt: skip
_EXTENDED = {"zh-cmn": "zh", "zh-yue": "yue", "zh-nan": "nan", "zh-wuu": "wuu", "zh-min-nan": "nan", "no-bok": "no",
             "no-nyn": "nn", "sgn-ase": "ase"}  # fmt: skip
_SPOKEN = {("zh", "HK"): "yue", ("zh", "MO"): "yue"}
"""Where the region says that another language is spoken."""
_READ_BY = {"nn": "no"}
"""A language whose readers are served by a voice of the other one, where there is none of their own."""
_HOME = {"en": "US", "pt": "BR", "zh": "CN"}
"""The region that is meant where none is said, as far as voices differ by it; else the one that is called like the
language (``de``: DE)."""
_LATIN_AMERICA = "AR BO CL CO CR CU DO EC GT HN MX NI PA PE PR PY SV US UY VE"
_AREAS = {
    ("es", "419"): frozenset(_LATIN_AMERICA.split()),
    ("en", "GB"): frozenset({"AU", "IE", "IN", "NZ", "SG", "ZA"}),
    ("en", "US"): frozenset({"CA", "PH"}),
    ("pt", "PT"): frozenset({"AO", "CV", "MZ"}),
}
"""Regions whose speech stands nearer to this one than to any other."""


@dataclass(frozen=True, slots=True)
class Language:
    """A tag taken apart; two that mean the same language are equal in ``language``."""

    language: str
    """The code that Parley compares by: ``zh`` for Mandarin, ``no`` for Bokmål."""
    script: str = ""
    region: str = ""
    rest: tuple[str, ...] = ()
    """Variants and extensions, in lower case."""


@cache
def parse(tag: str) -> Language:
    """Take ``tag`` apart; a tag that is none is a language of its own. ``zh_CN`` and ``ZH-cn`` are read too."""
    parts = [part for part in tag.strip().replace("_", "-").lower().split("-") if part]
    if not parts:
        return Language("")
    language, parts = _language(parts)
    script = parts.pop(0).title() if parts and len(parts[0]) == 4 and parts[0].isalpha() else ""
    region = parts.pop(0).upper() if parts and _is_region(parts[0]) else ""
    return Language(_SPOKEN.get((language, region), language), script, region, tuple(parts))


def primary(tag: str) -> str:
    """The language alone, as Parley's own tables name it: ``de`` of ``de-AT``, ``zh`` of ``cmn-Hans``."""
    return parse(tag).language


def distance(have: str, want: str) -> int | None:
    """How far a voice or a model for ``have`` is from ``want``: 0 the same, None another language.

    1: an area that holds the region; 2: one of them says more; 3: another script, or another region of the same area;
    4: a region elsewhere; 5: a language whose readers understand it.
    """
    return _distance(parse(have), parse(want))


def best(available: Iterable[str], want: str) -> str | None:
    """The tag out of ``available`` that is nearest to ``want``, in its own spelling; None where there is none."""
    wanted = parse(want)
    found: list[tuple[int, bool, int, str]] = []
    for number, tag in enumerate(available):
        have = parse(tag)
        far = _distance(have, wanted)
        if far is not None:
            # "en" takes en-US before en-GB, and a tag without frills before en-US-nyc
            found.append((far, bool(have.region) and have.region != _home(have.language), number, tag))
    return min(found)[3] if found else None


def speaks(languages: Iterable[str], want: str) -> bool:
    """Whether one of the tags covers the wanted one. Nothing known and nothing wanted always fit."""
    known = tuple(languages)
    return not known or not want or any(distance(tag, want) is not None for tag in known)


def nearness(languages: Iterable[str], want: str) -> int:
    """The smallest :func:`distance`; 0 where nothing is known or wanted, 9 where nothing fits."""
    known = tuple(languages)
    if not known or not want:
        return 0
    return min((far for tag in known if (far := distance(tag, want)) is not None), default=9)


def _language(parts: list[str]) -> tuple[str, list[str]]:
    for count in (3, 2):
        joined = "-".join(parts[:count])
        if len(parts) >= count and joined in _EXTENDED:
            return _EXTENDED[joined], parts[count:]
    return _SAME.get(parts[0], parts[0]), parts[1:]


def _is_region(part: str) -> bool:
    return (len(part) == 2 and part.isalpha()) or (len(part) == 3 and part.isdecimal())


def _home(language: str) -> str:
    return _HOME.get(language, language.upper())


def _distance(have: Language, want: Language) -> int | None:
    if have.language != want.language:
        return 5 if _READ_BY.get(want.language) == have.language else None
    if have.rest != want.rest and have.rest and want.rest:
        return 4
    far = 2 * (have.rest != want.rest)
    if have.script and want.script and have.script != want.script:
        far = 3
    return max(far, _between(have.language, have.region, want.region))


def _between(language: str, have: str, want: str) -> int:
    if have == want:
        return 0
    if not have or not want:
        return 2
    if have in _AREAS.get((language, want), ()) or want in _AREAS.get((language, have), ()):
        return 1 if "419" in (have, want) else 3
    together = any(of == language and {have, want} <= regions for (of, _), regions in _AREAS.items())
    return 3 if together else 4
