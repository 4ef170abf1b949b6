"""Whether the participant was asked, by voice, before something is done that they must confirm (pure).

The model asks in its own words and calls the tool again; whether it did, and whether anybody could have answered, is
not left to the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley.session.decide.lexicon import lexicon, words

if TYPE_CHECKING:
    from collections.abc import Iterable

_FIRST_WORDS = 4
"""Of an answer: where a "no" or a "wait" stands that means it."""


@dataclass(slots=True)
class _Asked:
    reply: int
    before: frozenset[str]
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """The participant's words that a reply answers."""

    text: str
    item_id: str = ""
    """Where they stand in the conversation; empty for those of a turn, which is said only once."""


class Confirmations:
    """What waits for a yes: by the tool's name and its arguments. Replies are known by numbers, which grow."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], _Asked] = {}

    def ask(self, name: str, arguments: str, reply: int, before: Iterable[str] = ()) -> None:
        """The model was told, in this reply, that it has to ask first; ``before``: ids of what was said until now."""
        self._asked[name, arguments] = _Asked(reply, frozenset(before))

    def heard(self, reply: int) -> None:
        """What this reply asks was heard."""
        for asked in self._asked.values():
            asked.heard = asked.heard or asked.reply == reply

    def answered(self, reply: int) -> None:
        """This reply answered something, and is over: what was asked before it, and not done in it, is forgotten."""
        self._asked = {key: asked for key, asked in self._asked.items() if asked.reply >= reply}

    def confirmed(self, name: str, arguments: str, reply: int, answers: Iterable[Said], language: str) -> bool:
        """True once: this very call was asked for aloud before this reply, and what it answers begins with no "no"."""
        asked = self._asked.get((name, arguments))
        if asked is None or not asked.heard or asked.reply >= reply:
            return False
        answer = " ".join(said.text for said in answers if said.item_id not in asked.before)
        if refuses(answer, language):
            return False
        del self._asked[name, arguments]
        return True


def refuses(answer: str, language: str) -> bool:
    """Whether an answer begins with a word that stops: "no", "wait" ... in the session's language."""
    stops = lexicon(language or "en").stops
    return not words(answer) or any(word in stops for word in words(answer)[:_FIRST_WORDS])
