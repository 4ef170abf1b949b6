"""What the agent says of its own, per language, where a setting says ``auto`` (pure)."""

from __future__ import annotations

from enum import Enum

AUTO = "auto"


class Remark(Enum):
    """What the agent says of its own, without a language model."""

    NOT_UNDERSTOOD = "not_understood"
    """Please say that again."""
    NOT_HEARD = "not_heard"
    """The recogniser failed, or takes too long."""
    VOICE_LOST = "voice_lost"
    """The voice broke off."""
    CANNOT_THINK = "cannot_think"
    """The language model failed."""
    STILL_WORKING = "still_working"
    """A tool takes long."""
    ONE_MOMENT = "one_moment"
    """The language model takes long to begin."""


_REMARKS: dict[str, dict[Remark, str]] = {
    "en": {
        Remark.NOT_UNDERSTOOD: "I did not catch that.",
        Remark.NOT_HEARD: "I am sorry, I cannot hear well right now. Please say that again.",
        Remark.VOICE_LOST: "I am sorry, my voice broke off.",
        Remark.CANNOT_THINK: "I am sorry, I cannot think clearly right now. Please try again.",
        Remark.STILL_WORKING: "One moment please, I am still at it.",
        Remark.ONE_MOMENT: "One moment.",
    },
    "de": {
        Remark.NOT_UNDERSTOOD: "Das habe ich nicht verstanden.",
        Remark.NOT_HEARD: "Entschuldigung, ich höre gerade schlecht. Bitte sag das noch einmal.",
        Remark.VOICE_LOST: "Entschuldigung, mir ist die Stimme weggeblieben.",
        Remark.CANNOT_THINK: "Entschuldigung, ich kann gerade nicht klar denken. Bitte versuch es noch einmal.",
        Remark.STILL_WORKING: "Einen Moment bitte, ich bin noch dabei.",
        Remark.ONE_MOMENT: "Einen Moment.",
    },
    "es": {
        Remark.NOT_UNDERSTOOD: "No te he entendido.",
        Remark.NOT_HEARD: "Perdona, ahora mismo no oigo bien. Repítelo, por favor.",
        Remark.VOICE_LOST: "Perdona, se me ha cortado la voz.",
        Remark.CANNOT_THINK: "Perdona, ahora mismo no puedo pensar con claridad. Inténtalo de nuevo, por favor.",
        Remark.STILL_WORKING: "Un momento, por favor, sigo en ello.",
        Remark.ONE_MOMENT: "Un momento.",
    },
    "fr": {
        Remark.NOT_UNDERSTOOD: "Je n'ai pas compris.",
        Remark.NOT_HEARD: "Désolé, j'entends mal en ce moment. Pouvez-vous répéter ?",
        Remark.VOICE_LOST: "Désolé, ma voix s'est coupée.",
        Remark.CANNOT_THINK: "Désolé, je n'arrive pas à réfléchir en ce moment. Veuillez réessayer.",
        Remark.STILL_WORKING: "Un instant s'il vous plaît, j'y travaille encore.",
        Remark.ONE_MOMENT: "Un instant.",
    },
}


def remark(kind: Remark, setting: str, language: str) -> str:
    """The sentence to say: ``setting``, or for ``auto`` the one in the session's language (English where unknown)."""
    if setting != AUTO:
        return setting
    return _REMARKS.get(language.partition("-")[0].lower(), _REMARKS["en"])[kind]
