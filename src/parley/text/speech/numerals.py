"""Numbers as words: English, German, Spanish, French; up to a thousand billions, more is said digit by digit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_MOST = 10**15


def listed(text: str) -> tuple[str, ...]:
    """The words of a list that is written as a text."""
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class Numerals:
    """How one language says whole numbers."""

    cardinal: Callable[[int], str]
    ordinal: Callable[[int], str]
    """In the form that stands alone, or behind an article: "third", "dritte", "tercero", "troisième"."""
    before_noun: Callable[[int], str]
    """The cardinal in front of a masculine or neuter noun: "ein" Euro, "veintiún" euros."""
    feminine: Callable[[int], str]
    """The same in front of a feminine noun: "eine" Stunde, "veintiuna" libras, "une" heure."""
    digits: tuple[str, ...]

    def spelled(self, digits: str) -> str:
        """One digit after the other."""
        return " ".join(self.digits[int(digit)] for digit in digits)

    def number(self, digits: str) -> str:
        """A whole number as it is written: one with zeros in front, or a very long one, is spelled."""
        if (len(digits) > 1 and digits[0] == "0") or int(digits) >= _MOST:
            return self.spelled(digits)
        return self.cardinal(int(digits))


# --- English ---------------------------------------------------------------------------

_EN = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_EN_TENS = listed("_ _ twenty thirty forty fifty sixty seventy eighty ninety")
_EN_BIG = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_EN_ORDINAL = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
               "twelve": "twelfth"}  # fmt: skip


def _english(n: int) -> str:
    if n < 20:
        return _EN[n]
    if n < 100:
        return _EN_TENS[n // 10] + (f"-{_EN[n % 10]}" if n % 10 else "")
    size, name = next(entry for entry in _EN_BIG if n >= entry[0])
    rest = n % size
    return f"{_english(n // size)} {name}" + (f" {_english(rest)}" if rest else "")


def _english_ordinal(n: int) -> str:
    words = _english(n)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    ending = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return words[:cut] + _EN_ORDINAL.get(last, ending)


# --- German ----------------------------------------------------------------------------

_DE = listed(
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn "
    "sechzehn siebzehn achtzehn neunzehn"
)
_DE_TENS = listed("_ _ zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
_DE_BIG = ((10**12, "Billion", "Billionen"), (10**9, "Milliarde", "Milliarden"), (10**6, "Million", "Millionen"))
_DE_ORDINAL = {1: "erste", 3: "dritte", 7: "siebte", 8: "achte"}


def _german_inside(n: int) -> str:
    """Below a million, where one is "ein"."""
    if n == 1:
        return "ein"
    if n < 20:
        return _DE[n]
    if n < 100:
        return (f"{_german_inside(n % 10)}und" if n % 10 else "") + _DE_TENS[n // 10]
    if n < 1000:
        return f"{_german_inside(n // 100)}hundert" + (_german_inside(n % 100) if n % 100 else "")
    thousands = "" if n // 1000 == 1 else _german_inside(n // 1000)
    return f"{thousands}tausend" + (_german_inside(n % 1000) if n % 1000 else "")


def _german_before(n: int) -> str:
    if n == 0:
        return "null"
    words = []
    for size, one, many in _DE_BIG:
        count, n = divmod(n, size)
        if count:
            words.append(f"eine {one}" if count == 1 else f"{_german_before(count)} {many}")
    return " ".join([*words, _german_inside(n)] if n else words)


def _german_feminine(n: int) -> str:
    return "eine" if n == 1 else _german_before(n)


def _german(n: int) -> str:
    words = _german_before(n)
    return f"{words}s" if n % 100 == 1 else words


def _german_ordinal(n: int) -> str:
    tail = n % 100
    if n in _DE_ORDINAL:
        return _DE_ORDINAL[n]
    if 0 < tail < 20:
        return _german_before(n - tail) * (n > tail) + (_DE_ORDINAL.get(tail) or f"{_DE[tail]}te")
    return f"{_german_before(n)}ste"


# --- Spanish ---------------------------------------------------------------------------

_ES = listed(
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco "
    "veintiséis veintisiete veintiocho veintinueve"
)
_ES_TENS = listed("_ _ _ treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_ES_HUNDREDS = listed(
    "_ ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"
)
_ES_ORDINAL = listed("_ primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo")


def _spanish(n: int) -> str:
    if n < 30:
        return _ES[n]
    if n < 100:
        return _ES_TENS[n // 10] + (f" y {_ES[n % 10]}" if n % 10 else "")
    if n == 100:
        return "cien"
    if n < 1000:
        return _ES_HUNDREDS[n // 100] + (f" {_spanish(n % 100)}" if n % 100 else "")
    for size, one, many in ((10**12, "un billón", "billones"), (10**6, "un millón", "millones"), (1000, "mil", "mil")):
        if n >= size:
            count, rest = divmod(n, size)
            head = one if count == 1 else f"{_spanish_before(count)} {many}"
            return head + (f" {_spanish(rest)}" if rest else "")
    raise AssertionError(n)


def _spanish_before(n: int) -> str:
    words = _spanish(n)
    if words.endswith("veintiuno"):
        return words[:-3] + "ún"
    return words[:-1] if words.endswith("uno") else words


def _spanish_ordinal(n: int) -> str:
    return _ES_ORDINAL[n] if 0 < n <= 10 else _spanish(n)


def _spanish_feminine(n: int) -> str:
    words = _spanish(n).replace("cientos", "cientas").replace("quinientos", "quinientas")
    return words[:-1] + "a" if words.endswith("uno") else words


# --- French ----------------------------------------------------------------------------

_FR = listed(
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
    "dix-sept dix-huit dix-neuf"
)
_FR_TENS = listed("_ _ vingt trente quarante cinquante soixante soixante quatre-vingt quatre-vingt")


def _french_small(n: int, *, last: bool) -> str:
    """Below a thousand; ``last`` where nothing follows that takes the s of "quatre-vingts" and "cents"."""
    if n < 20:
        return _FR[n]
    if n < 100:
        tens, one = n // 10, n % 10
        if tens in (7, 9):
            one += 10
        if not one:
            return _FR_TENS[tens] + ("s" if n == 80 and last else "")
        joint = " et " if one in (1, 11) and tens < 8 else "-"
        return f"{_FR_TENS[tens]}{joint}{_FR[one]}"
    hundreds, rest = divmod(n, 100)
    head = "cent" if hundreds == 1 else f"{_FR[hundreds]} cent"
    if rest:
        return f"{head} {_french_small(rest, last=last)}"
    return head + ("s" if hundreds > 1 and last else "")


def _french(n: int) -> str:
    words = []
    for size, name in ((10**12, "billion"), (10**9, "milliard"), (10**6, "million")):
        count, n = divmod(n, size)
        if count:
            words.append(f"{_french_small(count, last=True)} {name}" + ("s" if count > 1 else ""))
    thousands, n = divmod(n, 1000)
    if thousands:
        words.append("mille" if thousands == 1 else f"{_french_small(thousands, last=False)} mille")
    if n or not words:
        words.append(_french_small(n, last=True))
    return " ".join(words)


def _french_feminine(n: int) -> str:
    words = _french(n)
    return f"{words}e" if words == "un" or words.endswith((" un", "-un")) else words


def _french_ordinal(n: int) -> str:
    if n == 1:
        return "premier"
    words = _french(n)
    if words.endswith("cinq"):
        return words + "uième"
    if words.endswith("neuf"):
        return words[:-1] + "vième"
    if words.endswith(("vingts", "cents")):
        words = words[:-1]
    return (words[:-1] if words.endswith("e") else words) + "ième"


ENGLISH = Numerals(_english, _english_ordinal, _english, _english, _EN[:10])
GERMAN = Numerals(_german, _german_ordinal, _german_before, _german_feminine, _DE[:10])
SPANISH = Numerals(_spanish, _spanish_ordinal, _spanish_before, _spanish_feminine, _ES[:10])
FRENCH = Numerals(_french, _french_ordinal, _french, _french_feminine, _FR[:10])
