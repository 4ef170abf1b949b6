"""Words that tell a nod from an interruption, and a whole sentence from half of one, per language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache

from parley.session.decide.lexicons import MORE
from parley.text.languages import primary

_MARKS = "\u0300-\u036f\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff"
"""Vowel signs and accents, which belong to the letter before: Latin, Arabic, the scripts of India, Thai and Lao."""
_WORD = re.compile(rf"[\w{_MARKS}'’-]+", re.UNICODE)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
"""Kana and Han characters, which are written without spaces between words."""
_LONGEST = 8
"""Words of a nod at the most, or characters where there are no spaces."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What is known of one language."""

    backchannels: frozenset[str]
    """Phrases that say "I am listening, go on"."""
    stops: frozenset[str]
    """Words that want the floor, however short."""
    openers: frozenset[str]
    """Words that begin a question or an objection; short ones, which a poor recogniser may imagine."""
    dangling: frozenset[str]
    """Words, and pairs of words, that hardly ever end a sentence."""
    auxiliaries: frozenset[str]
    """Verbs that seldom end a sentence, unless a pronoun stands before them ("what time it is")."""
    pronouns: frozenset[str]
    openings: frozenset[str]
    """Beginnings of two or three words that are no sentence by themselves."""
    questions: frozenset[str]
    """Words to which a dangling word at the end of their sentence belongs ("what are you looking for")."""
    answers: frozenset[str]
    """Words that are a whole answer to "is it so?", although some of them are nods as well."""


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split(",") if phrase.strip())


def _lexicon(lists: Mapping[str, str]) -> Lexicon:
    return Lexicon(*(_phrases(lists.get(entry.name, "")) for entry in fields(Lexicon)))


_LEXICONS = {
    "en": Lexicon(
        backchannels=_phrases(
            """mhm, mm, mmm, hm, hmm, uh huh, mm hmm, mm hm, um hum, hum, uh, um, huh, ah, aha, oh, ooh, oh no, eh,
            yeah, yes, yep, yup, ya, okay, ok, kay, alright, all right, right, sure, true, exactly, indeed, i see,
            see, really, oh really, got it, good, great, nice, cool, wow, interesting, of course, no way, go on,
            makes sense, fine, ha, haha, i know, that's right, you're right, absolutely, definitely, totally,
            fair enough, very good"""
        ),
        stops=_phrases("""stop, wait, no, hold, sorry, excuse, pardon, quiet, shut, enough, cancel, pause, nope, listen,
            goodbye, cancelled, canceled"""),
        openers=_phrases(
            "hey, hello, but, actually, what, who, why, where, when, how, question, tell, can, could, please, let's"
        ),
        dangling=_phrases(
            """a, an, the, my, your, his, her, its, our, their, and, or, but, because, so, if, which, who, whose,
            when, while, where, although, though, unless, until, since, than, as, of, to, for, from, with,
            without, into, onto, in, on, at, by, about, between, like, i, we, they, he, she, i'm, i'd, i'll,
            i've, we're, it's, um, uh, er, hmm, want, wanted, every, each, some, any, let, tell, very,
            thinking that, think that, so that, say that, said that, believe that, hope that, sure that,
            was thinking, am thinking, i'm thinking, been thinking, wondering, looking"""
        ),
        auxiliaries=_phrases(
            """is, are, am, was, were, be, been, will, would, can, could, should, shall, may, might, must, have, has,
            had, do, does, did"""
        ),
        pronouns=_phrases("i, you, he, she, it, we, they, this, that, there, to"),
        openings=_phrases(
            """could you please, can you please, would you please, could you, can you, would you, please,
            could you maybe, tell me, tell me how, tell me what, can you tell me, could you tell me, show me, give me,
            let me see, let me think, well, so, i think, i mean, you know, what about"""
        ),
        questions=_phrases("what, what's, who, who's, whom, where, where's, when, which, how, how's, why"),
        answers=_phrases("yes, yep, yup, yeah, no, nope, sure, exactly, absolutely, definitely, fine, none"),
    ),
    "de": Lexicon(
        backchannels=_phrases(
            """mhm, hm, hmm, mm, aha, ah, ach, ach so, ja, jaja, ja ja, jo, jep, okay, ok, gut, genau, klar, stimmt,
            richtig, verstehe, ich verstehe, echt, wirklich, super, toll, schön, alles klar, na klar, interessant, so"""
        ),
        stops=_phrases(
            "stopp, stop, halt, warte, warten, moment, nein, nee, entschuldigung, hallo, hey, ruhe, genug, pause, sorry"
        ),
        openers=_phrases("aber, nicht, was, wer, wie, warum, wo, wann"),
        dangling=_phrases(
            """der, die, das, den, dem, des, ein, eine, einen, einem, einer, mein, meine, dein, und, oder, aber, weil,
            dass, wenn, ob, als, wie, denn, damit, obwohl, von, zu, zum, zur, für, mit, ohne, in, im, auf, an, am,
            bei, über, nach, vor, ich, wir, er, sie, ist, sind, war, wird, kann, könnte, würde, möchte, will, hat"""
        ),
        auxiliaries=_phrases(
            "ist, sind, war, waren, wird, werden, kann, könnte, würde, möchte, will, hat, habe, muss, soll"
        ),
        pronouns=_phrases("ich, du, er, sie, es, wir, ihr, das"),
        openings=_phrases(
            "kannst du, könntest du, könntest du bitte, kannst du bitte, bitte, also, ich glaube, ich meine"
        ),
        questions=_phrases("was, wer, wen, wem, wessen, wie, wo, woher, wohin, wann, warum, welche, welcher, welches"),
        answers=_phrases("ja, jaja, jo, jep, nein, nee, genau, klar, stimmt"),
    ),
    "es": Lexicon(
        backchannels=_phrases(
            "mhm, hm, mm, ajá, sí, si, sí sí, vale, ok, okay, claro, ya, bueno, bien, exacto, entiendo, ya veo"
        ),
        stops=_phrases("para, espera, no, alto, perdón, disculpa, oye, basta, momento"),
        openers=_phrases("pero, qué, quién, cómo, cuándo, dónde"),
        dangling=_phrases(
            """el, la, los, las, un, una, mi, tu, su, y, o, pero, porque, que, si, cuando, como, de, del, a, al, en,
            con, sin, por, para, sobre, yo, es, son, era, está, muy, quiero, puede, puedes, podría, eh"""
        ),
        auxiliaries=_phrases("es, son, era, está, quiero, puede, puedes, podría, tiene, hay"),
        pronouns=_phrases("yo, tú, él, ella, eso, esto, que"),
        openings=_phrases("puedes, podrías, por favor, bueno, creo que, o sea"),
        questions=_phrases("qué, quién, quiénes, cuál, cuáles, cómo, dónde, cuándo, cuánto, cuántos"),
        answers=_phrases("sí, si, no, vale, claro, exacto"),
    ),
    "fr": Lexicon(
        backchannels=_phrases(
            """mhm, hm, mm, ah, oui, ouais, ok, okay, d'accord, bien, bien sûr, je vois, voilà, exactement, c'est ça,
            vraiment, super, très bien, ah bon"""
        ),
        stops=_phrases("stop, attends, attendez, non, arrête, arrêtez, pardon, excuse, excusez"),
        openers=_phrases("mais, quoi, qui, comment, quand"),
        dangling=_phrases(
            """le, la, les, un, une, des, mon, ma, ton, ta, son, sa, et, ou, mais, parce, que, si, quand, comme, de, du,
            à, au, en, dans, avec, sans, pour, sur, je, nous, est, sont, était, très, veux, peux, peut, pourrait, euh"""
        ),
        auxiliaries=_phrases("est, sont, était, veux, peux, peut, pourrait, ai, a, ont"),
        pronouns=_phrases("je, tu, il, elle, on, nous, vous, ils, ça, ce"),
        openings=_phrases("peux-tu, pouvez-vous, s'il te plaît, s'il vous plaît, alors, je pense, je crois que"),
        questions=_phrases("qui, que, quoi, quel, quelle, quels, quelles, où, comment, combien, quand, pourquoi"),
        answers=_phrases("oui, ouais, non, si, exactement, d'accord"),
    ),
    **{language: _lexicon(lists) for language, lists in MORE.items()},
}


@cache
def lexicon(language: str) -> Lexicon:
    """The lexicon for a BCP 47 tag; English where the language is not known."""
    return _LEXICONS.get(primary(language), _LEXICONS["en"])


def words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return [word.lower().replace("’", "'").strip("'-") for word in _WORD.findall(text)]


def is_unspaced(word: str) -> bool:
    """True where the writing knows no spaces, so that this may be a whole sentence."""
    return _UNSPACED.search(word) is not None


def only_backchannels(spoken: list[str], known: frozenset[str]) -> bool:
    """True when the words are nothing but nods, one after the other; hyphens are spaces here."""
    return not without_backchannels(spoken, known)


def without_backchannels(spoken: list[str], known: frozenset[str]) -> list[str]:
    """The words that belong to no nod; hyphens are spaces here. Of writing without spaces two characters count one."""
    left: list[str] = []
    for word in spoken:
        if is_unspaced(word):
            characters = _left(list(word), "", known)
            left += ["".join(characters[at : at + 2]) for at in range(0, len(characters) - 1, 2)] or characters
    rest = " ".join(word for word in spoken if not is_unspaced(word))
    return left + _left(rest.replace("-", " ").split(), " ", known)


def _left(rest: list[str], space: str, known: frozenset[str]) -> list[str]:
    left = []
    while rest:
        count = next((n for n in range(min(_LONGEST, len(rest)), 0, -1) if space.join(rest[:n]) in known), 0)
        if not count:
            left.append(rest[0])
        rest = rest[max(1, count) :]
    return left


def first_of(spoken: list[str], asking: frozenset[str]) -> str:
    """The first of the words that is one of these, or holds one where there are no spaces; empty when none does."""
    for word in spoken:
        if word in asking:
            return word
        if is_unspaced(word) and (held := [phrase for phrase in asking if phrase in word]):
            return max(held, key=len)
    return ""


def begins_backchannel(spoken: list[str], known: frozenset[str]) -> bool:
    """True when the words are the beginning of a longer nod: "I" may still become "I see"."""
    begun = f"{' '.join(spoken)} "
    return any(phrase.startswith(begun) for phrase in known)
