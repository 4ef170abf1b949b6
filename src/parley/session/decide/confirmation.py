"""Whether the participant was asked, by voice, before something is done that they must confirm (pure).

The model asks in its own words and calls the tool again; whether it did, and whether anybody could have answered, is
not left to the model.
"""

from __future__ import annotations

from dataclasses import dataclass

from parley.session.decide.lexicon import lexicon, words

_FIRST_WORDS = 4
"""Of an answer: where a "no" or a "wait" stands that means it."""


@dataclass(slots=True)
class _Asked:
    turn: int
    heard: bool = False


class Confirmations:
    """What waits for a yes: by the tool's name and its arguments."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], _Asked] = {}

    def ask(self, name: str, arguments: str, turn: int) -> None:
        """The model was told, in the reply to ``turn``, that it has to ask first."""
        self._asked[name, arguments] = _Asked(turn)

    def heard(self, turn: int) -> None:
        """The reply to this turn sounds."""
        for asked in self._asked.values():
            asked.heard = asked.heard or asked.turn == turn

    def answered(self, turn: int) -> None:
        """This turn is over and its reply as well: what was asked before it, and not done in it, is forgotten."""
        self._asked = {key: asked for key, asked in self._asked.items() if asked.turn >= turn}

    def confirmed(self, name: str, arguments: str, turn: int, answer: str, language: str) -> bool:
        """True once: where this very call was asked for aloud before ``turn``, and ``answer`` begins with no "no"."""
        asked = self._asked.get((name, arguments))
        if asked is None or not asked.heard or asked.turn >= turn or refuses(answer, language):
            return False
        del self._asked[name, arguments]
        return True


def refuses(answer: str, language: str) -> bool:
    """Whether an answer begins with a word that stops: "no", "wait" ... in the session's language."""
    stops = lexicon(language or "en").stops
    return not words(answer) or any(word in stops for word in words(answer)[:_FIRST_WORDS])
