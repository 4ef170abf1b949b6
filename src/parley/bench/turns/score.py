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

    @property
    def turn_latency(self) -> float | None:
        """Seconds from the last speech sample to the answer."""
        after = [at - self.case.end for at in self.answered_at if at >= self.case.end]
        return min(after, default=None)

    @property
    def took_the_pause(self) -> bool:
        """An answer was to be heard before the participant had finished."""
        return any(at < self.case.end for at in self.answered_at)


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


def score(name: str, outcomes: Sequence[Outcome]) -> Scores:
    """Sum up the outcomes of one system."""

    def of(*kinds: str) -> list[Outcome]:
        return [outcome for outcome in outcomes if outcome.case.kind in kinds]

    interruptions, turns = of("interruption"), of("turn")
    nods, noises = of("backchannel"), of("noise", "background")
    echoes = of("echo")
    delays = [(o.case.snr_db, o.onset_to_silence) for o in interruptions if o.onset_to_silence is not None]
    latencies = [(o.case, latency) for o in turns if (latency := o.turn_latency) is not None]
    in_time = [(case, latency) for case, latency in latencies if latency <= ANSWER_WITHIN]
    return Scores(
        name=name,
        honoured=share([outcome.lost for outcome in interruptions]),
        short_honoured=share([outcome.lost for outcome in interruptions if outcome.case.voice < SHORT]),
        backchannels_lost=share([outcome.lost for outcome in nods]),
        noises_lost=share([outcome.lost for outcome in noises]),
        pauses_taken=share([outcome.took_the_pause for outcome in of("pause")]),
        turns_answered=share([_in_time(outcome.turn_latency) for outcome in turns]),
        false_ends=share([outcome.took_the_pause for outcome in turns]),
        self_interrupted={
            level: share([outcome.lost for outcome in echoes if outcome.case.echo_db == level])
            for level in sorted({outcome.case.echo_db for outcome in echoes if outcome.case.echo_db is not None})
        },
        onset_to_silence=[delay for _, delay in delays],
        onset_to_silence_quiet=[delay for snr, delay in delays if snr >= 20],
        resume_gap=[gap for o in nods + noises if (gap := o.resume_gap) is not None],
        turn_latency=[latency for _, latency in in_time],
        one_word_latency=[latency for case, latency in in_time if len(case.sounds[0].text.split()) == 1],
        cases=len(outcomes),
    )


def _in_time(latency: float | None) -> bool:
    return latency is not None and latency <= ANSWER_WITHIN
