"""Conversations with real people: recordings as turns, pauses, interruptions, nods and noises.

What a recording is used for follows from its name, its text and its silences, never from how it was understood.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import soxr

from parley.bench import people
from parley.bench.people import Recording, Stretch
from parley.bench.speech import RATE, SPEECH_LEVEL_DB, Samples, level
from parley.bench.turns.corpus import Case, Kind, Sound

SNR_DB = 30.0
"""A quiet room; what the recordings bring of their own comes on top."""
_LONGEST = 8.0
_LONGEST_INTERRUPTION = 4.0
_SHORTEST = 0.3
_LONGEST_BEFORE_PAUSE = 12.0
_BEHIND_PAUSE = 2.0
"""Seconds that are played of what follows a pause: whether it was taken is known by then."""
_LONGEST_PAUSE = 2.0
_AROUND = 0.25
"""Seconds of a recording that are kept before its onset and behind its end, where it has them."""

_SINGLE_SOUNDS = ("letters/", "phonetic/", "spy-", "silence/")
"""Names that are no turn of anybody."""
_ANSWERS = {f"digits/{name}" for name in (
    *map(str, (*range(20), *range(20, 100, 10))), *(f"day-{day}" for day in range(7)),
    *(f"mon-{month}" for month in range(12)), "today", "tomorrow", "yesterday",
)}  # fmt: skip
"""Answers of one word: numbers, days, months."""
_PARTS = {
    "and", "astcc-followed-by-the-pound-key", "at-tone-time-exactly", "conf-enteringno", "conf-hasjoin", "conf-hasleft",
    "conf-otherinparty", "conf-thereare", "conf-userswilljoin", "conf-userwilljoin", "dir-first", "extension", "first",
    "followme/call-from", "for", "from-unknown-caller", "hours", "is", "is-in-use", "is-set-to", "minute", "minutes",
    "number", "priv-callpending", "queue-holdtime", "queue-less-than", "queue-minute", "queue-minutes",
    "queue-quantity1", "queue-quantity2", "queue-reporthold", "queue-seconds", "queue-thereare", "second", "seconds",
    "to-call-this-number", "to-extension", "to-listen-to-it", "to-rerecord-it", "unidentified-no-callback", "vm-and",
    "vm-extension", "vm-first", "vm-for", "vm-from", "vm-from-extension", "vm-from-phonenumber", "vm-INBOX",
    "vm-isonphone", "vm-isunavail", "vm-last", "vm-message", "vm-messages", "vm-minutes", "vm-num-i-have", "vm-Old",
    "vm-onefor", "vm-press", "vm-received", "vm-saved", "vm-savedto", "vm-savemessage", "vm-then-pound",
    "vm-theperson", "vm-tocancel", "vm-unknown-caller", "vm-youhave", "with", "you-entered", "your",
}  # fmt: skip
"""Prompts that other prompts go on: parts of a sentence, by their texts."""
_TAKES_THE_FLOOR = {"hello", "goodbye", "vm-goodbye", "vm-no", "cancelled", "do-not-disturb"}
"""Single words that ask for the floor; otherwise two are needed."""
_NODS = {*(f"letters/{letter}" for letter in "aeioumn"), "digits/oh"}
"""Syllables that say nothing: ah, oh, eh, mm as letters are called."""


def corpus(
    recordings: Sequence[Recording], noises: Sequence[Recording], *, tuning: bool, seed: int = 1
) -> Iterator[Case]:
    """The cases of one side of the split; the same seed gives the same samples."""
    rng = random.Random(f"people/{seed}")
    ours = [recording for recording in recordings if recording.tuning == tuning]
    alone = list(people.singles(ours))
    for recording, stretch in alone:
        if is_breath(recording, stretch):
            yield _case(rng, "turn", [_sound(recording, [stretch], rng.uniform(0.6, 1.2))], recording)
    for recording in ours:
        yield from _pauses(rng, recording)
    over_a_reply = partial(rng.uniform, 1.0, 4.0)
    for recording, stretch in [*alone, *_pieces(ours)]:
        if is_interruption(recording, stretch):
            yield _case(rng, "interruption", [_sound(recording, [stretch], over_a_reply())], recording)
        elif _short_name(recording) in _NODS:
            yield _case(rng, "backchannel", [_sound(recording, [stretch], over_a_reply())], recording)
    for noise in noises:
        found = people.stretches(noise.samples)
        whole = Stretch(found[0].start, found[-1].end) if found else None
        if whole and whole.seconds < _LONGEST_INTERRUPTION and noise.tuning == tuning:
            yield _case(rng, "noise", [_sound(noise, [whole], over_a_reply())], noise)


def is_breath(recording: Recording, stretch: Stretch) -> bool:
    """A whole utterance without a pause."""
    name = _short_name(recording)
    if not _SHORTEST <= stretch.seconds <= _LONGEST or not (recording.text or recording.whole):
        return False
    return name in _ANSWERS or (not name.startswith(("digits/", *_SINGLE_SOUNDS)) and is_whole(recording))


def is_whole(recording: Recording) -> bool:
    """Not a part of a sentence that another recording goes on."""
    return "..." not in recording.text and "…" not in recording.text and _short_name(recording) not in _PARTS


def is_interruption(recording: Recording, stretch: Stretch) -> bool:
    """Two words or more, or one that asks for the floor."""
    name = _short_name(recording)
    if not _SHORTEST <= stretch.seconds <= _LONGEST_INTERRUPTION:
        return False
    words = len(recording.text.split())
    return words >= 2 or name in _TAKES_THE_FLOOR or (not words and stretch.seconds >= 2 * _SHORTEST)


def _short_name(recording: Recording) -> str:
    """Without the language in front, as in all languages."""
    language, slash, name = recording.name.partition("/")
    return name if slash and language in people.LANGUAGES else recording.name


def _pieces(recordings: Sequence[Recording]) -> Iterator[tuple[Recording, Stretch]]:
    """What lies between the pauses of those whose words nobody wrote down: theatre and prose."""
    for recording in recordings:
        if not recording.text:
            yield from ((recording, stretch) for stretch in people.stretches(recording.samples))


def _pauses(rng: random.Random, recording: Recording) -> Iterator[Case]:
    """Each pause with the voice before and behind it."""
    found = people.stretches(recording.samples)
    for before, behind in itertools.pairwise(found):
        silence = (behind.start - before.end) / people.RATE
        if not _SHORTEST <= before.seconds <= _LONGEST_BEFORE_PAUSE or silence > _LONGEST_PAUSE:
            continue
        behind = Stretch(behind.start, min(behind.end, behind.start + round(_BEHIND_PAUSE * people.RATE)))
        at = rng.uniform(0.6, 1.2)
        # One sound, so that the pause holds the room and the breath of the recording itself.
        yield _case(rng, "pause", [_sound(recording, [before, behind], at)], recording)


def _case(rng: random.Random, kind: Kind, sounds: Sequence[Sound], recording: Recording) -> Case:
    name = f"{kind}/{recording.name}/{recording.speaker or 'nobody'}/{sounds[0].at:.2f}"
    return Case(name, kind, tuple(sounds), SNR_DB, rng.randrange(2**31), language=recording.language)


def _sound(recording: Recording, voiced: Sequence[Stretch], at: float) -> Sound:
    """From the first stretch to the last, with what the recording has around them, as a microphone hears it."""
    around = round(_AROUND * people.RATE)
    others = [
        stretch for stretch in people.stretches(recording.samples)
        if stretch.end <= voiced[0].start or stretch.start >= voiced[-1].end
    ]  # fmt: skip
    low = max([0, voiced[0].start - around, *(one.end for one in others if one.end <= voiced[0].start)])
    high = min(
        [len(recording.samples), voiced[-1].end + around,
         *(one.start for one in others if one.start >= voiced[-1].end)]
    )  # fmt: skip
    samples = at_bench_rate(recording.samples[low:high])
    lead, tail = (voiced[0].start - low) / people.RATE, (high - voiced[-1].end) / people.RATE
    return Sound(samples, at, recording.text, lead, tail)


def at_bench_rate(samples: people.Samples) -> Samples:
    """At the benchmark's rate and level."""
    speech = soxr.resample(samples.astype(np.float32) / 32768, people.RATE, RATE, quality="HQ")
    return level(speech, SPEECH_LEVEL_DB)
