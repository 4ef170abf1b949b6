"""The normaliser in front of every voice: pieces of written text in, what is to be said out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from parley.text.languages import parse
from parley.text.speech import dates, markup, rules
from parley.text.speech.grammar import GRAMMARS
from parley.text.speech.lexicon import EMPTY, Lexicon
from parley.text.speech.rules import Rule
from parley.text.speech.spoken import Claim, Spoken, as_written, built, nothing

_DIGIT = re.compile(r"[0-9½⅓⅔¼¾]")


class Normaliser:
    """One utterance's text on its way to the voice. Pieces come in order, and end where sentences or clauses do."""

    def __init__(self, language: str = "", lexicon: Lexicon = EMPTY, *, phonemes: str = "") -> None:
        tag = parse(language)
        self._language = tag.language
        self._grammar = GRAMMARS.get(tag.language)
        self._rules = _rules(tag.language, tag.region) if self._grammar else ()
        self._lexicon = lexicon
        self._phonemes = phonemes
        self._fenced = False
        """Inside a block of code, which is for the eye."""

    def piece(self, text: str) -> Spoken:
        """What is said for the next piece of the text."""
        if markup.FENCE.match(text):
            self._fenced = not self._fenced
            return nothing(text)
        if self._fenced or markup.lines_for_the_eye(text):
            return nothing(text)
        claims: list[Claim] = []
        _take(claims, markup.links(text))
        _take(claims, markup.addresses(text, self._grammar))
        _take(claims, self._lexicon.claims(text, self._phonemes))
        if self._rules:
            _take(claims, markup.line_start(text))
            has_digits = _DIGIT.search(text) is not None
            for rule in self._rules:
                _apply(rule, text, claims, has_digits=has_digits)
        _take(claims, markup.markup(text))
        return built(text, sorted(claims)) if claims else as_written(text)


def has_words(text: str) -> bool:
    """Whether there is anything in a text that a voice would say: no dots, emoji, or blocks of code."""
    normaliser = Normaliser()
    return any(normaliser.piece(line).says_something for line in text.splitlines())


def seam(before: str) -> str:
    """What has to stand between a text and another sentence, so that this is said: no block of code swallows it."""
    lines = before.splitlines(keepends=True)
    if not lines:
        return ""
    fenced = sum(markup.FENCE.match(line) is not None for line in lines) % 2
    last, line_is_over = lines[-1], lines[-1] != lines[-1].rstrip("\r\n")
    if fenced:
        return "```\n" if line_is_over else "\n```\n"
    if line_is_over or last[-1].isspace():
        return ""
    return "\n" if markup.FENCE.match(last) or markup.lines_for_the_eye(last) else " "


def _take(claims: list[Claim], more: Iterable[Claim]) -> None:
    """Add the claims that stand on nobody else's ground."""
    for claim in more:
        if claim.start < claim.end and not any(claim.start < other.end and other.start < claim.end for other in claims):
            claims.append(claim)


def _apply(rule: Rule, text: str, claims: list[Claim], *, has_digits: bool) -> None:
    if rule.needs:
        if not any(character in text for character in rule.needs):
            return
    elif not has_digits:
        return
    for match in rule.pattern.finditer(text):
        said = rule.say(match)
        if said is not None:
            _take(claims, (Claim(match.start(), match.end(), said),))


@cache
def _rules(language: str, region: str) -> tuple[Rule, ...]:
    """All rules of a language that has a grammar, in the order in which they may take their place."""
    numbers = rules.numbers_of(language, region)
    grammar = numbers.grammar
    return (
        *rules.phones(numbers),
        *dates.rules_of(numbers, language, region),
        rules.versions(numbers),
        *rules.money(numbers),
        rules.units(numbers),
        rules.fractions(numbers),
        rules.scales(numbers),
        rules.ranges(numbers),
        *rules.number_signs(grammar),
        *rules.titles(grammar, language),
        rules.abbreviations(grammar, language),
        rules.plain(numbers),
    )
