"""From what happened in each case to the table: takeover rates, delays, replies lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parley.bench.report import Share, share
from parley.bench.turns.corpus import Case


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a system did in one case. Times are in seconds on the case's own clock (see ``corpus.Sound.at``)."""

    case: Case
    paused_at: float | None = None
    """The reply fell silent after the sound began."""
    resumed_at: float | None = None
    """It went on."""
    lost: bool = False
    """The reply was stopped for good."""
    answered_at: tuple[float, ...] = ()
    """An answer became audible, each time."""
    decisions: tuple[str, ...] = ()

    @property
    def onset_to_silence(self) -> float | None:
        """Seconds from the sound's onset to silence; 0 where what came before it was heard already."""
        if self.paused_at is None or not self.case.sounds:
            return None
        return max(0.0, self.paused_at - self.case.sounds[0].at)

    @property
    def resume_gap(self) -> float | None:
        """Seconds from the sound's last sample until the reply went on."""
        return None if self.resumed_at is None else max(0.0, self.resumed_at - self.case.end)


@dataclass(frozen=True, slots=True)
class Scores:
    """One system over the corpus. Delays are lists of seconds, for percentiles."""

    name: str
    honoured: Share
    """Interruptions that took the floor: high is good."""
    short_honoured: Share
    """Those shorter than ``SHORT`` that did."""
    backchannels_lost: Share
    """Nods that ended the reply: low is good."""
    noises_lost: Share
    """Coughs, clicks, doors, breath and voices across the room that did."""
    pauses_taken: Share
    """Pauses inside a turn in which it began to talk: low is good."""
    turns_answered: Share
    """Finished turns that it answered within five seconds: high is good."""
    false_ends: Share
    """Single-breath turns that it answered before their end."""
    self_interrupted: dict[float, Share]
    """Replies that its own echo ended, by echo level in dB."""
    onset_to_silence: list[float]
    onset_to_silence_quiet: list[float]
    """The same in quiet rooms (20 dB) only."""
    resume_gap: list[float]
    turn_latency: list[float]
    one_word_latency: list[float]
    """The same of turns of a single word."""
    cases: int


ANSWER_WITHIN = 5.0
SHORT = 1.15
"""Seconds; interruptions below this are counted apart, too."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is kept of a case: enough to sum it up again, beside what other runs left. Times are in seconds."""

    system: str
    case: str
    kind: str
    voice: float
    """Of the sound, without what is silent in it."""
    snr_db: float
    echo_db: float | None
    words: int
    """Of the first sound."""
    answered: tuple[float, ...]
    """When answers became audible, from the end of the last sound: below zero, before it."""
    lost: bool
    decisions: tuple[str, ...]
    silence: float | None
    """From the onset to silence."""
    resume: float | None
    """From the end of the sound until the reply went on."""

    @property
    def early(self) -> bool:
        """An answer was to be heard before the participant had finished."""
        return any(at < 0 for at in self.answered)

    @property
    def latency(self) -> float | None:
        """From the last speech sample to the answer, where one came in time."""
        after = min((at for at in self.answered if at >= 0), default=None)
        return None if after is None or after > ANSWER_WITHIN else after


def line(system: str, outcome: Outcome) -> Line:
    """One case of a system's."""
    case = outcome.case
    return Line(
        system=system,
        case=case.name,
        kind=case.kind,
        voice=round(case.voice, 3),
        snr_db=case.snr_db,
        echo_db=case.echo_db,
        words=len(case.sounds[0].text.split()) if case.sounds else 0,
        answered=tuple(round(at - case.end, 3) for at in outcome.answered_at),
        lost=outcome.lost,
        decisions=outcome.decisions,
        silence=outcome.onset_to_silence,
        resume=outcome.resume_gap,
    )


def score(name: str, outcomes: Sequence[Outcome]) -> Scores:
    """Sum up the outcomes of one system."""
    return summed(name, [line(name, outcome) for outcome in outcomes])


def summed(name: str, lines: Sequence[Line]) -> Scores:
    """Sum up the cases of one system, whichever runs they are from."""

    def of(*kinds: str) -> list[Line]:
        return [one for one in lines if one.kind in kinds]

    interruptions, turns = of("interruption"), of("turn")
    nods, noises, echoes = of("backchannel"), of("noise", "background"), of("echo")
    delays = [(one.snr_db, one.silence) for one in interruptions if one.silence is not None]
    in_time = [(one.words, one.latency) for one in turns if one.latency is not None]
    return Scores(
        name=name,
        honoured=share([one.lost for one in interruptions]),
        short_honoured=share([one.lost for one in interruptions if one.voice < SHORT]),
        backchannels_lost=share([one.lost for one in nods]),
        noises_lost=share([one.lost for one in noises]),
        pauses_taken=share([one.early for one in of("pause")]),
        turns_answered=share([one.latency is not None for one in turns]),
        false_ends=share([one.early for one in turns]),
        self_interrupted={
            level: share([one.lost for one in echoes if one.echo_db == level])
            for level in sorted({one.echo_db for one in echoes if one.echo_db is not None})
        },
        onset_to_silence=[delay for _, delay in delays],
        onset_to_silence_quiet=[delay for snr, delay in delays if snr >= 20],
        resume_gap=[one.resume for one in nods + noises if one.resume is not None],
        turn_latency=[latency for _, latency in in_time],
        one_word_latency=[latency for words, latency in in_time if words == 1],
        cases=len(lines),
    )
