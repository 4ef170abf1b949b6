"""Settings of a session: how it listens, when it yields, when it answers."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, cast, get_args, get_type_hints

from parley.errors import InvalidRequest
from parley.settings import Setting
from parley.text.settings import TextSettings
from parley.text.speech.lexicon import parse_lexicon


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """From speech probabilities to the beginning and end of speech."""

    start_threshold: Annotated[
        float, Setting("Probability from which a stretch of audio counts as speech.", ge=0.05, le=0.95)
    ] = 0.5
    stop_threshold: Annotated[
        float, Setting("Probability below which it counts as silence, once somebody speaks.", ge=0.01, le=0.95)
    ] = 0.35
    clear_share: Annotated[
        float,
        Setting(
            "Scores from this share of the clearest one on date the end of speech; 1 dates it soonest.", ge=0, le=1
        ),
    ] = 0.8
    start_duration: Annotated[
        float, Setting("Speech needed before a turn begins while the agent is silent.", unit="s", ge=0, le=2)
    ] = 0.06
    stop_duration: Annotated[
        float, Setting("Silence needed before speech counts as ended.", unit="s", ge=0.02, le=2)
    ] = 0.06
    silent_after: Annotated[
        float,
        Setting(
            "A microphone that sends nothing for this long (muted, a sleeping phone) counts as silent.",
            unit="s",
            ge=0.1,
            le=5,
        ),
    ] = 0.3
    pre_roll: Annotated[
        float, Setting("Audio from before the beginning of speech that the recogniser hears too.", unit="s", ge=0, le=2)
    ] = 0.3


@dataclass(frozen=True, slots=True)
class BargeInSettings:
    """Whether speech over a reply takes the floor. The reply is paused meanwhile, and nothing is lost."""

    enabled: Annotated[bool, Setting("Let speech pause a reply; if not, only the interrupt message does.")] = True
    alert_threshold: Annotated[
        float,
        Setting("One score at or above this pauses the reply; a false alarm costs a short silence.", ge=0.05, le=0.95),
    ] = 0.2
    take_floor_after: Annotated[
        float, Setting("Speech of this length takes the floor, whatever is said.", unit="s", ge=0.1, le=5)
    ] = 0.85
    backchannels_until: Annotated[
        float,
        Setting(
            'Nothing but nods ("yeah, okay") may go on this long before it takes the floor.', unit="s", ge=0.1, le=10
        ),
    ] = 2.0
    silence_to_resume: Annotated[
        float, Setting("Silence after a short sound that lets the reply go on.", unit="s", ge=0.05, le=2)
    ] = 0.24
    words_within: Annotated[
        float,
        Setting(
            "Silence after a short sound for which a recogniser that is behind is waited for.", unit="s", ge=0, le=2
        ),
    ] = 0.5
    noise_until: Annotated[
        float, Setting("A sound with less speech in it than this is a noise.", unit="s", ge=0, le=1)
    ] = 0.1
    noise_silence: Annotated[
        float, Setting("Silence after a noise that lets the reply go on.", unit="s", ge=0.02, le=2)
    ] = 0.12
    decide_within: Annotated[
        float, Setting("A decision is made this long after the pause at the latest.", unit="s", ge=0.3, le=10)
    ] = 1.5
    quiet_db: Annotated[
        float,
        Setting("Speech this far below the participant's usual level is somebody else's.", unit="dB", ge=3, le=60),
    ] = 12.0
    usual_level_dbfs: Annotated[
        float, Setting("The participant's level until their own has been learnt.", unit="dBFS", ge=-80, le=0)
    ] = -26.0
    echo_threshold: Annotated[
        float, Setting("Echo likelihood from which a sound is taken for the agent's own voice.", ge=0.1, le=1)
    ] = 0.6
    trust_words: Annotated[
        str,
        Setting(
            'Recognised words that may take the floor: all of them; only stops ("stop, wait, no"), for a recogniser '
            "that often mishears, as the embedded one does, and others only where there are two or more beside nods "
            "that are believed, or last; or none.",
            choices=("all", "stops", "none"),
        ),
    ] = "stops"
    ending: Annotated[
        float,
        Setting(
            "In a reply's last moments a short answer takes the floor, since the turn changes anyway.",
            unit="s",
            ge=0,
            le=3,
        ),
    ] = 0.3


@dataclass(frozen=True, slots=True)
class EndpointingSettings:
    """When the participant's turn is over."""

    min_delay: Annotated[
        float, Setting("Silence that ends a turn which is over for all that is known.", unit="s", ge=0.05, le=5)
    ] = 0.34
    delay: Annotated[
        float,
        Setting(
            "Silence that ends a turn which is probably over, or of which nothing is known; habits take its place.",
            unit="s",
            ge=0.05,
            le=5,
        ),
    ] = 0.55
    sentence_delay: Annotated[
        float,
        Setting(
            "Silence that ends a whole sentence of somebody who has spoken for long, since another may follow; "
            "habits take its place.",
            unit="s",
            ge=0.05,
            le=5,
        ),
    ] = 0.65
    doubtful_delay: Annotated[
        float,
        Setting(
            "Silence that ends a turn which may as well go on as not, where its words can not be believed.",
            unit="s",
            ge=0.05,
            le=5,
        ),
    ] = 1.0
    max_delay: Annotated[
        float, Setting("Silence that ends a turn even in the middle of a sentence.", unit="s", ge=0.1, le=10)
    ] = 1.4
    adaptive: Annotated[bool, Setting("Learn from the pauses that the participant makes inside turns.")] = True
    semantic: Annotated[bool, Setting("Let the words (or a turn model) shorten or lengthen the wait.")] = True


@dataclass(frozen=True, slots=True)
class SpeculationSettings:
    """Replies begun before it is certain that the turn is over."""

    enabled: Annotated[bool, Setting("Begin a reply at a likely end of the turn; throw it away if they go on.")] = True
    max_tries: Annotated[int, Setting("Speculative replies per turn.", ge=0, le=20)] = 2
    after: Annotated[float, Setting("Silence after which a turn's end counts as likely.", unit="s", ge=0, le=5)] = 0.1


@dataclass(frozen=True, slots=True)
class PlayoutSettings:
    """The way from the synthesizer to the ear."""

    lead: Annotated[
        float,
        Setting(
            "Audio sent ahead of the ear: more rides out stalls, less keeps pauses sharp.", unit="s", ge=0.02, le=1
        ),
    ] = 0.06
    delay: Annotated[
        float,
        Setting("Time from sending a sample to hearing it, for clients that do not report.", unit="s", ge=0, le=5),
    ] = 0.0
    report_timeout: Annotated[
        float, Setting("How long to wait for a client to say where its sound stopped.", unit="s", ge=0, le=5)
    ] = 0.3


@dataclass(frozen=True, slots=True)
class ReplySettings:
    """What is said, besides what the language model says."""

    enabled: Annotated[
        bool,
        Setting(
            "Let the language model answer; if not, turns are told to the client, and only what it says is spoken."
        ),
    ] = True
    greeting: Annotated[str, Setting("Spoken when a session begins; empty for silence.")] = ""
    apology: Annotated[
        str,
        Setting(
            "Spoken when the language model fails, takes too long or says nothing; auto is a sentence in the "
            "session's language, empty is silence."
        ),
    ] = "auto"
    not_understood: Annotated[
        str,
        Setting(
            "Spoken, once, when clear speech was not understood; auto is a sentence in the session's language, "
            "empty is silence."
        ),
    ] = "auto"
    not_heard: Annotated[
        str, Setting("Spoken when the recogniser fails or takes too long; auto and empty as above.")
    ] = "auto"
    voice_lost: Annotated[
        str, Setting("Spoken when the voice broke off and can speak again; auto and empty as above.")
    ] = "auto"
    still_working: Annotated[
        str, Setting("Spoken when a tool takes longer than its filler_after; auto and empty as above.")
    ] = "auto"
    one_moment: Annotated[
        str,
        Setting(
            "Spoken when the language model takes long to begin, where session.budget asks for it; auto and empty as "
            "above."
        ),
    ] = "auto"
    clear_speech: Annotated[
        float, Setting("Voice that must be in a turn before it is more than a cough.", unit="s", ge=0.1, le=10)
    ] = 0.6
    system_prompt: Annotated[str, Setting("Instructions that stand before the conversation.")] = ""
    first_clause: Annotated[
        int, Setting("Shortest first piece of a reply that is spoken on its own.", unit="characters", ge=1, le=200)
    ] = 12


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """What is done when answers come too late; each reaction is told in the log and counted, and taken back again."""

    enabled: Annotated[
        bool, Setting("React to stages that overrun their budgets, and take back what did not help.")
    ] = False
    ears: Annotated[float, Setting("Time from the end of a turn to its words.", unit="s", ge=0.05, le=30)] = 0.5
    model: Annotated[
        float,
        Setting(
            "Time from those to the first words of the answer; once it is overrun, the agent says after so long that "
            "it takes a moment (session.reply.one_moment).",
            unit="s",
            ge=0.05,
            le=30,
        ),
    ] = 0.8
    voice: Annotated[
        float, Setting("Time from those to the first sound, and silence in mid-reply.", unit="s", ge=0.05, le=30)
    ] = 0.8
    first_longest: Annotated[
        int,
        Setting(
            "Longest first piece of a reply, once the voice overruns its budget.", unit="characters", ge=10, le=200
        ),
    ] = 24
    faster_ears: Annotated[
        str,
        Setting(
            "Recogniser (as asr.engine) that hears when the usual one is late; empty for none. Its words may be worse."
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class ToolCallSettings:
    """How far a reply may go with tools."""

    max_rounds: Annotated[
        int,
        Setting(
            "Times that one reply may ask for tools, look at the results and ask again; then it has to answer. "
            "0 offers none.",
            ge=0,
            le=50,
        ),
    ] = 5
    max_calls: Annotated[int, Setting("Calls of one reply; more are refused.", ge=1, le=100)] = 12
    max_running: Annotated[
        int, Setting("Calls of a session that may be at work at once; more are refused.", ge=1, le=100)
    ] = 8
    max_result: Annotated[
        int, Setting("Of a longer result the model is told the beginning.", unit="characters", ge=100, le=100_000)
    ] = 8_000


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Bounds, so that nothing waits or grows for ever."""

    tts_timeout: Annotated[
        float, Setting("Longest wait for the synthesizer's first frame.", unit="s", ge=0.1, le=600)
    ] = 15.0
    tts_between: Annotated[
        float, Setting("Longest wait for its next one, once it has begun.", unit="s", ge=0.1, le=600)
    ] = 5.0
    say_timeout: Annotated[
        float,
        Setting(
            "Text from outside that has no end, and does not go on for this long, ends here.", unit="s", ge=0.1, le=600
        ),
    ] = 15.0
    asr_timeout: Annotated[
        float, Setting("Longest wait for the final transcript after a turn's end.", unit="s", ge=0.1, le=600)
    ] = 8.0
    asr_late: Annotated[
        float,
        Setting("A final transcript that comes so much later is kept, or answered late.", unit="s", ge=0, le=600),
    ] = 30.0
    stall_timeout: Annotated[
        float,
        Setting(
            "A client that takes nothing for this long is dropped; a reply that its loudspeaker does not go on with "
            "is given up.",
            unit="s",
            ge=0.1,
            le=600,
        ),
    ] = 5.0
    max_turn: Annotated[float, Setting("Longest turn; then it is answered.", unit="s", ge=1, le=600)] = 60.0
    max_text: Annotated[
        int, Setting("Longest text of one turn or utterance.", unit="characters", ge=1, le=1_000_000)
    ] = 20_000
    max_waiting_text: Annotated[
        int,
        Setting(
            "Text of `say` that may wait behind the one that is being spoken; more is refused.",
            unit="characters",
            ge=1,
            le=10_000_000,
        ),
    ] = 40_000
    text_burst: Annotated[
        int, Setting("Typed turns that are taken at once; text_rate bounds those after them.", ge=1, le=10_000)
    ] = 20
    text_rate: Annotated[
        float, Setting("Typed turns that are taken a second in the long run; more are refused.", ge=0.1, le=1_000)
    ] = 5.0
    max_history: Annotated[
        int, Setting("Turns of either side that the language model is reminded of.", ge=2, le=10_000)
    ] = 100


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Everything that one session can be told."""

    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    barge_in: BargeInSettings = field(default_factory=BargeInSettings)
    endpointing: EndpointingSettings = field(default_factory=EndpointingSettings)
    speculation: SpeculationSettings = field(default_factory=SpeculationSettings)
    playout: PlayoutSettings = field(default_factory=PlayoutSettings)
    reply: ReplySettings = field(default_factory=ReplySettings)
    text: TextSettings = field(default_factory=TextSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    tools: ToolCallSettings = field(default_factory=ToolCallSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)

    def __post_init__(self) -> None:
        """Raise ValueError for a greeting that is longer than any utterance may be."""
        length, limit = len(self.reply.greeting), self.limits.max_text
        if length > limit:
            raise ValueError(f"reply.greeting has {length} characters, but limits.max_text allows {limit}.")


PER_SESSION: tuple[str, ...] = (
    "segmenter",
    "barge_in",
    "endpointing",
    "speculation",
    "playout",
    "reply.enabled",
    "reply.greeting",
    "text",
)
"""Groups and keys that a client may change for its own session; the rest belongs to the operator."""
_GROUP = "session."
"""What stands before a session's settings wherever else they are named; clients may leave it out."""


def with_overrides(settings: SessionSettings, overrides: Mapping[str, Any]) -> SessionSettings:
    """Apply a session's own settings, given by dotted key (``session.barge_in.enabled``, or without ``session.``).

    Raises InvalidRequest that names the key, the value and what is allowed.
    """
    for key, value in overrides.items():
        settings = _with_override(settings, key, value)
    return settings


def may_be_set_by_client(key: str) -> bool:
    """Whether a client may change this setting for its own session."""
    name = key.removeprefix(_GROUP)
    return name in PER_SESSION or name.partition(".")[0] in PER_SESSION


def _with_override(settings: SessionSettings, key: str, value: Any) -> SessionSettings:
    group_name, _, name = key.removeprefix(_GROUP).partition(".")
    group = getattr(settings, group_name, None) if group_name in _GROUPS else None
    hint = _hints(cast("Hashable", type(group))).get(name) if group is not None else None
    if hint is None:
        near = difflib.get_close_matches(key.removeprefix(_GROUP), sorted(_own_keys()), n=1)
        raise InvalidRequest(f'There is no setting "{key}"' + (f'; did you mean "{_GROUP}{near[0]}"?' if near else "."))
    if not may_be_set_by_client(key):
        raise InvalidRequest(f'The setting "{key}" belongs to the operator; a client can not change it.')
    kind, setting = get_args(hint)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise InvalidRequest(f'The setting "{key}" must be of type {kind.__name__}, not {type(value).__name__}.')
    try:
        setting.check(value)
    except ValueError as error:
        raise InvalidRequest(f'The setting "{key}" is {value!r}, but {error}.') from None
    if (group_name, name) == ("text", "lexicon"):
        parse_lexicon(value)
    changed: dict[str, Any] = {group_name: dataclasses.replace(group, **{name: value})}  # type: ignore[type-var]
    try:
        return dataclasses.replace(settings, **changed)
    except ValueError as error:
        raise InvalidRequest(f'The setting "{key}" is not allowed: {error}') from None


@cache
def _hints(group: Hashable) -> dict[str, Any]:
    """Looking them up takes longer than the rest of a session's beginning."""
    return get_type_hints(cast("type[Any]", group), include_extras=True)


def _own_keys() -> set[str]:
    base = SessionSettings()
    keys = {f"{group}.{entry.name}" for group in _GROUPS for entry in dataclasses.fields(getattr(base, group))}
    return {key for key in keys if may_be_set_by_client(key)}


_GROUPS = frozenset(entry.name for entry in dataclasses.fields(SessionSettings))
