"""Is this sound over a reply an interruption, a nod, a noise or an echo?

The reply is already on hold when this is asked, so a wrong guess in either direction is mended: going on
costs a short silence, and whoever was not heard is heard a moment later. It is asked again with
every new score and every new word until it answers; ``decide_within`` bounds that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from parley.session.decide.lexicon import (
    begins_backchannel,
    first_of,
    lexicon,
    only_backchannels,
    without_backchannels,
    words,
)
from parley.session.decide.weights import MOST, WISH, log_odds

if TYPE_CHECKING:
    from parley.messages import DecisionOutcome
    from parley.session.settings import BargeInSettings

_NOD = 0.35
"""Seconds of patience for each nod that was heard: shorter than most, since some are still being decoded."""
_SURE = 0.8
"""Confidence from which words are taken as they are even from a recogniser that often mishears."""
_HALF_SURE = 0.32
"""From which two words that are no nods were hardly a nod misheard, whatever they were."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What is known of the sound so far. Times are seconds of audio."""

    voiced: float
    """How much of it was voice."""
    silence: float
    """Since the last of the voice; 0 while it goes on."""
    held: float
    """Since the reply was put on hold."""
    ended: bool = False
    """True once the segmenter has called it over."""
    level_db: float = 0.0
    """Of its voiced part, in dBFS."""
    usual_level_db: float = -26.0
    """Of the participant's speech so far."""
    text: str = ""
    """Words recognised in it so far."""
    confidence: float = 1.0
    """How far the words can be believed, 0 to 1."""
    complete: bool = False
    """True when the recogniser will say no more."""
    covered: bool = True
    """False while it is known to be behind: what was said last has yet to be told."""
    remaining: float = float("inf")
    """Of the reply, as far as is known."""
    echo: float = 0.0
    """How likely it is the agent's own voice, 0 to 1."""
    language: str = ""
    wish: float | None = None
    """A model's answer to "do they want the floor?", 0 to 1; None where there is none."""

    def facts(self) -> dict[str, float | str]:
        """For the log; what nobody was asked is left out."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in known.items()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What it was, and why."""

    outcome: DecisionOutcome
    reasons: tuple[str, ...]


def classify(sound: Sound, settings: BargeInSettings) -> Verdict | None:
    """Judge the sound; None means: ask again when more is known."""
    settings = _weighed(sound, settings)
    if sound.echo >= settings.echo_threshold:
        return Verdict("echo", (f"sounds like our own voice ({sound.echo:.2f})",))
    if is_quiet(sound, settings):
        return _quiet(sound, settings)
    spoken = words(sound.text) if settings.trust_words != "none" else []
    if spoken:
        verdict = _by_words(spoken, sound, settings)
        if verdict:
            return verdict
    elif sound.voiced >= settings.take_floor_after:
        return Verdict("take_floor", (f"{sound.voiced:.2f} s of speech",))
    if sound.silence:
        verdict = _by_silence(spoken, sound, settings)
        if verdict or sound.held < settings.decide_within + settings.silence_to_resume:
            return verdict
    if sound.held >= settings.decide_within:
        return _out_of_time(spoken, sound, settings)
    return None


def _weighed(sound: Sound, settings: BargeInSettings) -> BargeInSettings:
    """What a model hears makes the floor cost more or less speech; words have their say all the same."""
    if sound.wish is None:
        return settings
    dearer = 2 ** (-WISH * log_odds(sound.wish) / MOST)
    return replace(settings, take_floor_after=dearer * settings.take_floor_after)


def _by_words(spoken: list[str], sound: Sound, settings: BargeInSettings) -> Verdict | None:
    if only_backchannels(spoken, lexicon(sound.language).backchannels):
        if sound.voiced >= _nods_until(spoken, settings):
            return Verdict("take_floor", (f"{sound.voiced:.2f} s of speech, nods though they are",))
        return None
    stop = _wants_floor(spoken, sound.language, settings)
    if stop and sound.voiced >= settings.noise_until:
        return Verdict("take_floor", (f'says "{stop}"',))
    if _believed(sound.confidence, settings) and len(spoken) >= 2 and sound.voiced >= settings.take_floor_after / 2:
        return Verdict("take_floor", (f"{len(spoken)} words that are no nods",))
    if _is_phrase(spoken, sound, settings):
        return Verdict("take_floor", ("two words or more that are no nods",))
    if sound.voiced >= settings.take_floor_after:
        return Verdict("take_floor", (f"{sound.voiced:.2f} s of speech",))
    return None


def _is_phrase(spoken: list[str], sound: Sound, settings: BargeInSettings) -> bool:
    """Misheard perhaps, but more than a nod: words beside the nods in it, half believed, and enough voice for them.

    Where nothing speaks for the words, a long "mhm" is heard as three of them.
    """
    if len(without_backchannels(spoken, lexicon(sound.language).backchannels)) < 2:
        return False
    return sound.confidence >= _HALF_SURE and sound.voiced >= settings.take_floor_after / 2


def _believed(confidence: float, settings: BargeInSettings) -> bool:
    """May any words take the floor, or only those that say stop?"""
    return settings.trust_words == "all" or (settings.trust_words == "stops" and confidence >= _SURE)


def _nods_until(spoken: list[str], settings: BargeInSettings) -> float:
    """Speech that so many nods can fill. Doubtful ears that hear one nod in a long sound have missed the rest."""
    if settings.trust_words == "all":
        return settings.backchannels_until
    return min(settings.backchannels_until, settings.take_floor_after + _NOD * len(spoken))


def _by_silence(spoken: list[str], sound: Sound, settings: BargeInSettings) -> Verdict | None:
    """The sound has stopped, or seems to: how long must the silence be until we go on?"""
    if not sound.ended:
        return None
    unknown = spoken and not only_backchannels(spoken, lexicon(sound.language).backchannels)
    begun = not sound.complete and begins_backchannel(spoken, lexicon(sound.language).backchannels)
    if unknown and not begun and _believed(sound.confidence, settings):
        if sound.silence < settings.noise_silence:
            return None
        # One unknown short word is more often a nod misheard than a wish for the floor.
        if len(spoken) >= 2 or (settings.trust_words == "all" and sound.voiced >= settings.take_floor_after / 2):
            return Verdict("take_floor", ("words that are no nods, and then silence",))
    if sound.voiced < settings.noise_until:
        if sound.silence >= settings.noise_silence:
            return Verdict("noise", (f"{sound.voiced:.2f} s of sound, no words",))
        return None
    if not sound.covered and sound.silence < settings.words_within:
        return None
    if sound.silence < settings.silence_to_resume and not (
        spoken and not unknown and sound.silence >= settings.noise_silence
    ):
        return None
    if sound.remaining <= settings.ending:
        return Verdict("take_floor", ("the reply was all but over",))
    heard = (
        f'nods "{" ".join(spoken)}"'
        if spoken and not unknown
        else f"{sound.voiced:.2f} s of speech, too short for a turn"
    )
    return Verdict("backchannel", (heard,))


def _out_of_time(spoken: list[str], sound: Sound, settings: BargeInSettings) -> Verdict:
    reason = f"{sound.held:.2f} s without an answer"
    if sound.voiced < settings.noise_until:
        return Verdict("noise", (reason, f"{sound.voiced:.2f} s of speech in it"))
    if spoken and only_backchannels(spoken, lexicon(sound.language).backchannels):
        return Verdict("backchannel", (reason, "only nods"))
    if sound.voiced >= settings.take_floor_after / 2:
        return Verdict("take_floor", (reason, f"{sound.voiced:.2f} s of speech in it"))
    return Verdict("noise", (reason, f"{sound.voiced:.2f} s of speech in it"))


def is_quiet(sound: Sound, settings: BargeInSettings) -> bool:
    """Far below the participant's level so far."""
    return sound.voiced > 0 and sound.level_db < sound.usual_level_db - settings.quiet_db


def _quiet(sound: Sound, settings: BargeInSettings) -> Verdict | None:
    """Far below the participant's level: somebody else. Levels need a moment to mean something."""
    brief = sound.voiced < settings.noise_until and sound.silence < settings.noise_silence
    if brief and sound.held < settings.decide_within:
        return None
    below = sound.usual_level_db - sound.level_db
    return Verdict("noise", (f"{below:.0f} dB below the participant's usual level",))


def reconsider(sound: Sound, settings: BargeInSettings) -> Verdict | None:
    """The reply has been let go on: does the sound want the floor after all?

    A sound that goes on may become anything. One that is over was judged, and words that come late say no more of it
    than its length did, unless they are a stop that was understood for certain.
    """
    if not sound.ended:
        verdict = classify(replace(sound, remaining=float("inf")), settings)
        return verdict if verdict and verdict.outcome == "take_floor" else None
    if not sound.complete or sound.echo >= settings.echo_threshold or is_quiet(sound, settings):
        return None
    stop = _wants_floor(words(sound.text), sound.language, settings) if _believed(sound.confidence, settings) else ""
    return Verdict("take_floor", (f'said "{stop}"',)) if stop else None


def wants_answer(text: str, language: str, confidence: float, settings: BargeInSettings) -> Verdict | None:
    """Is what was said over a reply, and understood only afterwards, more than a nod?"""
    spoken = words(text) if settings.trust_words != "none" else []
    if not spoken or only_backchannels(spoken, lexicon(language).backchannels):
        return None
    stop = _wants_floor(spoken, language, settings)
    if stop:
        return Verdict("take_floor", (f'said "{stop}"',))
    if _believed(confidence, settings) and len(spoken) >= 2:
        return Verdict("take_floor", (f"{len(spoken)} words that are no nods",))
    return None


def only_nods(text: str, language: str) -> bool:
    """True of words that say no more than "I am listening": also "yes" may be an answer, and is more."""
    spoken, known = words(text), lexicon(language)
    return bool(spoken) and only_backchannels(spoken, known.backchannels) and not first_of(spoken, known.answers)


def _wants_floor(spoken: list[str], language: str, settings: BargeInSettings) -> str:
    """The first word that asks for the floor; empty when there is none."""
    known = lexicon(language)
    asking = known.stops | known.openers if settings.trust_words == "all" else known.stops
    return first_of(spoken, asking)
