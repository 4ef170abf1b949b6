"""Speech was there, and nothing was understood: is the participant asked again? (pure)"""

from __future__ import annotations

from parley.session.decide.remarks import Remark


class Repair:
    """Asks once, then not again before something was understood: a television must not be asked for ever.

    ``clear_speech``: seconds of voice that are more than a cough.
    """

    def __init__(self, clear_speech: float) -> None:
        self._clear_speech = clear_speech
        self._asked = False

    def understood(self) -> None:
        """There were words."""
        self._asked = False

    def not_understood(self, voiced: float, *, failed: bool) -> Remark | None:
        """What to say after ``voiced`` seconds of voice without a word; ``failed``: the recogniser is to blame."""
        if voiced < self._clear_speech:
            return None
        if failed:
            return Remark.NOT_HEARD
        asked, self._asked = self._asked, True
        return None if asked else Remark.NOT_UNDERSTOOD
