"""Numbers, money, dates, times, units and abbreviations as a person says them: the rules that all languages share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from parley.text.abbreviations import stops
from parley.text.speech.grammar import GRAMMARS, Forms, Grammar
from parley.text.speech.numerals import listed

Say = Callable[[re.Match[str]], str | None]
"""What is said for a match; None where the rule does not fit after all."""

NARROW = "[ \u00a0\u202f]"
"""A space that may stand between a number and what belongs to it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern and what is said for it."""

    pattern: re.Pattern[str]
    say: Say
    needs: str = ""
    """Characters one of which must be in the text, so that others are not searched in vain; empty for any digit."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it stands in a text."""

    whole: str
    part: str
    """Digits behind the decimal mark."""
    point: str
    """What is said for that mark."""

    @property
    def is_one(self) -> bool:
        return self.whole == "1" and not self.part


class Numbers:
    """Reads and says the numbers of one language, in the way of one region."""

    def __init__(self, grammar: Grammar, region: str) -> None:
        self.grammar = grammar
        thousands, decimal = grammar.thousands, grammar.decimal
        if grammar is GRAMMARS["es"] and region in _POINT_IN_SPANISH:
            thousands, decimal = ", \u00a0\u202f", "."
        elif region == "CH":
            decimal = "."
        groups = "".join(f"|\\d{{1,3}}(?:{re.escape(mark)}\\d{{3}})+" for mark in thousands)
        marks = f"[{re.escape(decimal)}]"
        self.pattern = rf"(?:(?:{groups[1:]})(?!\d)(?:{marks}\d+)?|\d+{marks}\d+|\d+[.]\d+|\d+)"
        self._decimal = decimal
        self._point = grammar.point if decimal == grammar.decimal else grammar.dot
        self._grouped = re.compile(rf"(?:{groups[1:]})(?:{marks}(\d+))?")

    def read(self, text: str) -> Number:
        """The number in ``text``, which :attr:`pattern` matched."""
        grouped = self._grouped.fullmatch(text)
        if grouped:
            part = grouped.group(1) or ""
            whole = text[: len(text) - len(part) - 1] if part else text
            return Number(re.sub(r"\D", "", whole), part, self._point)
        whole, mark, part = text.partition(self._decimal if self._decimal in text else ".")
        return Number(whole, part, self._point if mark == self._decimal else self.grammar.dot)

    def say(self, number: Number, noun: str = "", *, alone: bool = True) -> str:
        """The number in words, in the form that goes before ``noun``."""
        numerals = self.grammar.numerals
        if number.part:
            return f"{numerals.number(number.whole)} {number.point} {self._part(number.part)}"
        if alone and not noun:
            return numerals.number(number.whole)
        if len(number.whole) > 15 or (number.whole.startswith("0") and len(number.whole) > 1):
            return numerals.spelled(number.whole)
        n = int(number.whole)
        return numerals.feminine(n) if noun.split(" ")[0] in self.grammar.feminine else numerals.before_noun(n)

    def counted(self, number: Number, forms: Forms) -> str:
        """The number and what it counts."""
        noun = forms[0] if number.is_one or _singular(self.grammar, number) else forms[1]
        return f"{self.say(number, forms[0])} {noun}"

    def _part(self, digits: str) -> str:
        numerals = self.grammar.numerals
        if self.grammar in (GRAMMARS["en"], GRAMMARS["de"]) or digits[0] == "0" or len(digits) > 2:
            return numerals.spelled(digits)
        return numerals.cardinal(int(digits))  # "trois virgule quatorze", "tres coma catorce"


_POINT_IN_SPANISH = frozenset(listed("419 MX US GT HN SV NI PA DO PR PE"))


def _singular(grammar: Grammar, number: Number) -> bool:
    """In French what is below two is one: "1,5 million", "0,5 litre"."""
    return grammar is GRAMMARS["fr"] and number.whole in ("0", "1")


def alternatives(words: object) -> str:
    """A pattern for any of the words, the longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))  # type: ignore[call-overload]


# --- money, units ------------------------------------------------------------------------

_CODES = {"EUR": "€", "USD": "$", "US$": "$", "GBP": "£", "JPY": "¥", "CHF": "CHF", "INR": "₹", "Fr.": "CHF"}


def money(numbers: Numbers) -> Iterator[Rule]:
    """Amounts with a sign or a code before or behind them."""
    grammar = numbers.grammar
    signs = alternatives((*grammar.currencies, *_CODES))
    scale = rf"(?:{NARROW}?(?P<scale>{alternatives(grammar.scales)})\b\.?)?"
    number = rf"(?P<minus>(?<!\w)[-−])?(?P<number>{numbers.pattern})"
    behind = rf"(?<![\w.,]){number}{scale}{NARROW}?(?P<sign>{signs})(?!\w)"
    before = rf"(?<!\w)(?P<minus>[-−])?(?P<sign>{signs}){NARROW}?(?P<number>{numbers.pattern}){scale}(?!\w)"

    def say(match: re.Match[str]) -> str | None:
        sign = match["sign"]
        whole, part = grammar.currencies[_CODES.get(sign, sign)]
        number = numbers.read(match["number"])
        minus = f"{grammar.minus} " if match["minus"] else ""
        if match["scale"]:
            many = grammar.scales[match["scale"]]
            joint = grammar.scale_joint if many[0] not in ("mil", "tausend") else " "
            noun = whole[1]
            if joint == " de " and noun[0] in "aeiou" and grammar is GRAMMARS["fr"]:
                joint = " d'"
            return f"{minus}{numbers.counted(number, many)}{joint}{noun}"
        if len(number.part) == 2 and sign not in ("¥", "JPY"):
            return minus + _with_cents(numbers, Number(number.whole, "", ""), int(number.part), whole, part)
        return minus + numbers.counted(number, whole)

    yield Rule(re.compile(before), say, "$€£¥₹CUEGJIF")
    yield Rule(re.compile(behind), say, "$€£¥₹CUEGJIF")


def _with_cents(numbers: Numbers, amount: Number, cents: int, whole: Forms, part: Forms) -> str:
    grammar = numbers.grammar
    said = numbers.counted(amount, whole)
    if not cents:
        return said
    rest = numbers.counted(Number(str(cents), "", ""), part)
    if amount.whole == "0":
        return rest
    if grammar is GRAMMARS["en"]:
        return f"{said} {grammar.conjunction} {rest}"
    if grammar is GRAMMARS["es"]:
        return f"{said} con {grammar.numerals.cardinal(cents)}"
    return f"{said} {grammar.numerals.cardinal(cents)}"


def units(numbers: Numbers) -> Rule:
    """A number and a unit: "5 km", "-3,5 °C", "20%", "10-15 kg"."""
    grammar = numbers.grammar
    number = numbers.pattern
    pattern = (
        rf"(?:(?P<minus>(?<![\w)])[-−])|(?<![\w.,/]))(?:(?P<from>{number})(?:{NARROW}?[-–]{NARROW}?))?"
        rf"(?P<number>{number}){NARROW}?(?P<unit>{alternatives((*grammar.units, '%', '‰'))})(?![\w/²³])"
    )

    def say(match: re.Match[str]) -> str:
        minus = f"{grammar.minus} " if match["minus"] else ""
        first = f"{numbers.say(numbers.read(match['from']), alone=True)} {grammar.to} " if match["from"] else ""
        amount, unit = numbers.read(match["number"]), match["unit"]
        if unit in "%‰":
            return f"{minus}{first}{numbers.say(amount)} {grammar.percent if unit == '%' else grammar.per_mille}"
        return f"{minus}{first}{numbers.counted(amount, grammar.units[unit])}"

    return Rule(re.compile(pattern), say)


# --- plain numbers -------------------------------------------------------------------------

_VULGAR = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4)}


def fractions(numbers: Numbers) -> Rule:
    """1/2, 2 ½: the fractions that have words of their own; others are read with their stroke."""
    grammar = numbers.grammar
    whole = r"(?<![\w.,/])(?:(?P<whole>\d+)(?: |(?=[½⅓⅔¼¾])))?"
    pattern = whole + r"(?:(?P<sign>[½⅓⅔¼¾])|(?P<n>\d{1,4})/(?P<d>\d{1,4}))(?![/]|[.,]\d)"
    pattern += rf"(?:{NARROW}?(?P<unit>{alternatives(grammar.units)}))?(?![\w/])"

    def say(match: re.Match[str]) -> str | None:
        value = _VULGAR[match["sign"]] if match["sign"] else (int(match["n"]), int(match["d"]))
        word = grammar.halves.get(value)
        unit = _unit_of_part(grammar, match["unit"])
        if word is None:
            if match["whole"]:
                return None
            said = [grammar.numerals.cardinal(part) for part in value]
            return (f" {grammar.slash} " if value[0] < value[1] else " ").join(said) + unit  # 24/7
        if not match["whole"]:
            return (_half_of(grammar, match) if value == (1, 2) and not unit else word) + unit
        if grammar is GRAMMARS["en"]:
            word = {"one half": "a half", "one quarter": "a quarter"}.get(word, word)
        if grammar is GRAMMARS["de"]:
            whole = grammar.numerals.before_noun(int(match["whole"]))
            return (f"{whole}einhalb" if value == (1, 2) else f"{whole} {word}") + unit
        return f"{grammar.numerals.cardinal(int(match['whole']))} {grammar.and_a} {word}{unit}"

    return Rule(re.compile(pattern), say)


def _half_of(grammar: Grammar, match: re.Match[str]) -> str:
    """ "1/2" before a noun, or alone."""
    noun = re.match(r" ([^\W\d_]+)", match.string[match.end() :])
    if grammar is GRAMMARS["de"] and noun is not None and noun.group(1)[0].isupper():
        return "eine halbe" if noun.group(1).endswith("e") else "einen halben"
    return "medio" if grammar is GRAMMARS["es"] and noun is not None else grammar.halves[(1, 2)]


def _unit_of_part(grammar: Grammar, unit: str | None) -> str:
    if not unit:
        return ""
    joint = " de " if grammar is GRAMMARS["es"] or grammar is GRAMMARS["fr"] else " "
    return joint + grammar.units[unit][0]


def scales(numbers: Numbers) -> Rule:
    """ "5 Mio.", "1,5 million", "10k": amounts that are counted by the thousand or the million."""
    grammar = numbers.grammar
    long = [name for name in grammar.scales if len(name) > 1]
    pattern = (
        rf"(?<![\w.,])(?P<number>{numbers.pattern})(?:{NARROW}?(?P<scale>{alternatives(long)})\b\.?|(?P<k>[kK])\b)"
    )

    def say(match: re.Match[str]) -> str | None:
        number = numbers.read(match["number"])
        if match["k"]:
            return numbers.counted(number, grammar.scales["k"]) if "k" in grammar.scales else None
        ends = match.group().endswith(".") and not match.string[match.end() :].strip()
        return numbers.counted(number, grammar.scales[match["scale"]]) + "." * ends

    return Rule(re.compile(pattern), say)


def ranges(numbers: Numbers) -> Rule:
    """From one number to another: "5-10", "1990–1995"."""
    pattern = (
        rf"(?<![\w.,/+–-])(?P<from>{numbers.pattern})(?:[–-]|{NARROW}–{NARROW})(?P<to>{numbers.pattern})(?![\w/–-])"
    )

    def say(match: re.Match[str]) -> str:
        first, last = match["from"], match["to"]
        said = [year(numbers.grammar, word) or numbers.say(numbers.read(word)) for word in (first, last)]
        return f" {numbers.grammar.to} ".join(said)

    return Rule(re.compile(pattern), say)


def versions(numbers: Numbers) -> Rule:
    """3.11.2, 192.168.0.1: numbers with points between them."""
    grammar = numbers.grammar

    def say(match: re.Match[str]) -> str | None:
        if "." in grammar.thousands and re.fullmatch(r"\d{1,3}(?:\.\d{3})+", match.group()):
            return None  # 2.300.000
        return f" {grammar.dot} ".join(grammar.numerals.number(part) for part in match.group().split("."))

    return Rule(re.compile(r"(?<![\w.,])\d{1,5}(?:\.\d{1,5}){2,}(?![\w]|[.,]\d)"), say)


def phones(numbers: Numbers) -> Iterator[Rule]:
    """Telephone numbers, digit by digit in the groups that they are written in."""
    grammar = numbers.grammar
    international = r"(?<![\w.,])\+\d{1,3}(?:[ \u00a0./-]?\(?\d{1,5}\)?){2,7}(?!\w|[.,]\d)"
    american = r"(?<![\w.,-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\w|[.,-]\d)"
    european = r"(?<![\w.,-])0\d{1,4}(?:[ \u00a0/.-]\d{2,8}){1,6}(?!\w|[.,-]\d)"

    def say(match: re.Match[str]) -> str | None:
        groups = re.findall(r"\d+", match.group())
        if sum(map(len, groups)) < 7:
            return None
        said = ", ".join(_phone_group(grammar, group) for group in groups)
        return f"{grammar.plus} {said}" if match.group().startswith("+") else said

    yield Rule(re.compile(international), say, "+")
    for pattern in (american, european):
        yield Rule(re.compile(pattern), say)


def _phone_group(grammar: Grammar, digits: str) -> str:
    if grammar is GRAMMARS["fr"] and len(digits) == 2:
        return grammar.numerals.number(digits)  # a pair is one number: "zéro un, quarante-deux"
    return grammar.numerals.spelled(digits)


def plain(numbers: Numbers) -> Rule:
    """Any number that stands by itself, with its sign."""
    grammar = numbers.grammar
    sign = r"(?P<minus>(?<![\w)\]])[-−](?=\d))|(?P<plus>(?<![\w)\]])\+(?=\d))|(?P<hyphen>(?<=\w)-(?=\d))"
    pattern = rf"(?:{sign}|(?<![\w.,])|(?<=[^\W\d_]\.)|(?<=,)(?<!\d,))(?P<number>{numbers.pattern})(?!\w)"

    def say(match: re.Match[str]) -> str:
        before = f"{grammar.minus} " if match["minus"] else f"{grammar.plus} " if match["plus"] else ""
        number = numbers.read(match["number"])
        follows = match.string[match.end() : match.end() + 2]
        noun = _before_noun(grammar, match, number) if follows[:1] == " " and not number.part else ""
        said = noun or _lone_year(grammar, match["number"], match) or numbers.say(number)
        return f" {said}" if match["hyphen"] else before + said

    return Rule(re.compile(pattern), say)


def _before_noun(grammar: Grammar, match: re.Match[str], number: Number) -> str:
    """A number whose form depends on the noun behind it: "ein Apfel", "una persona", "quinientas personas"."""
    noun = re.match(r" ([^\W\d_]+)", match.string[match.end() :])
    if noun is None or len(number.whole) > 12 or number.whole.startswith("0"):
        return ""
    word, n = noun.group(1), int(number.whole)
    if grammar is GRAMMARS["de"] and n == 1 and word[0].isupper():
        feminine = word in grammar.feminine or word.endswith(("e", "ung", "heit", "keit"))
        return "eine" if feminine else "ein"
    if grammar is GRAMMARS["es"] and word.islower() and word not in _NO_NOUNS:
        feminine = word.endswith(("a", "as", "ción", "ciones", "dad", "dades")) and word not in _MASCULINE
        return grammar.numerals.feminine(n) if feminine else grammar.numerals.before_noun(n)
    return ""


_NO_NOUNS = frozenset(
    listed("a al con de del desde e en entre es fue ha hasta la las lo los más menos o para por que se u y")
)
_MASCULINE = frozenset(
    listed("día días problema problemas sistema sistemas programa programas idioma idiomas tema temas")
)


def _lone_year(grammar: Grammar, digits: str, match: re.Match[str]) -> str | None:
    """Four digits without a mark between them, which are mostly a year, and said like one."""
    if grammar is GRAMMARS["de"] and digits.startswith("1"):
        return year(grammar, digits)
    if grammar is GRAMMARS["en"] and re.fullmatch(r"19\d\d|20[1-3]\d", digits):
        counted = re.match(r" [a-z]+s\b", match.string[match.end() :])
        return None if counted else year(grammar, digits)
    return None


def year(grammar: Grammar, digits: str) -> str | None:
    """A year where it is not said like any other number; None where it is, or is no year."""
    if not re.fullmatch(r"1[1-9]\d\d|20\d\d", digits):
        return None
    high, low = int(digits[:2]), int(digits[2:])
    cardinal = grammar.numerals.cardinal
    if grammar is GRAMMARS["en"]:
        if digits[:3] == "200":
            return cardinal(int(digits))
        if low == 0:
            return f"{cardinal(high)} hundred"
        return f"{cardinal(high)} oh {cardinal(low)}" if low < 10 else f"{cardinal(high)} {cardinal(low)}"
    if grammar is GRAMMARS["de"] and high < 20:
        return f"{grammar.numerals.before_noun(high)}hundert{cardinal(low) if low else ''}"
    return cardinal(int(digits))


# --- words -----------------------------------------------------------------------------------


def abbreviations(grammar: Grammar, language: str) -> Rule:
    """Short forms that end in a stop; the stop stays where it ends the sentence as well."""
    known = grammar.abbreviations
    may_end = stops(language).may
    words = alternatives(known).replace(r"\.", r"\. ?")
    pattern = rf"(?<![\w.])(?P<word>{words})\.(?!\w)"

    def say(match: re.Match[str]) -> str | None:
        word = re.sub(r"\s", "", match["word"]).lower()
        said = known.get(word)
        if said is None or not _is_short(match, word):
            return None
        rest = match.string[match.end() :]
        ends = word in may_end and not rest.strip(" \n\"'”’)»*_")
        return f"{said}." if ends else said

    return Rule(re.compile(pattern, re.IGNORECASE), say, ".")


def _is_short(match: re.Match[str], word: str) -> bool:
    """Whether it is the short form and not a word that ends the sentence ("I met Gen.", "Das ist ein Abs.")."""
    rest = match.string[match.end() :].lstrip("*_ ")
    if "." in word or word in ("etc", "usw", "jr", "sr", "inc", "ltd", "corp", "co", "cie", "cía", "bzw", "ca"):
        return True
    return bool(rest)


def number_signs(grammar: Grammar) -> Iterator[Rule]:
    """ "#5", "No. 5", "§ 5", "~5", "±2", "5 × 3", "AT&T": signs that are words."""
    yield Rule(re.compile(r"(?<![\w#&])#(?=\d)"), lambda _: f"{grammar.number_sign} ", "#")
    yield Rule(re.compile(r"\b(?:No|Nos|no|nº|Nº|n°|N°|№)\.? ?(?=\d)"), lambda _: f"{grammar.number_sign} ", "oOº°№")
    yield Rule(re.compile(r"(?<![\w~])[~≈]\s?(?=\d)"), lambda _: f"{grammar.about} ", "~≈")
    yield Rule(re.compile(r"(?<=[\w)])\s*[&](?=\s*[\w(])\s*"), lambda _: f" {grammar.conjunction} ", "&")
    yield Rule(re.compile(r"(?<=\d)\s*[×x*]\s*(?=\d)"), lambda _: f" {grammar.of_times} ", "×x*")
    yield Rule(re.compile(r"(?<=\d)\s+[−-]\s+(?=\d)"), lambda _: f" {grammar.minus} ", "−-")
    yield Rule(re.compile(r"(?<=[\d)])\s*\+\s*(?=[\d(])"), lambda _: f" {grammar.plus} ", "+")
    yield Rule(re.compile(r"(?<=[\w)%])\s+=\s+(?=[\w(−-])|(?<=\d)=(?=\d)"), lambda _: f" {grammar.equals} ", "=")
    yield Rule(re.compile(r"(?<=[^\W\d_])/(?=[^\W\d_])"), lambda _: " ", "/")
    yield Rule(re.compile(r"(?<=\d):(?=\d)"), lambda _: " ", ":")  # 16:9
    if grammar.decimal == ".":
        half = re.compile(r"(?<![\w.,])\.(\d+)(?![\w.])")
        yield Rule(half, lambda match: f"{grammar.point} {grammar.numerals.spelled(match.group(1))}", ".")


_TITLES = {
    "en": "Mr|Mrs|Ms|Dr|Prof",
    "de": "Dr|Prof|Hr|Fr",
    "es": "Sr|Sra|Srta|Dr|Dra",
    "fr": "Mme|Mmes|Mlle|Mlles|MM|Dr|Pr|Mgr",
}


def titles(grammar: Grammar, language: str) -> Iterator[Rule]:
    """Titles written without a stop before a name, and short forms at the end of a word."""
    pattern = re.compile(rf"\b(?P<word>{_TITLES[language]})(?= [A-ZÀ-Þ])")
    yield Rule(pattern, lambda match: grammar.abbreviations[match["word"].lower()], "rsef")
    if language == "de":
        yield Rule(re.compile(r"\b(?P<a>[A-ZÄÖÜ]\w+)str\.(?!\w)"), lambda match: f"{match['a']}straße", ".")
    if language == "en":
        yield Rule(re.compile(r"(?<=[a-z] )St\.(?= [A-Z])|^St\.(?= [A-Z])"), lambda _: "Saint", ".")
        yield Rule(re.compile(r"(?<=[a-z] )St\.(?=[ ,]|$)"), lambda _: "Street", ".")


_ROMAN = re.compile(r"(?:X{0,3})(?:IX|IV|V?I{0,3})")
_VALUES = {"I": 1, "V": 5, "X": 10}


def roman(digits: str) -> int:
    """The value of a Roman number made of I, V and X; 0 where it is none."""
    if not digits or not _ROMAN.fullmatch(digits):
        return 0
    values = [_VALUES[digit] for digit in digits]
    return sum(-v if v < w else v for v, w in zip(values, [*values[1:], 0], strict=True))


@cache
def numbers_of(language: str, region: str) -> Numbers:
    """The numbers of a language that has a grammar."""
    return Numbers(GRAMMARS[language], region)
