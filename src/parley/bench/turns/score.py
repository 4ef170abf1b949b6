"""From what happened in each case to the table: takeover rates, delays, replies lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
        """Seconds from the sound's first sample to silence."""
        return None if self.paused_at is None or not self.case.sounds else self.paused_at - self.case.sounds[0].at

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
    """One system over the corpus. Rates are 0 to 1; delays are lists of seconds, for percentiles."""

    name: str
    honoured: float
    """Interruptions that took the floor: high is good."""
    backchannels_lost: float
    """Nods that ended the reply: low is good."""
    noises_lost: float
    """Coughs, clicks, doors, breath and voices across the room that did."""
    pauses_taken: float
    """Pauses inside a turn in which it began to talk: low is good."""
    turns_answered: float
    """Finished turns that it answered within five seconds: high is good."""
    false_ends: float
    """Single-breath turns that it answered before their end."""
    self_interrupted: dict[float, float]
    """Replies that its own echo ended, by echo level in dB."""
    onset_to_silence: list[float]
    onset_to_silence_quiet: list[float]
    """The same in quiet rooms (20 dB) only."""
    resume_gap: list[float]
    turn_latency: list[float]
    cases: int


ANSWER_WITHIN = 5.0


def score(name: str, outcomes: Sequence[Outcome]) -> Scores:
    """Sum up the outcomes of one system."""

    def of(*kinds: str) -> list[Outcome]:
        return [outcome for outcome in outcomes if outcome.case.kind in kinds]

    interruptions, turns = of("interruption"), of("turn")
    nods, noises = of("backchannel"), of("noise", "background")
    echoes = of("echo")
    delays = [(o.case.snr_db, o.onset_to_silence) for o in interruptions if o.onset_to_silence is not None]
    latencies = [latency for o in turns if (latency := o.turn_latency) is not None]
    return Scores(
        name=name,
        honoured=_share([outcome.lost for outcome in interruptions]),
        backchannels_lost=_share([outcome.lost for outcome in nods]),
        noises_lost=_share([outcome.lost for outcome in noises]),
        pauses_taken=_share([outcome.took_the_pause for outcome in of("pause")]),
        turns_answered=_share([_in_time(outcome.turn_latency) for outcome in turns]),
        false_ends=_share([outcome.took_the_pause for outcome in turns]),
        self_interrupted={
            level: _share([outcome.lost for outcome in echoes if outcome.case.echo_db == level])
            for level in sorted({outcome.case.echo_db for outcome in echoes if outcome.case.echo_db is not None})
        },
        onset_to_silence=[delay for _, delay in delays],
        onset_to_silence_quiet=[delay for snr, delay in delays if snr >= 20],
        resume_gap=[gap for o in nods + noises if (gap := o.resume_gap) is not None],
        turn_latency=[latency for latency in latencies if latency <= ANSWER_WITHIN],
        cases=len(outcomes),
    )


def _in_time(latency: float | None) -> bool:
    return latency is not None and latency <= ANSWER_WITHIN


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0
