"""Nods, stops and unfinished sentences in every language that has a lexicon."""

from __future__ import annotations

import pytest

from parley.session.decide.endpointing import completeness
from parley.session.decide.interruption import Sound, classify
from parley.session.decide.lexicon import lexicon, only_backchannels, without_backchannels, words
from parley.session.settings import BargeInSettings

SETTINGS = BargeInSettings()
LANGUAGES = ("en", "de", "es", "fr", "it", "pt", "nl", "pl", "tr", "ru", "hi", "te", "zh", "ja", "ko", "ar")


def outcome(text: str, language: str, *, silence: float = 0.0) -> str | None:
    sound = Sound(0.4, silence, 0.5 + silence, ended=silence > 0, text=text, confidence=0.5, language=language)
    verdict = classify(sound, SETTINGS)
    return verdict.outcome if verdict else None


@pytest.mark.parametrize(
    ("language", "nod", "stop"),
    [
        ("en", "Mm-hmm, oh really?", "No, wait."),
        ("de", "Ach so, genau.", "Moment, bitte."),
        ("es", "Sí, claro.", "Espera, espera."),
        ("fr", "Ah bon, d'accord.", "Attends un peu."),
        ("it-IT", "Sì, ho capito.", "Aspetta un attimo."),
        ("pt-BR", "Pois é, entendi.", "Não, espera aí."),
        ("nl", "Ja, ik snap het.", "Nee, wacht even."),
        ("pl", "No tak, rozumiem.", "Nie, poczekaj."),
        ("tr", "Hı hı, anladım.", "Dur bir dakika."),
        ("ru", "Ну да, понятно.", "Нет, подожди."),
        ("hi-IN", "जी हाँ, ठीक है।", "नहीं, रुकिए।"),
        ("te", "అవును, సరే.", "ఆగండి."),
        ("zh-CN", "嗯，对对对。", "等一下，不是这样。"),
        ("zh", "好的明白了", "请停一下"),
        ("ja", "そうですね、なるほど。", "ちょっと待ってください。"),
        ("ja", "はいはい", "それは違います"),
        ("ko", "네, 그렇군요.", "잠깐만요, 아니요."),
        ("ar", "نعم، صحيح.", "لا، انتظر."),
    ],
)
def test_nods_let_the_reply_go_on_and_stops_take_the_floor(language: str, nod: str, stop: str) -> None:
    assert only_backchannels(words(nod), lexicon(language).backchannels)
    assert outcome(nod, language, silence=0.25) == "backchannel"
    assert outcome(stop, language) == "take_floor"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_nod_holds_a_word_that_stops(language: str) -> None:
    known = lexicon(language)
    assert known is not lexicon("en") or language == "en"
    assert not {nod for nod in known.backchannels if nod in known.stops}


@pytest.mark.parametrize(
    ("language", "half", "whole"),
    [
        ("it", "Vorrei andare a", "Vorrei andare a casa."),
        ("pt", "Eu quero falar com", "Eu quero falar com você."),
        ("nl", "Ik wil graag naar de", "Ik wil graag naar huis."),
        ("pl", "Chciałbym pojechać do", "Chciałbym pojechać do domu."),
        ("tr", "Gitmek istiyorum ama", "Eve gitmek istiyorum."),
        ("ru", "Я хочу поехать в", "Я хочу поехать домой."),
        ("hi", "मैं घर जाना चाहता हूँ लेकिन", "मैं घर जाना चाहता हूँ।"),
        ("te", "నేను వస్తాను కానీ", "నేను రేపు వస్తాను."),
        ("zh", "我想去但是", "我想回家。"),
        ("ja", "行きたいです。でも", "家に帰りたいです。"),
        ("ko", "가고 싶어요 그런데", "집에 가고 싶어요."),
        ("ar", "أريد أن أذهب إلى", "أريد أن أذهب إلى البيت."),
    ],
)
def test_half_a_sentence_is_known_from_a_whole_one(language: str, half: str, whole: str) -> None:
    assert completeness(half, language) == 0.1
    assert completeness(whole, language) == 0.95


def test_vowel_signs_belong_to_their_word() -> None:
    assert words("हाँ, ठीक है।") == ["हाँ", "ठीक", "है"]
    assert words("అవును సరే") == ["అవును", "సరే"]


def test_writing_without_spaces_is_more_than_one_word() -> None:
    assert len(without_backchannels(words("现在几点了"), lexicon("zh").backchannels)) == 2
    assert without_backchannels(words("嗯现在几点了"), lexicon("zh").backchannels)[0] == "现在"
