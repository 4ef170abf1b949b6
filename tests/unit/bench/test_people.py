"""What is decided of a recording before anybody listens: where it speaks, what it is good for, which side it is on."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parley.bench import people
from parley.bench.people import RATE, Recording, Stretch, stretches
from parley.bench.turns import people as cases


def voice(seconds: float, level: float = 8000.0) -> np.ndarray:
    return np.asarray(level * np.sin(np.arange(round(seconds * RATE)) * 0.3), np.int16)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.int16)


def recorded(name: str, text: str, *parts: np.ndarray, speaker: str = "Allison") -> Recording:
    return Recording(name, speaker, "en", text, np.concatenate(parts))


def test_a_silence_of_three_tenths_parts_two_stretches_and_a_shorter_one_does_not() -> None:
    sound = np.concatenate([silence(0.1), voice(0.5), silence(0.3), voice(0.4), silence(0.28), voice(0.2)])
    assert stretches(sound) == [Stretch(1600, 9600), Stretch(14400, 28480)]


def test_what_is_25_db_below_the_loudest_is_no_voice() -> None:
    sound = np.concatenate([voice(0.3, 8000 / 20), voice(0.5)])
    assert stretches(sound) == [Stretch(4800, 12800)]


def test_nothing_has_no_stretches() -> None:
    assert stretches(silence(0.0)) == []


def test_the_split_is_by_name_and_the_same_every_time() -> None:
    names = [f"en/prompt-{number}" for number in range(400)]
    sides = [recorded(name, "Hello.", voice(0.1)).tuning for name in names]
    assert sides == [recorded(name, "Other.", voice(0.2)).tuning for name in names]
    assert 70 < sum(sides) < 130
    assert not any(recorded(name, "", voice(0.1), speaker="reader").tuning for name in names)
    assert recorded("fr/hello", "Bonjour.", voice(0.1), speaker="June").tuning


def test_both_parts_of_a_recording_are_on_its_side() -> None:
    whole = recorded("en/prompt-3", "Hello.", voice(1.0))
    assert people.cut(whole, 0, RATE // 2, "1").samples.size == RATE // 2


def test_the_texts_of_prompts_leave_tones_out(tmp_path: Path) -> None:
    path = tmp_path / "texts.gz"
    lines = "; a comment\n\nbeep: [a tone]\njoin: <beep>\nsilence/1: (1 second)\nletters/at: at [@]\nhello: Hello.\n"
    path.write_bytes(gzip.compress(lines.encode()))
    assert people.read_prompt_texts(path) == {"letters/at": "at", "hello": "Hello."}


@pytest.mark.parametrize(
    ("name", "text", "breath"),
    [
        ("en/conf-full", "That conference is full.", True),
        ("en/digits/day-2", "Tuesday", True),
        ("en/digits/hundred", "hundred", False),
        ("en/letters/a", "a", False),
        ("en/confbridge-leave-in", "To leave the conference...", False),
        ("en/with", "With.", False),
        ("beckett", "", False),
    ],
)
def test_a_breath_is_a_whole_utterance(name: str, text: str, breath: bool) -> None:
    recording = recorded(name, text, voice(1.0))
    assert cases.is_breath(recording, stretches(recording.samples)[0]) == breath


def test_each_pause_becomes_a_case_with_the_voice_around_it() -> None:
    prompt = recorded("en/x", "One. Two. Three.", silence(0.2), voice(1.0), silence(0.5), voice(3.0), silence(0.4),
                      voice(0.5), silence(0.2))  # fmt: skip
    made = list(cases.corpus([prompt], [], tuning=prompt.tuning))
    assert [case.kind for case in made] == ["pause", "pause"]
    first, second = made
    assert first.voice == pytest.approx(1.0 + 0.5 + 2.0, abs=0.02)
    assert second.voice == pytest.approx(3.0 + 0.4 + 0.5, abs=0.02)
    assert first.sounds[0].begin < first.sounds[0].at
    assert not list(cases.corpus([prompt], [], tuning=not prompt.tuning))


def test_an_onset_is_where_the_voice_begins_not_where_the_recording_does() -> None:
    prompt = recorded("en/x", "Please hold.", silence(0.4), voice(1.0), silence(0.4))
    turn = next(case for case in cases.corpus([prompt], [], tuning=prompt.tuning) if case.kind == "turn")
    sound = turn.sounds[0]
    assert sound.at - sound.begin == pytest.approx(0.25, abs=1e-6)
    assert sound.end - sound.at == pytest.approx(1.0, abs=0.01)
    assert len(sound.samples) == round(1.5 * cases.RATE)


def test_a_noise_is_nobodys_turn() -> None:
    noise = replace(recorded("door", "", voice(0.3)), speaker="")
    assert [case.kind for case in cases.corpus([], [noise], tuning=False)] == ["noise"]


@pytest.mark.parametrize("whole", [True, False])
def test_what_nobody_wrote_down_is_a_breath_where_it_is_known_to_be_whole(whole: bool) -> None:
    line = replace(recorded("line/1", "", voice(1.0), speaker=people.ACTORS), whole=whole)
    assert cases.is_breath(line, stretches(line.samples)[0]) == whole
    assert line.tuning
