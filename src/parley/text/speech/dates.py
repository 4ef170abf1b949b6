"""Dates, times of the day, ordinals and Roman numbers: what each language says in its own way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from parley.text.abbreviations import stops
from parley.text.speech.grammar import GRAMMARS, Grammar
from parley.text.speech.numerals import listed
from parley.text.speech.rules import NARROW, Numbers, Rule, Say, alternatives, roman, year

_MONTH_FIRST = frozenset({"US", "PH", "CA"})


def iso_dates(numbers: Numbers, language: str) -> Rule:
    """2026-09-03, and a time behind it stays for the times."""
    grammar = numbers.grammar

    def say(match: re.Match[str]) -> str | None:
        return _date(grammar, language, int(match["d"]), int(match["m"]), match["y"], match)

    return Rule(re.compile(r"(?<![\w.-])(?P<y>[12]\d{3})-(?P<m>\d\d)-(?P<d>\d\d)(?:T(?=\d\d:))?(?![\w-])"), say, "-")


def numeric_dates(numbers: Numbers, language: str, region: str) -> Iterator[Rule]:
    """3.4.2026, 3/4/2026: where the language leaves no doubt which is the day."""
    grammar = numbers.grammar

    def say(match: re.Match[str]) -> str | None:
        first, second = int(match["a"]), int(match["b"])
        day, month = first, second
        if language == "en" and (second > 12 or (first <= 12 and region in _MONTH_FIRST)):
            day, month = second, first
        elif language == "en" and first <= 12 and not region:
            return None  # the third of April, or the fourth of March
        return _date(grammar, language, day, month, match["y"], match)

    mark = r"\." if language == "de" else "[/.]" if language in ("fr", "es") else "/"
    yield Rule(
        re.compile(
            rf"(?<![\w./])(?P<a>\d{{1,2}})(?P<mark>{mark})(?P<b>\d{{1,2}})(?P=mark)(?P<y>[12]\d{{3}}|\d\d)(?![\w/])"
        ),
        say,
        "./",
    )
    if language == "de":
        yield Rule(re.compile(r"(?<![\w.])(?P<a>\d{1,2})\.(?P<b>1[0-2]|0?[1-9])\.(?P<y>)(?![\w])(?!\d)"), say, ".")


def _date(grammar: Grammar, language: str, day: int, month: int, written_year: str, match: re.Match[str]) -> str | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    full = {0: "", 2: f"20{written_year}"}.get(len(written_year), written_year)
    said_year = year(grammar, full) or (grammar.numerals.number(full) if full else "")
    name = grammar.months[month - 1]
    ordinal = grammar.numerals.ordinal(day)
    if language == "en":
        return f"{name} {ordinal}" + (f", {said_year}" if said_year else "")
    if language == "de":
        ending = german_ending(match.string[: match.start()])
        return f"{ordinal}{ending} {name}" + (f" {said_year}" if said_year else "")
    if language == "es":
        return f"{grammar.numerals.cardinal(day)} de {name}" + (f" de {said_year}" if said_year else "")
    first = "premier" if day == 1 else grammar.numerals.cardinal(day)
    return f"{first} {name}" + (f" {said_year}" if said_year else "")


_GERMAN_N = re.compile(
    r"\b(?:am|vom|zum|beim|im|dem|den|des|zur|der\s+\w+|einem|einen|einer|eines|ab|bis|seit|jeden|jedem|diesem|diesen|"
    r"meinem|seinem|ihrem|nächsten|letzten)\s+$",
    re.IGNORECASE,
)
_GERMAN_PLAIN = re.compile(r"\b(?:der|die|das|diese|jede|erste)\s+$", re.IGNORECASE)


def german_ending(before: str) -> str:
    """What a German ordinal ends in behind these words, besides its "e": "am dritten", "der dritte", "dritter"."""
    if _GERMAN_N.search(before[-40:]):
        return "n"
    return "" if _GERMAN_PLAIN.search(before[-40:]) else "r"


def named_months(numbers: Numbers, language: str) -> Iterator[Rule]:
    """ "Sept. 3, 2026", "3. Okt. 2026", "1er oct. 2026": months by name, short or whole, with day and year."""
    grammar = numbers.grammar
    names = {name.lower(): number for number, name in enumerate(grammar.months, 1)} | dict(grammar.short_months)
    month = rf"(?P<month>{alternatives(names)})\b"
    stop = r"\.?"

    def named(match: re.Match[str]) -> str:
        return grammar.months[names[match["month"].lower()] - 1]

    def said_year(match: re.Match[str]) -> str:
        digits = match["y"] or ""
        return year(grammar, digits) or (grammar.numerals.number(digits) if digits else "")

    def english(match: re.Match[str]) -> str | None:
        day = int(match["day"])
        if not 1 <= day <= 31:
            return None
        if match["month"] == match["month"].lower():
            return None  # "may 3 people"
        tail = said_year(match)
        return f"{named(match)} {grammar.numerals.ordinal(day)}" + (f", {tail}" if tail else "")

    def romance(match: re.Match[str]) -> str | None:
        day, tail = int(match["day"]), said_year(match)
        if not 1 <= day <= 31:
            return None
        number = "premier" if language == "fr" and day == 1 else grammar.numerals.cardinal(day)
        joint = " de " if language == "es" else " "
        return f"{number}{joint}{named(match)}" + (f"{joint}{tail}" if tail else "")

    def german(match: re.Match[str]) -> str | None:
        day, tail = int(match["day"]), said_year(match)
        if not 1 <= day <= 31:
            return None
        ordinal = grammar.numerals.ordinal(day) + german_ending(match.string[: match.start()])
        return f"{ordinal} {named(match)}" + (f" {tail}" if tail else "")

    def only_month(match: re.Match[str]) -> str | None:
        if match["month"] == match["month"].lower() and language in ("en", "de"):
            return None
        tail = said_year(match)
        joint = " de " if language == "es" else " "
        return named(match) + (f"{joint}{tail}" if tail else "")

    flags = re.IGNORECASE
    y = r"(?P<y>[12]\d{3})(?![\w]|[.,]\d)"
    if language == "en":
        day = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?!\w|[.,]\d|:\d)"
        yield Rule(re.compile(rf"\b{month}{stop} {day}(?:,? {y})?", flags), english)
        before = r"(?<![\w.,])(?P<day>\d{1,2})(?:st|nd|rd|th)? (?:of )?"
        yield Rule(re.compile(rf"{before}{month}{stop}(?:,? {y})?", flags), english)
        yield Rule(re.compile(rf"\b{month}{stop},? {y}", flags), only_month)
    elif language == "de":
        yield Rule(re.compile(rf"(?<![\w.,])(?P<day>\d{{1,2}})\.{NARROW}?{month}{stop}(?: {y})?", flags), german, ".")
        yield Rule(re.compile(rf"\b{month}{stop} {y}", flags), only_month)
    else:
        of = r"(?: de(?:l)?)? " if language == "es" else " "
        day = r"(?<![\w.,])(?P<day>\d{1,2})(?:º|er|ro)?"
        yield Rule(re.compile(rf"{day}{of}{month}{stop}(?:{of}{y})?", flags), romance)
        yield Rule(re.compile(rf"\b{month}{stop}{of}{y}", flags), only_month)
    # a short month with a stop and nothing that is a number: "in Sept.", "im Dez. war"
    short = alternatives(name for name in grammar.short_months if name not in ("may", "mar", "mai", "ago", "set"))
    ends = r"(?P<end>\s*$)?"
    yield Rule(
        re.compile(rf"\b(?P<month>{short})\.{ends}(?P<y>)"),
        lambda match: named(match) + ("." if match["end"] is not None and match["end"] == "" else ""),
        ".",
    )


# --- times -----------------------------------------------------------------------------------


def times(numbers: Numbers, language: str) -> Iterator[Rule]:
    """5:30 p.m., 17:30 Uhr, 14h30."""
    grammar = numbers.grammar
    clock = r"(?<![\w:.,])(?P<h>[01]?\d|2[0-4])(?P<mark>[:h.])(?P<min>[0-5]\d)(?::(?P<sec>[0-5]\d))?(?![\w:]|[.,]\d)"
    if language == "en":
        half = r"(?:\s?(?P<half>[ap]\.?\s?m)\b(?P<stop>\.?))"
        yield Rule(re.compile(clock.replace("[:h.]", "[:.]") + half, re.IGNORECASE), _english_time(grammar), ":.")
        yield Rule(re.compile(clock.replace("[:h.]", ":")), _english_time(grammar), ":")
        yield Rule(re.compile(rf"(?<![\w:.,])(?P<h>1?\d){half}", re.IGNORECASE), _english_time(grammar), "aApP")
    elif language == "de":
        uhr = clock.replace("[:h.]", "[:.]") + rf"(?:{NARROW}?(?P<uhr>Uhr|h)\b)"
        yield Rule(re.compile(uhr), _german_time(grammar), ":.")
        yield Rule(re.compile(clock.replace("[:h.]", ":")), _german_time(grammar), ":")
        yield Rule(re.compile(r"(?<![\w:.,–-])(?P<h>1)(?= Uhr\b)"), lambda _: "ein")
    elif language == "fr":
        loose = clock.replace("(?P<mark>[:h.])", rf"(?P<mark>:|{NARROW}?h{NARROW}?)")
        yield Rule(re.compile(loose), _french_time(grammar), ":h")
        yield Rule(re.compile(rf"(?<![\w:.,])(?P<h>[01]?\d|2[0-4]){NARROW}?h\b(?!/)"), _french_time(grammar), "h")
    else:
        end = rf"(?:{NARROW}?(?:h|hrs?|horas)\b\.?)?"
        yield Rule(re.compile(clock.replace("[:h.]", ":") + end), _spanish_time(grammar), ":")


def _parts(match: re.Match[str]) -> tuple[int, int, int]:
    groups = match.groupdict()
    return int(groups["h"]), int(groups.get("min") or 0), int(groups.get("sec") or 0)


def _english_time(grammar: Grammar) -> Say:
    cardinal = grammar.numerals.cardinal

    def say(match: re.Match[str]) -> str | None:
        hour, minute, second = _parts(match)
        half = (match.groupdict().get("half") or "").replace(".", "").replace(" ", "").upper()
        said = cardinal(hour)
        if minute:
            said += f" oh {cardinal(minute)}" if minute < 10 else f" {cardinal(minute)}"
        elif not half:
            said += " o'clock" if 0 < hour <= 12 else " hundred"
        if second:
            said += f" and {cardinal(second)} seconds"
        if half:
            said += f" {half[0]} M"
            if match["stop"] and not match.string[match.end() :].strip(" \n\"'”’)*_"):
                said += "."
        return said

    return say


def _german_time(grammar: Grammar) -> Say:
    numerals = grammar.numerals

    def say(match: re.Match[str]) -> str:
        hour, minute, second = _parts(match)
        said = f"{numerals.before_noun(hour)} Uhr" + (f" {numerals.cardinal(minute)}" if minute else "")
        return said + (f" und {numerals.cardinal(second)} Sekunden" if second else "")

    return say


def _french_time(grammar: Grammar) -> Say:
    numerals = grammar.numerals

    def say(match: re.Match[str]) -> str:
        hour, minute, second = _parts(match)
        said = f"{numerals.feminine(hour)} heure" + ("s" if hour > 1 else "")
        said += f" {numerals.feminine(minute)}" if minute else ""
        return said + (f" et {numerals.feminine(second)} secondes" if second else "")

    return say


def _spanish_time(grammar: Grammar) -> Say:
    numerals = grammar.numerals

    def say(match: re.Match[str]) -> str:
        hour, minute, second = _parts(match)
        said = numerals.feminine(hour) + (f" y {numerals.cardinal(minute)}" if minute else "")
        return said + (f" y {numerals.cardinal(second)} segundos" if second else "")

    return say


# --- ordinals and Roman numbers ----------------------------------------------------------------

_MONARCHS = frozenset(
    listed(
        "Louis Henry Elizabeth George Charles Edward Richard James William Philip Paul Benedict Pius Napoleon "
        "Alexander Catherine Frederick Nicholas Francis Leo John Peter Otto Ludwig Karl Friedrich Wilhelm "
        "Heinrich Franz Johannes Elisabeth Katharina Juan Carlos Felipe Alfonso Fernando Isabel Enrique Luis "
        "Pío Benedicto François Henri Philippe Napoléon Élisabeth Jean Pie Benoît"
    )
)
_NUMBERED = frozenset(
    listed(
        "war chapter part act volume book article section phase type level stage title grade class appendix "
        "kapitel teil band akt abschnitt stufe typ weltkrieg capítulo parte tomo volumen acto fase tipo siglo "
        "chapitre partie tome acte livre rang type niveau phase"
    )
)


_WEEKDAYS = {
    "en": ("Mon Tue|Tues Wed Thu|Thur|Thurs Fri Sat Sun",
           "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
           r"\.(?!\w)|(?=[-–]\w|:)"),
    "de": ("Mo Di Mi Do Fr Sa So", "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
           r"\.(?=\s*(?:[:,–-]|bis\b|und\b|$|\d))|(?=[-–](?:Mo|Di|Mi|Do|Fr|Sa|So)\b)"),
}  # fmt: skip


def weekdays(language: str) -> Iterator[Rule]:
    """ "Mon. to Fri.", "Mo. bis Fr."."""
    if language not in _WEEKDAYS:
        return
    short, long, behind = _WEEKDAYS[language]
    names = {name: day for names, day in zip(short.split(), long.split(), strict=True) for name in names.split("|")}
    yield Rule(re.compile(rf"\b(?P<day>{alternatives(names)})(?:{behind})"), lambda match: names[match["day"]], ".-–:")


def ordinals(numbers: Numbers, language: str) -> Iterator[Rule]:
    """21st, 3. Versuch, 2º, 3e."""
    grammar = numbers.grammar
    ordinal = grammar.numerals.ordinal
    if language == "en":
        yield Rule(re.compile(r"(?<![\w.,])(?P<n>\d{1,4})(?:st|nd|rd|th)\b"), lambda m: ordinal(int(m["n"])), "tdh")
        yield Rule(re.compile(r"(?<![\w.,])(?P<n>1[1-9]|20)?(?P<tens>[1-9]0)'?s\b"), _decade(grammar), "s")
    elif language == "de":
        yield Rule(re.compile(r"(?<![\w.,])(?P<n>\d{1,3})\.(?= [\w])"), _german_ordinal(grammar), ".")
        yield Rule(re.compile(r"(?<![\w.,])(?P<n>1[1-9]|20)?(?P<tens>[1-9]0)er\b"), _german_decade(grammar), "e")
    elif language == "fr":
        yield Rule(re.compile(r"(?<![\w.,])1re\b"), lambda _: "première", "r")
        yield Rule(re.compile(r"(?<![\w.,])2(?:n?de)\b"), lambda _: "seconde", "d")
        pattern = r"(?<![\w.,])(?P<n>\d{1,4})(?:er|e|è|ème|ième|nd)\b"
        yield Rule(re.compile(pattern), lambda m: ordinal(int(m["n"])), "eèn")
        centuries = re.compile(r"\b(?P<roman>[IVX]+)(?:er|e|ème)(?!\w)")
        yield Rule(centuries, lambda m: ordinal(roman(m["roman"])) if roman(m["roman"]) else None, "IVX")
    else:
        pattern = r"(?<![\w.,])(?P<n>\d{1,2})\.?(?P<sex>[ºª°]|er|ro|ra|do|da|to|ta)(?!\w)"
        yield Rule(re.compile(pattern), _spanish_ordinal(grammar), "ºª°reodat")


def _decade(grammar: Grammar) -> Say:
    def say(match: re.Match[str]) -> str:
        tens = grammar.numerals.cardinal(int(match["tens"]))[:-1] + "ies" if match["tens"] != "10" else "tens"
        return f"{grammar.numerals.cardinal(int(match['n']))} {tens}" if match["n"] else tens

    return say


def _german_decade(grammar: Grammar) -> Say:
    def say(match: re.Match[str]) -> str:
        digits = (match["n"] or "") + match["tens"]
        return f"{year(grammar, digits) or grammar.numerals.cardinal(int(digits))}er"

    return say


def _german_ordinal(grammar: Grammar) -> Say:
    openers = stops("de").openers

    def say(match: re.Match[str]) -> str | None:
        before = match.string[: match.start()]
        word = re.match(r"\s+([\w'-]+)", match.string[match.end() :])
        if word is None or word.group(1).lower() in openers or word.group(1)[0].isdecimal() or not before.strip():
            return None
        return grammar.numerals.ordinal(int(match["n"])) + german_ending(before)

    return say


def _spanish_ordinal(grammar: Grammar) -> Say:
    def say(match: re.Match[str]) -> str | None:
        n = int(match["n"])
        word = grammar.numerals.ordinal(n)
        if n > 10 or not n:
            return word if match["sex"] in "ºª°" else None
        if match["sex"] in ("ª", "ra", "da", "ta"):
            return word[:-1] + "a"
        return word[:-1] if n in (1, 3) and (match["sex"] == "er" or match.string[match.end() :][:1] == " ") else word

    return say


def list_numbers(numbers: Numbers) -> Rule:
    """ "1. First": the number of a point in a list, at the beginning of a line."""
    grammar = numbers.grammar
    pattern = re.compile(r"^(?P<before>\s*(?:[*_>]+\s?)?)(?P<n>\d{1,3})[.)](?=[\s*_])")
    return Rule(pattern, lambda m: f"{m['before']}{grammar.numerals.number(m['n'])}.", ".)")


def romans(numbers: Numbers, language: str) -> Rule:
    """ "Louis XIV", "World War II", "siglo XXI": where a name or a word stands before that is numbered so."""
    grammar = numbers.grammar

    def say(match: re.Match[str]) -> str | None:
        value, word = roman(match["roman"]), match["word"]
        royal = word in _MONARCHS
        if not value or not (royal or word.lower() in _NUMBERED):
            return None
        return match["word"] + match["gap"] + _roman_said(grammar, language, value, royal=royal)

    return Rule(re.compile(r"\b(?P<word>[^\W\d_]+)(?P<gap> )(?P<roman>[IVX]{1,7})\b(?:\.(?= [a-zäöü]))?"), say, "IVX")


def _roman_said(grammar: Grammar, language: str, value: int, *, royal: bool) -> str:
    numerals = grammar.numerals
    if not royal:
        return numerals.cardinal(value)
    if language == "en":
        return f"the {numerals.ordinal(value)}"
    if language == "de":
        return f"der {numerals.ordinal(value).title()}"
    if language == "es":
        return numerals.ordinal(value)
    return "premier" if value == 1 else numerals.cardinal(value)


def years(numbers: Numbers, language: str) -> Iterator[Rule]:
    """A number of four digits where the words around it say that it is a year."""
    if language not in ("en", "de"):
        return
    grammar = numbers.grammar
    before = {
        "en": "in|since|by|from|until|till|of|year|before|after|during|early|mid|late|spring|summer|autumn|fall|winter|"
        "circa|around|born|died|to|and|class|through",
        "de": "in|seit|von|bis|ab|jahr|jahre|jahres|vor|nach|um|anfang|mitte|ende|sommer|winter|frühling|herbst|und",
    }[language]
    four = r"(?P<y>1[1-9]\d\d|20\d\d)(?![\w]|[.,:]\d|[-–/]\d)"
    counted = r"(?! (?:people|Menschen|Euro|Stück|[a-z]+s\b))"
    yield Rule(
        re.compile(rf"\b(?P<before>(?:{before}) ){four}{counted}", re.IGNORECASE),
        lambda match: f"{match['before']}{year(grammar, match['y'])}",
    )
    yield Rule(re.compile(rf"(?<=\(){four}(?=\))"), lambda match: year(grammar, match["y"]))


def rules_of(numbers: Numbers, language: str, region: str) -> Iterator[Rule]:
    """The rules of this module, the stricter ones first."""
    yield iso_dates(numbers, language)
    yield from numeric_dates(numbers, language, region)
    yield from times(numbers, language)
    yield from named_months(numbers, language)
    yield from weekdays(language)
    yield list_numbers(numbers)
    yield from ordinals(numbers, language)
    yield romans(numbers, language)
    yield from years(numbers, language)


__all__ = ["GRAMMARS", "rules_of"]
